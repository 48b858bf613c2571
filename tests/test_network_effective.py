"""
The comparison with the service: effective rules and routes asked for, waited for, read, and set against ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import HOME, arm_id, estate, nic, nsg, rule, subnet, vm
from support import RunMaker, writes

from runbook_lib.arm.effective import compare_effective, effective
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.checks.network import MOST, SERVICES, Destination, Effective, Tracer, compare, sample
from runbook_lib.errors import ReadOnlyViolation
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, IpConfiguration, Route, SecurityGroup, VirtualMachine
from runbook_lib.sandbox import Fault, Sandbox

NSG = arm_id("Microsoft.Network/networkSecurityGroups", "nsg-app")
NIC = arm_id("Microsoft.Network/networkInterfaces", "nic-web")
QUESTIONS = ("effectiveNetworkSecurityGroups", "effectiveRouteTable")
PROXY = Destination(name="10.20.9.4:8080", where="10.20.9.4", port=8080)


@pytest.fixture
def inventory(session: Session) -> Inventory:
    """
    The example estate as it is read.
    """
    return read_inventory(session, Parameters())


@pytest.fixture
def machines(inventory: Inventory) -> list[VirtualMachine]:
    """
    Five running VMs of it, each behind other NSGs.
    """
    names = ("app01", "archive01", "bi01", "dc01", "pay01")
    return [each for each in inventory.vms.values() if each.name in names]


# --- whom to ask --------------------------------------------------------------------------------------------------


def test_one_nic_of_a_running_vm_is_asked_about_for_each_combination_of_nsgs() -> None:
    """
    In the order of the VMs' ids; what does not run has no effective rules.
    """
    nics = [nic(f"nic-{n}", nsg_id=f"/nsg-{n // 2}") for n in range(6)]
    machines = [vm(f"vm-{n}", nic_ids=(own.id,)) for n, own in enumerate(nics)]
    machines[2] = replace(machines[2], power_state="deallocated")
    chosen = sample(estate(*nics, *machines), reversed(machines))

    assert [("vm-0", "nic-0"), ("vm-3", "nic-3"), ("vm-4", "nic-4")] == [(one.name, own.name) for one, own in chosen]


def test_a_bounded_number_is_asked_about() -> None:
    """
    Each costs two questions and their polls.
    """
    nics = [nic(f"nic-{n}", nsg_id=f"/nsg-{n}") for n in range(MOST + 3)]
    machines = [vm(f"vm-{n}", nic_ids=(own.id, "/gone")) for n, own in enumerate(nics)]

    assert MOST == len(sample(estate(*nics, *machines), machines))


def test_nsgs_of_subnets_make_a_combination_too() -> None:
    """
    Two NICs without an NSG of their own may stand behind different ones.
    """
    nets = [subnet(name, nsg_id=f"/nsg-{name}") for name in ("a", "b")]
    nics = [nic(f"nic-{net.name}", subnet_id=net.id) for net in nets]
    machines = [vm(f"vm-{own.name}", nic_ids=(own.id,)) for own in nics]

    assert 2 == len(sample(estate(*nets, *nics, *machines), machines))


# --- against the sandbox ------------------------------------------------------------------------------------------


def test_our_reading_of_the_example_estate_is_the_services(
    session: Session, inventory: Inventory, machines: list[VirtualMachine]
) -> None:
    """
    Every path of the sample agrees; a far proxy is settled where only the service knows the whole virtual network.
    """
    found = compare_effective(session, inventory, machines, [*SERVICES, PROXY])
    service = [each for each in found if each.path.destination != PROXY]

    assert {"agrees"} == {each.outcome for each in service}
    assert MOST * len(SERVICES) == len(service)
    assert {"Allow", "Deny"} == {each.decision.access for each in service if each.decision}
    assert {"agrees", "settled"} == {each.outcome for each in found if each.path.destination == PROXY}
    assert [(each.path.nsg, each.path.decision) for each in service] == [(each.nsg, each.decision) for each in service]


def test_asking_changes_nothing(
    session: Session, inventory: Inventory, machines: list[VirtualMachine], contoso: Sandbox
) -> None:
    """
    Both questions are POSTs that pass the read-only guard, and nothing in the estate is another after them.
    """
    before = contoso.resources()
    compare_effective(session, inventory, machines, SERVICES)

    assert before == contoso.resources()
    assert [] == writes(contoso)


@pytest.mark.parametrize("path", ["/start", "/effectivenetworksecuritygroups/x", "/effective"])
def test_the_guard_lets_no_other_post_to_a_nic_through(session: Session, contoso: Sandbox, path: str) -> None:
    """
    Only the two questions are reads.
    """
    since = len(contoso.requests())
    with pytest.raises(ReadOnlyViolation):
        session.ask_and_wait(f"{NIC}{path}", "2026-03-01", 60)

    assert since == len(contoso.requests())


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_refusal_is_said_and_is_no_agreement(
    session: Session, inventory: Inventory, machines: list[VirtualMachine], contoso: Sandbox, question: str
) -> None:
    """
    The right to ask is not part of Reader.
    """
    contoso.fault(Fault(path=f"/{question.lower()}$", status=403, code="AuthorizationFailed", message="no right"))
    found = compare_effective(session, inventory, machines, SERVICES)

    assert {("refused", "AuthorizationFailed: no right")} == {(each.outcome, each.why) for each in found}
    assert MOST == len(found)


def test_a_lock_holds_the_question_up(session: Session, inventory: Inventory) -> None:
    """
    A group that is read-only refuses every POST.
    """
    frozen = [each for each in inventory.vms.values() if each.resource_group.lower() == "rg-frozen-prod"]
    (found,) = compare_effective(session, inventory, frozen, SERVICES)

    assert ("refused", "ScopeLocked") == (found.outcome, found.why.partition(":")[0])


def test_a_vm_that_was_stopped_since_it_was_read_is_refused_by_name(session: Session, inventory: Inventory) -> None:
    """
    The service tells for running VMs only.
    """
    off = [each for each in inventory.vms.values() if each.power_state == "deallocated"]
    believed = [replace(each, power_state="running") for each in off[:1]]
    (found,) = compare_effective(session, inventory, believed, SERVICES)

    assert "refused" == found.outcome
    assert found.why.startswith("NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups: ")


def test_an_operation_that_fails_is_a_refusal(
    session: Session, inventory: Inventory, machines: list[VirtualMachine], contoso: Sandbox
) -> None:
    """
    What was accepted may still end in an error.
    """
    contoso.fault(Fault(does="fail_operation", path="/effectiveroutetable", code="InternalServerError", times=100))
    found = compare_effective(session, inventory, machines, SERVICES)

    assert {"refused"} == {each.outcome for each in found}
    assert all(each.why.startswith("InternalServerError") for each in found)


def test_the_answer_is_waited_for_no_longer_than_the_deadline(session: Session, inventory: Inventory) -> None:
    """
    By the target's clock, and what comes later is not taken for an answer.
    """
    ((_, asked),) = sample(inventory, [each for each in inventory.vms.values() if each.name == "bi01"])
    with pytest.raises(ArmError, match="NotInTime"):
        session.ask_and_wait(f"{asked.id}/effectiveRouteTable", "2026-03-01", 1)

    assert session.ask_and_wait(f"{asked.id}/effectiveRouteTable", "2026-03-01", 120)["value"]


def test_a_run_shows_the_comparison(make_run: RunMaker) -> None:
    """
    One row per path, and how the NICs were chosen.
    """
    text = make_run(vm_selector="name:app01").compare_effective().text()

    assert "Deny by deny-internet (4000) of NSG-lockdown; next hop Internet (0.0.0.0/0)" in text
    assert 3 == text.count("agrees")
    assert f"at most {MOST}" in text


def test_a_run_without_running_vms_says_so(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    An empty table would read as agreement.
    """
    run = make_run()
    off = next(each for each in run.inventory.vms.values() if each.power_state == "deallocated")
    shown = make_run(vm_selector=off.id).compare_effective().text()

    assert "None of the selected VMs runs" in shown


# --- agreement ----------------------------------------------------------------------------------------------------

CLOSED = nsg("nsg-app", rule("deny", 200, ports=("443",)))
INTERNET = Route(name="", prefix="0.0.0.0/0", next_hop_type="Internet")
FIREWALL = Route(name="fw", prefix="0.0.0.0/0", next_hop_type="VirtualAppliance")
DOUBT = nsg("nsg-app", rule("some", 200, destinations=("13.0.0.0/8",)))


@pytest.mark.parametrize(
    ("ours", "theirs", "routes", "outcome"),
    [
        (nsg("nsg-app"), (nsg("nsg-app"),), (INTERNET,), "agrees"),
        (CLOSED, (CLOSED,), (INTERNET,), "agrees"),
        (nsg("nsg-app"), (), (INTERNET,), "agrees"),
        (nsg("nsg-app"), (CLOSED,), (INTERNET,), "differs"),
        (nsg("nsg-app"), (nsg("nsg-app"),), (FIREWALL,), "differs"),
        (DOUBT, (CLOSED,), (INTERNET,), "settled"),
        (DOUBT, (DOUBT,), (INTERNET,), "unclear"),
        (nsg("nsg-app"), (nsg("nsg-app"),), (), "unclear"),
        # A difference is one, whatever else stays open.
        (DOUBT, (DOUBT,), (FIREWALL,), "differs"),
        (None, (CLOSED,), (INTERNET,), "settled"),
    ],
)
def test_agreement_takes_two_sure_answers(
    ours: SecurityGroup | None, theirs: tuple[SecurityGroup, ...], routes: tuple[Route, ...], outcome: str
) -> None:
    """
    Access and next hop must be known on both sides and be the same; what only the service knows is settled by it.
    """
    net = subnet(space=("10.0.0.0/16",))
    own = nic(nsg_id=NSG, ip_configurations=(IpConfiguration(subnet_id=net.id, private_ip="10.0.0.4"),))
    machine = vm(nic_ids=(own.id,))
    tracer = Tracer(estate(machine, own, net, *([ours] if ours else [])))
    path = tracer.path(machine, own.id, SERVICES[1])
    said = Effective(groups=theirs, routes=routes, space=("10.0.0.0/16",))

    assert outcome == compare(tracer, own, path, said).outcome


# --- answers ------------------------------------------------------------------------------------------------------


def told(*rules: dict[str, Any], on: str = "networkInterface") -> dict[str, Any]:
    """
    The effective rules of one NSG.
    """
    return {
        "networkSecurityGroup": {"id": NSG},
        "association": {on: {"id": "/x"}},
        "effectiveSecurityRules": list(rules),
        "tagMap": None,
    }


def test_the_nsg_of_the_nic_comes_first_however_they_are_listed() -> None:
    """
    Outbound packets meet it before that of the subnet.
    """
    subnets = told(on="subnet") | {"networkSecurityGroup": {"id": "/nsg-net"}}
    found = effective({"value": [subnets, told()]}, {"value": []})

    assert ["nsg-app", "nsg-net"] == [group.name for group in found.groups]


def test_a_rule_is_read_with_its_tags_by_name() -> None:
    """
    Singular and plural forms are merged, and the virtual network's space is that of the expanded tag.
    """
    row = {
        "name": "defaultSecurityRules/AllowVnetOutBound",
        "protocol": "All",
        "sourcePortRange": "0-65535",
        "destinationPortRange": "0-65535",
        "sourceAddressPrefixes": ["0.0.0.0/0", "0.0.0.0/0"],
        "destinationAddressPrefix": "VirtualNetwork",
        "destinationAddressPrefixes": ["VirtualNetwork"],
        "expandedDestinationAddressPrefix": ["10.0.0.0/16", "168.63.129.16/32", "10.0.0.0/16"],
        "access": "Allow",
        "priority": 65000,
        "direction": "Outbound",
    }
    found = effective({"value": [told(row)]}, {})
    (read,) = found.groups[0].rules

    assert ("AllowVnetOutBound", 65000, ("0.0.0.0/0",), ("VirtualNetwork",), ("0-65535",)) == (
        read.name,
        read.priority,
        read.sources,
        read.destinations,
        read.ports,
    )
    assert ("10.0.0.0/16",) == found.space


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"source": "Default", "addressPrefix": ["0.0.0.0/0"]}, [("", "0.0.0.0/0")]),
        ({"source": "Default", "state": "Invalid", "addressPrefix": ["0.0.0.0/0"]}, []),
        ({"source": "User", "name": "fw", "addressPrefix": ["0.0.0.0/0"]}, [("fw", "0.0.0.0/0")]),
        (
            {"source": "User", "addressPrefix": ["1.0.0.0/8", "2.0.0.0/8"]},
            [("User", "1.0.0.0/8"), ("User", "2.0.0.0/8")],
        ),
        ({"source": "VirtualNetworkGateway", "addressPrefix": ["0.0.0.0/1"]}, [("VirtualNetworkGateway", "0.0.0.0/1")]),
        # A tag stands for its prefixes.
        (
            {"source": "User", "name": "t", "addressPrefix": ["1.0.0.0/8"], "destinationServiceTags": ["Storage"]},
            [("t", "Storage")],
        ),
        (
            {"source": "Default", "addressPrefix": ["1.0.0.0/8"], "nextHopType": "VirtualNetworkServiceEndpoint"},
            [("VirtualNetworkServiceEndpoint", "1.0.0.0/8")],
        ),
        ({}, []),
    ],
)
def test_only_the_systems_plain_routes_have_no_name(row: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """
    What a gateway learnt may be about a part of a service; the system's own small ranges are not.
    """
    found = effective({}, {"value": [{"state": "Active", "nextHopType": "Internet"} | row if row else row]})

    assert expected == [(route.name, route.prefix) for route in found.routes]


def test_a_default_route_that_a_gateway_learnt_is_the_services_word() -> None:
    """
    ARM's lists do not have it: ours is unknown, theirs decides.
    """
    net = subnet(space=("10.0.0.0/16",), gateway=True)
    own = nic(ip_configurations=(IpConfiguration(subnet_id=net.id, private_ip="10.0.0.4"),))
    machine = vm(nic_ids=(own.id,))
    tracer = Tracer(estate(machine, own, net))
    learnt = {"source": "VirtualNetworkGateway", "state": "Active", "nextHopType": "VirtualNetworkGateway"}
    theirs = effective({}, {"value": [learnt | {"addressPrefix": ["0.0.0.0/0"]}]})
    found = compare(tracer, own, tracer.path(machine, own.id, SERVICES[0]), theirs)

    assert ("settled", "VirtualNetworkGateway", HOME) == (found.outcome, found.hop.type if found.hop else "", HOME)
