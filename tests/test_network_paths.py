"""
How far a packet comes: the route with the longest prefix, what lets it out, and the findings drawn from both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import HOME, arm_id, estate, nic, nsg, rule, subnet, vm, with_records
from network_cases import FAST, GUEST, PRIVATE, balancer, needing, table, to, world

from runbook_lib import checks, render
from runbook_lib.checks.network import SERVICES, WIRE, Destination, Path, Tracer, destinations, next_hop, routes_from
from runbook_lib.parameters import build
from runbook_lib.records import (
    Finding,
    Inventory,
    IpConfiguration,
    NatGateway,
    Route,
    ServiceTag,
    ServiceTagsList,
    key,
)

BACKUP, STORAGE, ENTRA = SERVICES
PROXY = Destination(name="10.0.9.9:8080", where="10.0.9.9", port=8080)
HOST = Destination(name="proxy.example:8080", where="", port=8080)
ASG = arm_id("Microsoft.Network/applicationSecurityGroups", "asg-proxy")


def path(there: Inventory, destination: Destination = STORAGE) -> Path:
    """
    The path of the one NIC to a destination.
    """
    (machine,) = there.vms.values()
    (found,) = Tracer(there).paths(machine, [destination])
    return found


def finding(there: Inventory, check: str = "network-outbound") -> Finding:
    """
    The finding of a check on the one VM.
    """
    (found,) = (each for each in checks.judge(there, there.vms.values(), build({})) if each.check == check)
    return found


# --- routes -------------------------------------------------------------------------------------------------------


def hop(destination: str, *routes: Route, **place: Any) -> str:
    """
    The type of the next hop from a subnet with routes of its own.
    """
    fields: dict[str, Any] = {"space": ("10.0.0.0/16",)} | place
    return next_hop(routes_from(subnet(**fields), table(*routes)), destination, HOME).type


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("Storage", "Internet"),
        ("20.1.2.3", "Internet"),
        ("10.0.200.1", "VnetLocal"),
        ("10.7.0.1", "VNetPeering"),
        ("10.9.0.1", "None"),
        ("100.64.0.1", "None"),
        ("192.168.1.1", "None"),
        # Only a name is known, and routes differ.
        ("", "Unknown"),
    ],
)
def test_system_routes_lead_on_without_any_of_ones_own(destination: str, expected: str) -> None:
    """
    Into the virtual network and its peerings, to the Internet, and other private ranges nowhere.
    """
    assert expected == hop(destination, peered=("10.7.0.0/16",))


@pytest.mark.parametrize(
    ("destination", "routes", "expected"),
    [
        ("Storage", [to("0.0.0.0/0", "VirtualAppliance")], "VirtualAppliance"),
        ("Storage", [to("0.0.0.0/0", "None"), to("Storage", "Internet")], "Internet"),
        ("Storage", [to("0.0.0.0/0", "None"), to("Storage.WestEurope", "Internet")], "Internet"),
        ("Storage", [to("0.0.0.0/0", "None"), to("Storage.NorthEurope", "Internet")], "None"),
        ("Storage", [to("0.0.0.0/0", "None"), to("AzureCloud", "Internet")], "Internet"),
        ("Storage", [to("AzureCloud", "None"), to("Storage", "Internet")], "Internet"),
        # Some of Entra ID's addresses are in AzureCloud.
        ("AzureActiveDirectory", [to("0.0.0.0/0", "None"), to("AzureCloud", "Internet")], "Unknown"),
        ("AzureActiveDirectory", [to("0.0.0.0/0", "None"), to("AzureActiveDirectory", "Internet")], "Internet"),
        # Some of Storage's addresses may be in a public range.
        ("Storage", [to("20.0.0.0/8", "VirtualAppliance")], "Unknown"),
        ("Storage", [to("20.0.0.0/8", "Internet")], "Internet"),
        ("Storage", [to("Storage", "Internet"), to("20.0.0.0/8", "VirtualAppliance")], "Unknown"),
        ("Storage", [to("10.0.0.0/8", "VirtualAppliance")], "Internet"),
        # Two halves are the whole.
        ("Storage", [to("0.0.0.0/1", "VirtualAppliance"), to("128.0.0.0/1", "VirtualAppliance")], "VirtualAppliance"),
        ("Storage", [to("0.0.0.0/1", "VirtualAppliance")], "Unknown"),
        ("Storage", [to("not-a-prefix", "None")], "Internet"),
        ("20.1.2.3", [to("20.0.0.0/8", "None"), to("20.1.0.0/16", "Internet")], "Internet"),
        ("20.1.2.3", [to("Storage", "None")], "Unknown"),
        ("10.0.0.9", [to("10.0.0.0/16", "VirtualAppliance")], "VirtualAppliance"),
        ("10.0.0.9", [to("0.0.0.0/0", "VirtualAppliance")], "VnetLocal"),
        # Beside a default route of one's own the service may not drop it any more.
        ("10.9.0.1", [to("0.0.0.0/0", "VirtualAppliance")], "Unknown"),
        ("10.0.0.9", [to("Storage", "None")], "VnetLocal"),
    ],
)
def test_the_longest_prefix_decides_and_ones_own_route_before_the_systems(
    destination: str, routes: list[Route], expected: str
) -> None:
    """
    A tag's prefixes are longer than the default route; where a route may or may not hold the service, nobody knows.
    """
    assert expected == hop(destination, *routes)


def test_a_gateway_may_have_learnt_a_default_route() -> None:
    """
    That stands in no list, unless the subnet takes no such routes, or has one of its own.
    """
    there = subnet(space=("10.0.0.0/16",), gateway=True)

    assert ["Unknown", "Internet", "VirtualAppliance", "VnetLocal"] == [
        next_hop(routes_from(there, each), destination, HOME).type
        for each, destination in (
            (None, "Storage"),
            (table(bgp_propagation=False), "Storage"),
            (table(to("0.0.0.0/0", "VirtualAppliance")), "Storage"),
            (None, "10.0.0.9"),
        )
    ]


def test_a_service_endpoint_is_a_route_to_its_service_alone() -> None:
    """
    It is longer than a default route of one's own.
    """
    routes = [to("0.0.0.0/0", "VirtualAppliance")]
    place = {"service_endpoints": ("Microsoft.Storage", "Microsoft.Sql")}

    assert ["VirtualNetworkServiceEndpoint", "VirtualAppliance"] == [
        hop(tag, *routes, **place) for tag in ("Storage", "AzureBackup")
    ]


# --- the way out --------------------------------------------------------------------------------------------------

POOL = {"backend_pool_ids": (f"{balancer().id}/BACKENDADDRESSPOOLS/POOL",)}
GATEWAY = NatGateway(id="/NAT", name="nat", location=HOME, addressed=True)
NAT = {"nat_gateway_id": "/nat"}
IP = {"public_ip_id": "/ip"}


@pytest.mark.parametrize(
    ("records", "place", "card", "way"),
    [
        ([], {}, {}, "default"),
        ([], PRIVATE, {}, "closed"),
        ([GATEWAY], NAT | PRIVATE, IP | POOL, "nat_gateway"),
        # It takes every packet, whether it has an address to send it from or not.
        ([replace(GATEWAY, addressed=False)], NAT, IP, "closed"),
        ([], NAT, IP, "unknown"),
        ([balancer()], PRIVATE, IP | POOL, "public_ip"),
        ([balancer()], PRIVATE, POOL, "load_balancer"),
        ([balancer(outbound_pool_ids=())], {}, POOL, "closed"),
        # An internal Standard load balancer takes default access away, an old Basic one does not.
        ([balancer(public=False)], {}, POOL, "closed"),
        ([balancer(public=False, sku="Basic")], {}, POOL, "default"),
        ([balancer(public=False, sku="Basic")], PRIVATE, POOL, "closed"),
        ([], {}, POOL, "unknown"),
    ],
)
def test_the_first_thing_that_gives_a_public_address_lets_packets_out(
    records: list[Any], place: dict[str, Any], card: dict[str, Any], way: str
) -> None:
    """
    NAT gateway, public IP address, load balancer, default access, in this order; what was not read is unknown.
    """
    found = path(world(*records, place=place, card=card))

    assert (way, {"closed": False, "unknown": None}.get(way, True)) == (found.way, found.open)


def test_default_access_is_lost_by_a_public_address_on_another_nic_and_in_flexible_scale_sets() -> None:
    """
    Azure gives it to VMs that have nothing else.
    """
    there = world()
    (machine,) = there.vms.values()
    other = nic("nic-2", "10.0.0.5", ip_configurations=(IpConfiguration(public_ip_id="/ip", private_ip="10.0.0.5"),))
    two = with_records(there, other, replace(machine, nic_ids=(*machine.nic_ids, other.id)))
    member = with_records(there, replace(machine, scale_set_id="/set"))

    assert ["closed", "closed"] == [
        next(Tracer(each).paths(each.vms[key(machine.id)], [STORAGE])).way for each in (two, member)
    ]


@pytest.mark.parametrize(
    ("route", "way", "is_open"),
    [
        ("VirtualAppliance", "elsewhere", None),
        ("VirtualNetworkGateway", "elsewhere", None),
        ("None", "closed", False),
        ("Internet", "default", True),
        ("Teleporter", "unknown", None),
    ],
)
def test_what_lies_behind_the_next_hop_is_not_guessed(route: str, way: str, is_open: bool | None) -> None:
    """
    An appliance or a gateway decides for itself.
    """
    routes = table(to("0.0.0.0/0", route))
    found = path(world(routes, place={"route_table_id": routes.id.upper()}))

    assert (way, is_open) == (found.way, found.open)


def test_a_denial_holds_whatever_the_routes_are_and_they_are_shown_all_the_same() -> None:
    """
    Whoever opens the NSG sees what comes next.
    """
    shut = nsg("shut", rule("deny", 200))
    routes = table(to("0.0.0.0/0", "VirtualAppliance"))
    found = path(world(shut, routes, place={"route_table_id": routes.id, "nsg_id": shut.id}))

    assert (False, "shut", "VirtualAppliance") == (found.open, found.nsg, found.hop.type if found.hop else "")


@pytest.mark.parametrize("missing", ["route_table_id", "nsg_id"])
def test_what_could_not_be_read_leaves_a_path_unknown(missing: str) -> None:
    """
    A route table or an NSG that is named and not there is no table without routes and no NSG without rules.
    """
    found = path(world(place={missing: "/gone"}))

    assert (None, "unknown", missing == "route_table_id") == (found.open, found.way, found.nsgs_read)


def test_a_nic_that_could_not_be_read_has_unknown_paths() -> None:
    """
    Each is a row of its own, under the name that its id has; the agent's way does not hang on it.
    """
    there = estate(vm(nic_ids=("/subscriptions/x/networkInterfaces/gone",)))
    (machine,) = there.vms.values()

    assert [("gone", None), ("gone", True)] == [
        (each.nic, each.open) for each in Tracer(there).paths(machine, [BACKUP, WIRE])
    ]


def test_the_worst_of_several_addresses_counts() -> None:
    """
    The guest may send from any of them.
    """
    open_net, private = subnet("a"), subnet("b", default_outbound_access=False)
    cards = [IpConfiguration(subnet_id=net.id, private_ip=f"10.0.0.{n}") for n, net in ((4, open_net), (5, private))]
    own = nic(ip_configurations=tuple(cards))

    assert "closed" == path(estate(vm(nic_ids=(own.id,)), own, open_net, private)).way


def test_a_proxy_is_reached_inside_the_virtual_network_by_rules_about_its_groups() -> None:
    """
    Whoever has its address there tells which application security groups it is in.
    """
    shut = nsg("shut", rule("asg", 200, "Allow", destinations=(), destination_asg_ids=(ASG,)), rule("deny", 300))
    there = world(shut, place={"nsg_id": shut.id})
    proxy = nic("nic-proxy", ip_configurations=(IpConfiguration(subnet_id=subnet().id, private_ip="10.0.9.9"),))
    member = replace(proxy, ip_configurations=(replace(proxy.ip_configurations[0], asg_ids=(ASG.upper(),)),))

    assert [None, False, True] == [
        path(each, PROXY).open for each in (there, with_records(there, proxy), with_records(there, member))
    ]


def test_the_tag_virtual_network_holds_peerings_surely_and_routes_of_ones_own_perhaps() -> None:
    """
    A rule for it decides about a proxy in a peered network, and may decide about a service behind a default route.
    """
    shut = nsg("shut", rule("vnet", 200, destinations=("VirtualNetwork",)))
    routes = table(to("0.0.0.0/0", "Internet"))
    near = world(shut, place={"nsg_id": shut.id, "space": ("10.0.0.0/24",), "peered": ("10.0.9.0/24",)})
    routed = world(shut, routes, place={"nsg_id": shut.id, "route_table_id": routes.id})

    assert [(False, "vnet"), (None, "vnet")] == [
        (each.open, each.decision.rule if each.decision else "") for each in (path(near, PROXY), path(routed))
    ]


def test_a_proxy_that_has_a_name_only_is_not_guessed() -> None:
    """
    Neither rules nor routes can be compared with it.
    """
    assert None is path(world(), HOST).open


def test_where_the_list_of_service_tags_was_read_ranges_are_compared_with_it() -> None:
    """
    The tag of the region counts, else that of all regions.
    """
    tags = (ServiceTag(name="Storage.WestEurope", prefixes=("20.38.0.0/16",)),)
    listed = ServiceTagsList(id="/tags", name="Public", tags=tags)
    shut = nsg("shut", rule("ranges", 200, "Allow", destinations=("20.38.0.0/16",)), rule("deny", 300))
    there = world(shut, place={"nsg_id": shut.id})

    assert [None, True] == [path(each).open for each in (there, with_records(there, listed))]


# --- destinations and findings ------------------------------------------------------------------------------------


def test_the_proxy_is_a_destination_where_it_was_chosen() -> None:
    """
    By address, or by a name whose address nobody knows here.
    """
    chosen = {"network_option": "http_proxy", "proxy_port": 3128}
    found = [destinations(build(chosen | {"proxy_host": host}))[-1] for host in ("10.0.9.9", "proxy.example")]

    assert (WIRE, *SERVICES) == destinations(build({}))
    assert [("10.0.9.9:3128", "10.0.9.9"), ("proxy.example:3128", "")] == [(each.name, each.where) for each in found]


def test_an_agent_that_waits_for_its_network_has_not_shown_its_way() -> None:
    """
    It says Ready all the same.
    """
    there = world()
    (machine,) = there.vms.values()
    assert machine.agent
    waiting = replace(machine.agent, message="GuestAgent is running and waiting for network issue to be resolved.")

    assert "guest" == finding(with_records(there, replace(machine, agent=waiting)), "agent-wireserver").case


# --- the table ----------------------------------------------------------------------------------------------------


def rows(shown: render.Table) -> list[dict[str, Any]]:
    """
    The rows of a table by column.
    """
    return [dict(zip(shown.frame.columns, row, strict=True)) for row in shown.frame.itertuples(index=False, name=None)]


def shown(there: Inventory, **asked: Any) -> render.Table:
    """
    The truth table of an estate.
    """
    tracer, wanted = Tracer(there), destinations(build(asked))
    return render.truth_table(there, [each for vm in there.vms.values() for each in tracer.paths(vm, wanted)], "en")


def test_the_truth_table_has_a_row_for_what_is_held_up_and_one_for_what_is_open() -> None:
    """
    With the NSG and rule that decide, the route, the way out, who needs it, and the guide's verdict.
    """
    shut = nsg("shut", rule("backup", 200, destinations=("AzureBackup",)))
    there = world(shut, place={"nsg_id": shut.id})
    table = shown(there, network_option="http_proxy", proxy_host="10.0.9.9")
    held_up, plain = rows(table)

    assert {
        "vm": "web",
        "resource_group": "rg-app",
        "nic": "nic-web",
        "destination": "AzureBackup",
        "decision": "Deny by backup (200) of shut",
        "route": "Internet (0.0.0.0/0)",
        "way_out": "default outbound access",
        "needed": "no",
        "guide": "FAIL",
    } == held_up
    assert {
        "vm": "web",
        "resource_group": "rg-app",
        "nic": "nic-web",
        "destination": "168.63.129.16; Storage; AzureActiveDirectory; 10.0.9.9:8080",
        "decision": "not subject to NSGs; Allow by AllowInternetOutBound (65001) of shut; "
        "Allow by AllowVnetOutBound (65000) of shut",
        "route": "Internet (0.0.0.0/0); VnetLocal (10.0.0.0/16)",
        "way_out": "the platform itself; default outbound access; inside of the virtual networks",
        "needed": "yes: the VM agent; by choice: network_option sends traffic there",
        "guide": "no rule; PASS",
    } == plain
    assert "not subject to NSGs; no NSG in the way" == rows(shown(world()))[-1]["decision"]


def test_what_is_not_plainly_open_stands_first() -> None:
    """
    Shut, then unknown, then open: fifty VMs are read from the top.
    """
    shut = nsg("shut", rule("deny", 200, destinations=("AzureActiveDirectory",)))
    there = world(shut, place={"nsg_id": shut.id})
    unread = vm("other", nic_ids=("/gone",))
    table = shown(with_records(there, unread))

    assert ["FAIL", "UNKNOWN", "UNKNOWN", "UNKNOWN", "no rule; PASS", "no rule"] == [
        row["guide"] for row in rows(table)
    ]
    assert "4 of 8 ways are plainly open" in table.notes[0]


def test_who_needs_the_way_is_said_in_its_row() -> None:
    """
    Write Accelerator and workloads in the guest.
    """
    needed = [rows(shown(needing(world(), **fields)))[-1]["needed"] for fields in (FAST, GUEST)]

    assert [
        "yes: the VM agent; yes: Write Accelerator disks",
        "yes: the VM agent; yes: a workload is backed up inside the guest",
    ] == needed


def test_a_doubt_about_a_rule_reads_as_a_doubt() -> None:
    """
    A rule does not say Unknown: whether it matches cannot be told.
    """
    own = nsg("some", rule("deny-some", 200, destinations=("13.0.0.0/8",)))
    decisions = {row["decision"] for row in rows(shown(world(own, place={"nsg_id": own.id})))}

    assert "cannot tell whether deny-some (200) of some matches" in decisions
