"""
What NSGs do with a packet, compared with a walk by hand over a small space of addresses, ports and priorities.
"""

from __future__ import annotations

from typing import Any

import pytest
from builders import HOME, arm_id, nsg, rule
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.checks.network import Decision, Packet, outbound, through
from runbook_lib.records import SecurityGroup, SecurityRule, key

SENDERS = [f"10.0.0.{n}" for n in range(8)]
INSIDE = [f"10.0.0.{n}" for n in range(16)]
PUBLIC = [f"20.0.0.{n}" for n in range(8)]
# Private, but not of the virtual network.
FAR = ["172.16.0.1"]
EVERYBODY = [*INSIDE, *PUBLIC, *FAR]
# Who is in what, told one by one.
HELD = {
    "*": EVERYBODY,
    "0.0.0.0/0": EVERYBODY,
    "Internet": PUBLIC,
    "VirtualNetwork": INSIDE,
    "10.0.0.0/28": INSIDE,
    "10.0.0.0/30": INSIDE[:4],
    "10.0.0.4/30": INSIDE[4:8],
    "10.0.0.6/31": INSIDE[6:8],
    "10.0.0.5": INSIDE[5:6],
    "10.0.0.8/29": INSIDE[8:],
    "20.0.0.0/29": PUBLIC,
    "20.0.0.4/30": PUBLIC[4:],
    "20.0.0.3/32": PUBLIC[3:4],
    "172.16.0.0/12": FAR,
    "2001:db8::/32": [],
}
PORTS = {"*": range(9), "0-65535": range(9), "3": [3], "3-3": [3], "1-4": [1, 2, 3, 4], "5-8": [5, 6, 7, 8], "9": []}
# Ports that a client takes for itself are 1024 and above, so these hold all of them or none.
OWN_PORTS = {"*": True, "0-65535": True, "1024-65535": True, "80": False, "0-1023": False}
ASGS = [arm_id("Microsoft.Network/applicationSecurityGroups", name) for name in ("web", "DB")]

prefixes = st.lists(st.sampled_from(sorted(HELD)), max_size=2, unique=True).map(tuple)
groups = st.lists(st.sampled_from(ASGS), max_size=1).map(tuple)
memberships = st.sets(st.sampled_from([key(each) for each in ASGS])).map(frozenset)
security_rules = st.builds(
    SecurityRule,
    name=st.sampled_from(["a", "b", "c", "d"]),
    direction=st.sampled_from(["Outbound", "Outbound", "Outbound", "Inbound"]),
    access=st.sampled_from(["Allow", "Deny"]),
    priority=st.integers(100, 108),
    protocol=st.sampled_from(["*", "All", "Tcp", "TCP", "Udp"]),
    sources=prefixes,
    destinations=prefixes,
    ports=st.lists(st.sampled_from(sorted(PORTS)), min_size=1, max_size=2, unique=True).map(tuple),
    source_ports=st.lists(st.sampled_from(sorted(OWN_PORTS)), max_size=2, unique=True).map(tuple),
    source_asg_ids=groups,
    destination_asg_ids=groups,
)
rule_lists = st.lists(security_rules, max_size=6, unique_by=lambda each: each.priority).map(tuple)
packets = st.builds(
    Packet,
    address=st.sampled_from(SENDERS),
    destination=st.sampled_from(EVERYBODY),
    port=st.integers(0, 8),
    location=st.just(HOME),
    protocol=st.sampled_from(["Tcp", "Udp"]),
    asg_ids=memberships,
    destination_asg_ids=memberships,
    space=st.just(("10.0.0.0/28",)),
    whole_space=st.just(True),
)


def holds(named: tuple[str, ...], asg_ids: tuple[str, ...], address: str, member_of: frozenset[str] | None) -> bool:
    """
    Say whether one side of a rule holds an address.
    """
    return any(address in HELD[each] for each in named) or any(key(each) in (member_of or ()) for each in asg_ids)


def walk(own: tuple[SecurityRule, ...], packet: Packet) -> tuple[str, str, int]:
    """
    Try the priorities one after the other.
    """
    for priority in range(100, 109):
        for each in own:
            if (
                (each.priority, each.direction) == (priority, "Outbound")
                and each.protocol.upper() in ("*", "ALL", packet.protocol.upper())
                and any(packet.port in PORTS[written] for written in each.ports)
                and (not each.source_ports or any(OWN_PORTS[written] for written in each.source_ports))
                and holds(each.sources, each.source_asg_ids, packet.address, packet.asg_ids)
                and holds(each.destinations, each.destination_asg_ids, packet.destination, packet.destination_asg_ids)
            ):
                return each.access, each.name, priority
    if packet.destination in INSIDE:
        return "Allow", "AllowVnetOutBound", 65000
    if packet.destination in PUBLIC:
        return "Allow", "AllowInternetOutBound", 65001
    return "Deny", "DenyAllOutBound", 65500


@given(rule_lists, packets)
def test_where_all_is_known_every_packet_is_decided_to_the_letter(
    own: tuple[SecurityRule, ...], packet: Packet
) -> None:
    """
    Access, rule and priority are those of a walk by hand: nothing is left open.
    """
    access, name, priority = walk(own, packet)

    assert Decision(access=access, rule=name, priority=priority) == outbound(nsg("nsg", *own), [packet])


@given(rule_lists, rule_lists, packets)
def test_both_nsgs_must_allow(
    first: tuple[SecurityRule, ...], second: tuple[SecurityRule, ...], packet: Packet
) -> None:
    """
    A packet passes two NSGs where each passes it, and the first that denies is named.
    """
    said = [(name, walk(own, packet)) for name, own in (("nsg-nic", first), ("nsg-net", second))]
    denied = [(name, decided) for name, decided in said if decided[0] == "Deny"]
    name, decision = through([nsg("nsg-nic", *first), nsg("nsg-net", *second)], [packet])

    assert decision is not None
    assert (denied or said[-1:])[0] == (name, (decision.access, decision.rule, decision.priority))


@given(rule_lists, st.lists(packets, min_size=1, max_size=3))
def test_several_addresses_agree_or_nobody_can_say(own: tuple[SecurityRule, ...], sent: list[Packet]) -> None:
    """
    Which address it sends from is the guest's choice, so they must be treated alike for a sure answer.
    """
    accesses = {walk(own, packet)[0] for packet in sent}

    assert (accesses.pop() if len(accesses) == 1 else "Unknown") == outbound(nsg("nsg", *own), sent).access


# --- what stays open ----------------------------------------------------------------------------------------------


def decided(group: SecurityGroup, **fields: object) -> str:
    """
    The access of one packet to Storage.
    """
    usual = {"address": "10.0.0.4", "destination": "Storage", "port": 443, "location": HOME}
    return outbound(group, [Packet(**usual | fields)]).access  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asg_ids", "access"),
    [
        (None, "Unknown"),
        (frozenset(), "Allow"),
        (frozenset({key(ASGS[0])}), "Deny"),
        (frozenset({key(ASGS[1])}), "Allow"),
    ],
)
def test_a_rule_for_a_group_is_about_its_members(asg_ids: frozenset[str] | None, access: str) -> None:
    """
    Ids are compared without case; where membership is not known, nobody can say.
    """
    group = nsg("nsg", rule("deny", 200, sources=(), source_asg_ids=(ASGS[0].upper(),)))

    assert access == decided(group, asg_ids=asg_ids)


def test_a_service_is_in_no_application_security_group() -> None:
    """
    A rule to a group's members says nothing about Azure Storage, but may be about a host whose address is not known.
    """
    group = nsg("nsg", rule("deny", 200, destinations=(), destination_asg_ids=(ASGS[0],)))

    assert ["Allow", "Unknown"] == [decided(group), decided(group, destination="")]


@pytest.mark.parametrize(
    ("ports", "access"),
    [
        (("*",), "Deny"),
        (("1-500", "1024-65535"), "Deny"),
        (("80",), "Allow"),
        (("2000-3000",), "Unknown"),
        ((), "Deny"),
    ],
)
def test_the_senders_own_port_is_any_of_those_above_1023(ports: tuple[str, ...], access: str) -> None:
    """
    A rule for some of them may or may not match.
    """
    assert access == decided(nsg("nsg", rule("deny", 200, source_ports=ports)))


@pytest.mark.parametrize(
    ("tag", "destination", "access"),
    [
        # Measured: part of Entra ID's addresses is in these, and part is not.
        ("AzureCloud", "AzureActiveDirectory", "Unknown"),
        ("AzureCloud.northeurope", "AzureActiveDirectory", "Unknown"),
        ("AzureActiveDirectoryDomainServices", "AzureActiveDirectory", "Unknown"),
        ("AzureActiveDirectory.ServiceEndpoint", "AzureActiveDirectory", "Unknown"),
        ("AzureActiveDirectory", "AzureActiveDirectory", "Deny"),
        ("AzureCloud", "AzureBackup", "Deny"),
        ("Sql", "AzureActiveDirectory", "Allow"),
    ],
)
def test_tags_that_share_addresses_are_not_taken_for_one_another(tag: str, destination: str, access: str) -> None:
    """
    A tag decides where it holds the whole service, or none of it.
    """
    assert access == decided(nsg("nsg", rule("deny", 200, destinations=(tag,))), destination=destination)


@pytest.mark.parametrize(
    ("known", "access"),
    [
        ({"space": ("10.0.0.0/8",), "routed": ("172.16.0.0/12",)}, "Allow"),
        ({"routed": ("0.0.0.0/0",)}, "Unknown"),
        ({"routed": ("20.0.0.0/8",)}, "Unknown"),
        # As the service shows it.
        ({"space": ("10.0.0.0/8", "0.0.0.0/0"), "whole_space": True}, "Unknown"),
    ],
)
def test_routes_of_ones_own_may_widen_the_tag_virtual_network(known: dict[str, Any], access: str) -> None:
    """
    The tag may hold their prefixes too, the default route among them: a rule for it may then be about a service.
    """
    assert access == decided(nsg("nsg", rule("deny", 200, destinations=("VirtualNetwork",))), **known)


def test_an_address_behind_a_route_of_ones_own_may_be_in_the_tag() -> None:
    """
    Then the default rule for the virtual network may let packets to it through.
    """
    group = nsg("nsg", rule("vnet", 200, destinations=("VirtualNetwork",)))

    assert ["Allow", "Unknown"] == [
        decided(group, destination="20.1.2.3", routed=routed) for routed in ((), ("20.0.0.0/8",))
    ]


@pytest.mark.parametrize(
    ("prefixes", "access"),
    [
        (("20.38.0.0/17", "20.38.128.0/17"), "Deny"),
        (("20.0.0.0/8",), "Deny"),
        (("20.38.0.0/17",), "Unknown"),
        (("20.38.255.0/24", "9.9.9.9"), "Unknown"),
        (("9.9.9.9", "20.39.0.0/16"), "Allow"),
        (("10.0.0.0/8",), "Allow"),
        ((), "Allow"),
    ],
)
def test_ranges_are_compared_with_the_list_of_service_tags(prefixes: tuple[str, ...], access: str) -> None:
    """
    Where a service's addresses were read, a rule holds all of them, none, or nobody can say which.
    """
    assert access == decided(nsg("nsg", rule("deny", 200, destinations=prefixes)), ranges=("20.38.0.0/16",))


@pytest.mark.parametrize(
    ("destinations", "port", "access"),
    [
        (("*",), 80, "Allow"),
        (("168.63.129.16", "Internet", "VirtualNetwork"), 32526, "Allow"),
        (("AzurePlatformDNS",), 80, "Allow"),
        (("AzurePlatformDNS",), 53, "Deny"),
        (("AzurePlatformIMDS",), 53, "Allow"),
        (("*",), 53, "Allow"),
    ],
)
def test_the_platforms_own_address_is_held_up_by_its_tags_alone(
    destinations: tuple[str, ...], port: int, access: str
) -> None:
    """
    Rules about everything do not apply to 168.63.129.16; the tag of its name service applies to port 53.
    """
    group = nsg("nsg", rule("deny", 200, destinations=destinations))

    assert access == decided(group, destination="168.63.129.16", port=port)


def test_a_host_whose_address_is_not_known_is_decided_by_rules_for_everything_alone() -> None:
    """
    Any other rule may or may not be about it.
    """
    everything, some = nsg("nsg", rule("deny", 200)), nsg("nsg", rule("some", 100, destinations=("10.0.0.0/8",)))

    assert ["Deny", "Unknown"] == [decided(each, destination="") for each in (everything, some)]


def test_a_private_address_elsewhere_may_be_peered() -> None:
    """
    Without the service's word on the virtual network, the default rules leave it open.
    """
    known = {"destination": "172.16.0.1", "space": ("10.0.0.0/16",)}

    assert ["Unknown", "Deny"] == [decided(nsg("nsg"), **known, whole_space=whole) for whole in (False, True)]
