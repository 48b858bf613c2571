"""
The network step: a rule where an NSG denies, at a free priority before the denial, and never in place of another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    HELD,
    HOME,
    PROXY,
    arm_id,
    change,
    client,
    estate,
    item,
    listed,
    networked,
    nic,
    noted,
    nsg,
    planned,
    proxied,
    ready,
    rule,
    subnet,
    vm,
    with_records,
    without,
)
from network_cases import decide

from runbook_lib.checks.network import HTTPS, TAGS
from runbook_lib.plan import project
from runbook_lib.records import Inventory, IpConfiguration, Plan, Subnet, key


def rules_of(made: Plan) -> list[tuple[str, int, str]]:
    """
    The rules that a plan adds: name, priority, destination.
    """
    return [
        (each.facts["rule"], each.facts["priority"], each.facts["destination"])
        for each in made.changes
        if each.kind == "add-security-rule"
    ]


def test_nothing_is_planned_for_the_network_unless_asked() -> None:
    """
    Today's service does not need it.
    """
    assert [] == rules_of(planned(estate(*networked(rule("deny", 200)))))


def test_each_denied_tag_gets_a_rule_before_the_one_that_denies() -> None:
    """
    A rule takes one service tag; what is allowed already needs none.
    """
    own = networked(rule("storage", 150, "Allow", destinations=("Storage",)), rule("deny", 300))
    made = planned(estate(*own), network_option="service_tags")

    assert [("allow-backup-AzureBackup", 290, "AzureBackup"), ("allow-backup-AzureActiveDirectory", 291, TAGS[2])] == (
        rules_of(made)
    )
    assert {
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "sourceAddressPrefix": "VirtualNetwork",
        "destinationAddressPrefix": "AzureBackup",
        "destinationPortRanges": ["443"],
        "access": "Allow",
        "priority": 290,
        "direction": "Outbound",
    } == next(each for each in made.changes if each.kind == "add-security-rule").body["properties"]


def test_a_protected_vm_gets_its_rules_too() -> None:
    """
    The network step is about the selected VMs, not only about those that are to be enabled.
    """
    machine, own, shut = networked(rule("deny", 300))
    world = ready(machine, own, shut, item(machine, HELD))

    assert 3 == len(rules_of(planned(world, network_option="service_tags")))


@pytest.mark.parametrize(
    ("taken", "deny", "priorities"),
    [
        ([], 4096, [4086, 4087, 4088]),
        ([290, 291], 300, [292, 293, 294]),
        ([*range(290, 300)], 300, [289, 288, 287]),
        ([], 105, [100, 101, 102]),
        ([], 103, [100, 101, 102]),
        ([100, 101], 103, [102]),
        ([], 101, [100]),
        ([], 100, []),
    ],
)
def test_a_rule_takes_a_free_priority_before_the_denial(taken: list[int], deny: int, priorities: list[int]) -> None:
    """
    No two outbound rules share one; where none is left, the plan says so once.
    """
    others = [rule(f"r{each}", each, "Allow", destinations=("Sql",)) for each in taken]
    inbound = rule("in", max(100, deny - 10), "Deny", direction="Inbound")
    made = planned(estate(*networked(*others, inbound, rule("deny", deny))), network_option="service_tags")

    assert priorities == [priority for _, priority, _ in rules_of(made)]
    assert (len(priorities) < 3) == noted(made).count("no_priority")


def test_a_rule_comes_before_every_denial_that_its_nsg_holds() -> None:
    """
    VMs behind one NSG may be denied by different rules.
    """
    shut = nsg("shut", rule("five", 150, sources=("10.0.0.5",)), rule("four", 200, sources=("10.0.0.4",)))
    nics = [nic(f"nic-{n}", f"10.0.0.{n}", nsg_id=shut.id) for n in (4, 5)]
    machines = [vm(f"vm-{n}", nic_ids=(own.id,)) for n, own in zip((4, 5), nics, strict=True)]
    world = estate(shut, *nics, *machines)
    made = planned(world, network_option="service_tags")
    after = project(world, made.changes)

    assert [140, 141, 142] == [priority for _, priority, _ in rules_of(made)]
    assert {"Allow"} == {
        decide(after.nsgs[key(shut.id)], (f"10.0.0.{n}",), tag, HOME, HTTPS).access for n in (4, 5) for tag in TAGS
    }


@pytest.mark.parametrize(("member", "tags"), [(True, 3), (False, 0)])
def test_a_rule_for_an_application_security_group_is_about_its_members(member: bool, tags: int) -> None:
    """
    The sender's own membership is known: nothing is planned for who is not in it, and no doubt keeps a rule back.
    """
    asg = arm_id("Microsoft.Network/applicationSecurityGroups", "asg")
    shut = nsg("shut", rule("deny", 300, sources=(), source_asg_ids=(asg,)))
    inside = IpConfiguration(private_ip="10.0.0.4", asg_ids=(asg,) if member else ())
    own = nic("nic-4", nsg_id=shut.id, ip_configurations=(inside,))
    made = planned(estate(shut, own, vm(nic_ids=(own.id,))), network_option="service_tags")

    assert tags == len(rules_of(made))


def test_a_rule_never_replaces_one_that_is_there() -> None:
    """
    To write a rule under a name that is taken would change that rule.
    """
    own = networked(
        rule("Allow-Backup-AzureBackup", 400, "Allow", destinations=("AzureBackup",)),
        rule("allow-backup-storage-2", 410, "Allow", direction="Inbound"),
        rule("allow-backup-storage", 420, "Allow", direction="Inbound"),
        rule("deny", 300),
    )
    made = planned(estate(*own), network_option="service_tags")

    assert ["allow-backup-AzureBackup-2", "allow-backup-Storage-3", "allow-backup-AzureActiveDirectory"] == [
        name for name, _, _ in rules_of(made)
    ]


def test_an_nsg_of_several_vms_gets_its_rules_once() -> None:
    """
    On a NIC as on a subnet.
    """
    shut = nsg("shut", rule("deny", 300))
    net = subnet(nsg_id=shut.id)
    nics = [nic(f"nic-{n}", f"10.0.0.{n}", subnet_id=net.id, nsg_id=shut.id.upper()) for n in (4, 5)]
    machines = [vm(f"vm-{n}", nic_ids=(own.id,)) for n, own in zip((4, 5), nics, strict=True)]

    assert 3 == len(rules_of(planned(estate(shut, net, *nics, *machines), network_option="service_tags")))


@pytest.mark.parametrize("option", ["service_tags", "ip_ranges"])
@pytest.mark.parametrize(
    ("own", "note", "count"),
    [
        (networked(rule("some", 200, destinations=("13.0.0.0/8",))), "service_unclear", 3),
        ((vm(nic_ids=("/unread/nic-web",)),), "network_unread", 1),
        ((vm(nic_ids=(nic().id,)), nic(nsg_id="/unread")), "network_unread", 1),
        ((vm(nic_ids=(nic().id,)), nic(subnet_id="/unread")), "network_unread", 1),
        (networked(), "", 0),
    ],
)
def test_what_cannot_be_decided_is_left_alone_and_said(
    option: str, own: tuple[Any, ...], note: str, count: int
) -> None:
    """
    A rule is planned against a denial, not against a doubt; silence would read as "nothing is in the way".
    """
    doubts = listed(**dict.fromkeys((*TAGS, "Storage_WestEurope"), ("13.0.0.0/7",)))
    made = planned(estate(*own, doubts), network_option=option)

    assert [] == rules_of(made)
    assert [note] * count == [each for each in noted(made) if each in ("service_unclear", "network_unread")]


def test_the_proxys_nsg_lets_it_out_on_both_ports() -> None:
    """
    As the guide's third step has it: priority 200, or what is free before the denial.
    """
    made = planned(proxied(rule("deny", 1000)), **PROXY)

    assert [("allow-proxy", 200, "Internet")] == rules_of(made)
    asked = change(made, "add-security-rule").body["properties"]
    assert ("10.0.0.9/32", ["80", "443"]) == (asked["sourceAddressPrefix"], asked["destinationPortRanges"])


@pytest.mark.parametrize(
    ("rules", "priority"),
    [
        ((rule("deny", 200),), 199),
        ((rule("deny", 1000), rule("other", 200, "Allow", destinations=("Sql",))), 201),
        # One port denied early, one late: before the early one.
        ((rule("web", 150, ports=("80",)), rule("deny", 1000)), 149),
        ((rule("deny", 100),), None),
    ],
)
def test_the_proxys_rule_finds_its_priority(rules: tuple[Any, ...], priority: int | None) -> None:
    """
    200 unless that is taken or too late.
    """
    made = planned(proxied(*rules), **PROXY)

    assert ([priority] if priority else []) == [each for _, each, _ in rules_of(made)]
    assert ("no_priority" in noted(made)) == (priority is None)


@pytest.mark.parametrize(
    ("world", "note"),
    [
        (ready(), "proxy_outside"),
        (ready(*client()), "proxy_outside"),
        (proxied(), "proxy_allowed"),
        (proxied(rule("some", 200, destinations=("13.0.0.0/8",))), "proxy_unclear"),
        (
            ready(*client(), nic("nic-proxy", "10.0.0.9", nsg_id="/unread", subnet_id=subnet().id)),
            "proxy_unclear",
        ),
    ],
)
def test_a_proxy_that_needs_no_rule_gets_a_note(world: Inventory, note: str) -> None:
    """
    Outside of what was read, let out already, or nobody can say.
    """
    made = planned(world, **PROXY)

    assert [] == rules_of(made)
    assert note in noted(made)


def _network(name: str, *peers: Subnet) -> Subnet:
    """
    The one subnet of a virtual network that is peered with those of *peers*.
    """
    own_id = arm_id("Microsoft.Network/virtualNetworks", name)
    return Subnet(
        id=f"{own_id}/subnets/default", name="default", peer_ids=tuple(p.id.split("/subnets/")[0] for p in peers)
    )


def _with_twin(*, connected: bool) -> Inventory:
    """
    A payroll VM has the proxy's address, in a virtual network that is peered with the client's or has nothing to do
    with it.
    """
    far = _network("vnet-payroll")
    shut = nsg("nsg-payroll", rule("deny", 1000))
    twin = nic("nic-payroll", "10.0.0.9", nsg_id=shut.id, subnet_id=far.id.upper())
    near = replace(subnet(), peer_ids=_network("x", far).peer_ids if connected else ())
    return with_records(proxied(rule("deny", 1000)), far, shut, twin, near)


def test_the_proxys_address_in_a_network_that_is_not_connected_opens_nothing() -> None:
    """
    Networks that are not connected may use one address twice: only the proxy's own NSG gets a rule.
    """
    made = planned(_with_twin(connected=False), **PROXY)

    assert ["nsg-proxy"] == [each.facts["nsg"] for each in made.changes if each.kind == "add-security-rule"]


def test_a_proxy_in_a_peered_network_is_found() -> None:
    """
    As one in the client's own.
    """
    world = without(_with_twin(connected=True), nic("nic-proxy").id)

    assert ["nsg-payroll"] == [
        each.facts["nsg"] for each in planned(world, **PROXY).changes if each.kind == "add-security-rule"
    ]


def test_two_reachable_nics_with_the_proxys_address_get_no_rule() -> None:
    """
    Which of them is the proxy nobody can tell: a note names both.
    """
    made = planned(_with_twin(connected=True), **PROXY)

    assert [] == rules_of(made)
    assert {"host": "10.0.0.9", "nics": "nic-payroll, nic-proxy"} == {
        name: value
        for note in made.notes
        if note["id"] == "proxy_ambiguous"
        for name, value in note.items()
        if name not in ("id", "step")
    }


def test_a_proxy_that_is_given_by_name_gets_a_note_of_its_own() -> None:
    """
    Nobody looks up a name here: that no NIC has it as an address says nothing.
    """
    made = planned(proxied(rule("deny", 1000)), network_option="http_proxy", proxy_host="proxy.example")

    assert [] == rules_of(made)
    assert "proxy_named" in noted(made)
    assert "proxy_outside" not in noted(made)


def test_the_rule_of_another_proxy_is_not_replaced() -> None:
    """
    It has the name already: the second proxy's rule gets another.
    """
    other = rule("allow-proxy", 200, "Allow", sources=("10.0.0.8/32",), destinations=("Internet",), ports=("80", "443"))
    made = planned(proxied(other, rule("deny", 1000)), **PROXY)

    assert [("allow-proxy-2", 201, "Internet")] == rules_of(made)
    assert 3 == len(project(proxied(other, rule("deny", 1000)), made.changes).nsgs[key(nsg("nsg-proxy").id)].rules)


def _behind_proxy(**fields: Any) -> Inventory:
    """
    An estate with a proxy VM and a client in one subnet, and a VM in another network.
    """
    near = subnet("near", space=("10.0.0.0/16",))
    far = subnet("far", space=("10.9.0.0/16",))
    homes = {"proxy": (near, "10.0.0.9"), "client": (near, "10.0.0.4"), "stranger": (far, "10.9.0.4")}
    nics = {
        name: nic(f"nic-{name}", address, ip_configurations=(IpConfiguration(subnet_id=place.id, private_ip=address),))
        for name, (place, address) in homes.items()
    }
    machines = [vm(name, nic_ids=(own.id,), **fields) for name, own in nics.items()]
    return with_records(without(ready(near, far, *nics.values()), vm().id), *machines)


def test_a_vm_that_does_not_reach_the_proxy_is_named_before_anyone_points_it_there() -> None:
    """
    The proxy VM itself is none of the clients, and what can reach it is not named.
    """
    (note,) = [each for each in planned(_behind_proxy(), **PROXY).notes if each["id"] == "proxy_unreached"]

    assert (1, "stranger (rg-app)") == (note["count"], note["vms"])


def test_whether_a_named_proxy_is_reached_nobody_knows_here() -> None:
    """
    Its address is not known: that is said, and not taken for a yes.
    """
    made = planned(_behind_proxy(), network_option="http_proxy", proxy_host="proxy.example")

    assert [3] == [each["count"] for each in made.notes if each["id"] == "proxy_doubted"]


def test_vms_that_rules_do_not_help_are_named() -> None:
    """
    An NSG's rule opens no way out of a private subnet, and none is planned where no priority is free.
    """
    place = subnet(space=("10.0.0.0/16",), default_outbound_access=False)
    own = nic(ip_configurations=(IpConfiguration(subnet_id=place.id, private_ip="10.0.0.4"),))
    shut = planned(estate(vm(nic_ids=(own.id,)), own, place), network_option="service_tags")
    full = planned(estate(*networked(rule("deny", 100))), network_option="service_tags")

    assert [(1, "web (rg-app)")] * 2 == [
        (each["count"], each["vms"]) for made in (shut, full) for each in made.notes if each["id"] == "still_shut"
    ]
    assert "still_shut" not in noted(planned(estate(*networked(rule("deny", 300))), network_option="service_tags"))


def test_a_proxy_that_no_option_uses_is_not_passed_over_in_silence() -> None:
    """
    `proxy_host` without `http_proxy` changes nothing, and a note says so.
    """
    assert ["proxy_unused"] == [each for each in noted(planned(ready(), proxy_host="10.0.0.9")) if "proxy" in each]
