"""
What an NSG does with an outbound packet: compared with a walk over every world that the rules leave open.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from builders import HOME, arm_id, estate, nic, nsg, rule, subnet
from hypothesis import given
from hypothesis import strategies as st
from network_cases import decide

from runbook_lib.arm import networks
from runbook_lib.checks.network import Decision, groups_of
from runbook_lib.records import IpConfiguration, SecurityGroup, SecurityRule

ASG = arm_id("Microsoft.Network/applicationSecurityGroups", "asg")
OTHER_ASG = arm_id("Microsoft.Network/applicationSecurityGroups", "other")
# Sources, and which of three addresses they hold.
HELD = {
    "*": {"10.0.0.4", "10.0.0.5", "10.0.0.6"},
    "VirtualNetwork": {"10.0.0.4", "10.0.0.5", "10.0.0.6"},
    "0.0.0.0/0": {"10.0.0.4", "10.0.0.5", "10.0.0.6"},
    "10.0.0.4": {"10.0.0.4"},
    "10.0.0.4/31": {"10.0.0.4", "10.0.0.5"},
    "10.0.0.6/32": {"10.0.0.6"},
    "192.168.0.0/16": set(),
    "Internet": set(),
}
SOURCES = tuple(HELD)
DESTINATIONS: tuple[str, ...] = (
    "*",
    "INTERNET",
    "0.0.0.0/0",
    "Storage",
    "storage.WestEurope",
    "Storage.NorthEurope",
    "AzureCloud",
)
DESTINATIONS += ("AzureBackup", "VirtualNetwork", "10.0.0.0/8", "192.168.1.1", "AzureCloud.northeurope", "Sql")
UNSURE_SOURCES = (ASG, OTHER_ASG)
UNSURE_DESTINATIONS = ("13.0.0.0/8", "20.1.0.0/16", "0.0.0.0/1")
PORTS = ("*", "443", "80", "400-500", "0-65535", "444-500", "0-442", "443-443")


def rules(sources: tuple[str, ...], destinations: tuple[str, ...]) -> st.SearchStrategy[tuple[SecurityRule, ...]]:
    """
    Up to five rules with different priorities, in any order.
    """
    one = st.builds(
        SecurityRule,
        name=st.sampled_from(["a", "b", "c"]),
        direction=st.sampled_from(["Outbound", "Outbound", "Outbound", "Inbound"]),
        access=st.sampled_from(["Allow", "Deny"]),
        priority=st.integers(100, 4096),
        protocol=st.sampled_from(["*", "Tcp", "TCP", "All", "Udp", "Icmp"]),
        sources=st.lists(st.sampled_from(sources), min_size=1, max_size=2, unique=True).map(tuple),
        destinations=st.lists(st.sampled_from(destinations), min_size=1, max_size=2, unique=True).map(tuple),
        ports=st.lists(st.sampled_from(PORTS), min_size=1, max_size=2, unique=True).map(tuple),
    ).map(with_groups_apart)
    return st.lists(one, max_size=5, unique_by=lambda each: each.priority).map(tuple)


def with_groups_apart(rule: SecurityRule) -> SecurityRule:
    """
    Keep application security groups apart from prefixes, as records do.
    """
    groups = tuple(each for each in rule.sources if each in UNSURE_SOURCES)
    return replace(rule, sources=tuple(each for each in rule.sources if each not in groups), source_asg_ids=groups)


def takes_port(written: str, port: int) -> bool:
    """
    Say by enumeration whether a range holds a port.
    """
    if written == "*":
        return True
    low, high = (written.split("-") * 2)[:2]
    return port in range(int(low), int(high) + 1)


def takes_sender(source: str, address: str, facts: dict[str, bool]) -> bool:
    """
    Say whether a source holds an address, in a world where memberships are known.
    """
    return facts[source] if source in facts else address in HELD[source]


def takes_receiver(prefix: str, tag: str, facts: dict[str, bool]) -> bool:
    """
    Say whether a destination holds a service in the VM's region, in a world where its addresses are known.
    """
    if prefix in facts:
        return facts[prefix]
    holding = {"*", "internet", "0.0.0.0/0", "azurecloud", f"azurecloud.{HOME}", tag.lower(), f"{tag.lower()}.{HOME}"}
    return prefix.lower() in holding


def walk(group: SecurityGroup, address: str, tag: str, port: int, facts: dict[str, bool]) -> str:
    """
    Follow the rules by hand, in one world.
    """
    for each in sorted(group.rules, key=lambda one: one.priority):
        if (
            each.direction == "Outbound"
            and each.protocol.upper() in ("*", "TCP", "ALL")
            and any(takes_port(written, port) for written in each.ports)
            and any(takes_sender(source, address, facts) for source in (*each.sources, *each.source_asg_ids))
            and any(takes_receiver(prefix, tag, facts) for prefix in each.destinations)
        ):
            return each.access
    return "Allow"


def worlds(group: SecurityGroup) -> list[dict[str, bool]]:
    """
    List every way in which what nobody can know offline may be.
    """
    named = {name for each in group.rules for name in (*each.sources, *each.source_asg_ids, *each.destinations)}
    open_ = sorted(named & {*UNSURE_SOURCES, *UNSURE_DESTINATIONS})
    return [dict(zip(open_, answers, strict=True)) for answers in itertools.product([True, False], repeat=len(open_))]


TAGS = st.sampled_from(["AzureBackup", "Storage"])
PORT = st.sampled_from([80, 443])


@given(rules(SOURCES, DESTINATIONS), TAGS, PORT)
def test_rules_that_can_be_compared_are_followed_to_the_letter(
    own: tuple[SecurityRule, ...], tag: str, port: int
) -> None:
    """
    Priority, direction, protocol, ports, sources and destinations decide as they do by hand.
    """
    group = nsg("nsg", *own)

    assert walk(group, "10.0.0.4", tag, port, {}) == decide(group, ("10.0.0.4",), tag, HOME, port).access


@given(
    rules(SOURCES + UNSURE_SOURCES, DESTINATIONS + UNSURE_DESTINATIONS),
    st.lists(st.sampled_from(["10.0.0.4", "10.0.0.5", "10.0.0.6"]), min_size=1, unique=True).map(tuple),
    TAGS,
    PORT,
)
def test_a_sure_answer_holds_in_every_world(
    own: tuple[SecurityRule, ...], addresses: tuple[str, ...], tag: str, port: int
) -> None:
    """
    Allow and Deny are said only where no membership and no address could make it otherwise.
    """
    group = nsg("nsg", *own)
    said = decide(group, addresses, tag, HOME, port).access
    possible = {walk(group, address, tag, port, facts) for address in addresses for facts in worlds(group)}

    assert "Unknown" == said or {said} == possible


@given(st.data(), TAGS, PORT)
def test_unknown_is_said_only_where_worlds_differ(data: st.DataObject, tag: str, port: int) -> None:
    """
    Where each open question stands in one rule alone, "cannot say" means just that.
    """
    own = data.draw(rules(SOURCES, DESTINATIONS))
    asked = [(ASG, ""), (OTHER_ASG, ""), *(("", prefix) for prefix in UNSURE_DESTINATIONS)]
    own = tuple(
        replace(
            each,
            sources=() if source else each.sources,
            source_asg_ids=(source,) if source else (),
            destinations=(to,) if to else each.destinations,
        )
        if data.draw(st.booleans())
        else each
        for each, (source, to) in zip(own, asked, strict=False)
    )
    group = nsg("nsg", *own)
    possible = {walk(group, "10.0.0.4", tag, port, facts) for facts in worlds(group)}

    assert (possible.pop() if len(possible) == 1 else "Unknown") == decide(group, ("10.0.0.4",), tag, HOME, port).access


@given(st.data(), rules(SOURCES, DESTINATIONS))
def test_the_order_in_which_rules_are_listed_does_not_matter(
    data: st.DataObject, own: tuple[SecurityRule, ...]
) -> None:
    """
    Only their priorities count.
    """
    shuffled = nsg("nsg", *data.draw(st.permutations(own)))

    assert decide(nsg("nsg", *own), ("10.0.0.4",), "Storage", HOME, 443) == decide(
        shuffled, ("10.0.0.4",), "Storage", HOME, 443
    )


def test_without_rules_of_its_own_an_nsg_lets_out() -> None:
    """
    Below all rules, traffic to the Internet is allowed.
    """
    assert Decision(access="Allow", rule="AllowInternetOutBound", priority=65001) == decide(
        nsg("nsg"), ("10.0.0.4",), "Storage", HOME, 443
    )


def test_the_rule_that_decides_is_named() -> None:
    """
    The lowest number wins, however the rules are listed.
    """
    group = nsg(
        "nsg",
        rule("late", 300),
        rule("early", 200, "Allow", destinations=("Storage",)),
        rule("in", 100, direction="Inbound"),
    )

    assert Decision(access="Allow", rule="early", priority=200) == decide(group, ("10.0.0.4",), "Storage", HOME, 443)
    assert Decision(access="Deny", rule="late", priority=300) == decide(group, ("10.0.0.4",), "AzureBackup", HOME, 443)


def test_an_unsure_rule_that_says_the_same_changes_nothing() -> None:
    """
    A Deny for some public addresses before a Deny for all is a Deny.
    """
    group = nsg("nsg", rule("some", 200, destinations=("13.0.0.0/8",)), rule("all", 300))

    assert Decision(access="Deny", rule="all", priority=300) == decide(group, ("10.0.0.4",), "Storage", HOME, 443)


def test_an_unsure_rule_that_says_otherwise_is_named() -> None:
    """
    Whoever wants to know more looks there.
    """
    group = nsg("nsg", rule("some", 200, "Allow", destinations=("13.0.0.0/8",)), rule("all", 300))

    assert Decision(access="Unknown", rule="some", priority=200) == decide(group, ("10.0.0.4",), "Storage", HOME, 443)


def test_addresses_that_are_treated_differently_cannot_be_answered_for() -> None:
    """
    The guest chooses which of its addresses it sends from.
    """
    group = nsg("nsg", rule("one", 200, sources=("10.0.0.4/32",)))

    assert ["Deny", "Allow", "Unknown"] == [
        decide(group, addresses, "Storage", HOME, 443).access
        for addresses in (("10.0.0.4",), ("10.0.0.5",), ("10.0.0.4", "10.0.0.5"))
    ]


def test_of_several_denials_the_first_is_named() -> None:
    """
    A rule that is to open the way must come before all of them.
    """
    group = nsg("nsg", rule("five", 150, sources=("10.0.0.5",)), rule("four", 200, sources=("10.0.0.4",)))

    assert Decision(access="Deny", rule="five", priority=150) == decide(
        group, ("10.0.0.4", "10.0.0.5"), "Storage", HOME, 443
    )


def test_a_sender_without_an_address_is_not_guessed() -> None:
    """
    An IPv6 configuration has none: a rule for some addresses may or may not be about it, one for all is.
    """
    some, everybody = nsg("nsg", rule("some", 200, sources=("10.0.0.0/8",))), nsg("nsg", rule("all", 200))

    assert "Unknown" == decide(some, (), "Storage", HOME, 443).access
    assert "Deny" == decide(everybody, (), "Storage", HOME, 443).access


@pytest.mark.parametrize(
    ("prefix", "access"),
    [
        ("Storage", "Deny"),
        ("STORAGE", "Deny"),
        ("Storage.WestEurope", "Deny"),
        ("Storage.NorthEurope", "Allow"),
        ("StorageSyncService", "Allow"),
        ("AzureCloud", "Deny"),
        ("AzureCloud.westeurope", "Deny"),
        ("AzureCloud.northeurope", "Allow"),
        ("Internet", "Deny"),
        ("INTERNET", "Deny"),
        ("Any", "Deny"),
        ("10.0.0.0/8", "Allow"),
        ("172.16.0.0/12", "Allow"),
        ("VirtualNetwork", "Allow"),
        # A part of all public addresses: it may hold some of the service's.
        ("0.0.0.0/1", "Unknown"),
        ("20.38.98.0/24", "Unknown"),
        ("8.8.8.8", "Unknown"),
        # Not wholly private: the rest of it is public.
        ("10.0.0.0/7", "Unknown"),
        ("192.0.0.0/8", "Unknown"),
        ("not-a-prefix", "Allow"),
        ("2603:1000::/24", "Allow"),
    ],
)
def test_a_destination_covers_a_service_or_not_or_nobody_knows(prefix: str, access: str) -> None:
    """
    Tags by name and region without case; private ranges never; public ranges perhaps, for they change weekly.
    """
    group = nsg("nsg", rule("deny", 200, destinations=(prefix,)))

    assert access == decide(group, ("10.0.0.4",), "Storage", HOME, 443).access


@pytest.mark.parametrize(
    ("prefix", "access"),
    [("Internet", "Deny"), ("*", "Deny"), ("Storage", "Allow"), ("AzureCloud", "Allow"), ("10.0.0.0/8", "Allow")],
)
def test_the_whole_internet_is_more_than_one_service(prefix: str, access: str) -> None:
    """
    A rule for a tag does not decide about a proxy's way out.
    """
    group = nsg("nsg", rule("deny", 200, destinations=(prefix,)))

    assert access == decide(group, ("10.0.0.5",), "Internet", HOME, 443).access


@pytest.mark.parametrize(
    ("ports", "access"),
    [
        (("443",), "Deny"),
        (("80", "443"), "Deny"),
        (("400-443",), "Deny"),
        (("443-500",), "Deny"),
        (("444-500",), "Allow"),
        (("442",), "Allow"),
        ((), "Allow"),
        (("443-",), "Allow"),
        (("443-x",), "Allow"),
        (("²",), "Allow"),
    ],
)
def test_ports_are_numbers_and_ranges(ports: tuple[str, ...], access: str) -> None:
    """
    Both ends belong to a range; what is no port matches nothing, and is no error.
    """
    assert access == decide(nsg("nsg", rule("deny", 200, ports=ports)), ("10.0.0.4",), "Storage", HOME, 443).access


# --- as ARM writes rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "access"),
    [
        ({"destinationAddressPrefix": "*", "destinationPortRange": "443"}, "Deny"),
        ({"destinationAddressPrefixes": ["Sql", "Storage"], "destinationPortRanges": ["80", "440-450"]}, "Deny"),
        # One form may be empty beside the other, and both may be filled.
        (
            {
                "destinationAddressPrefix": "",
                "destinationAddressPrefixes": ["Storage"],
                "destinationPortRange": "80",
                "destinationPortRanges": ["443"],
            },
            "Deny",
        ),
        ({"destinationAddressPrefix": "*", "destinationAddressPrefixes": [], "destinationPortRange": "80"}, "Allow"),
        ({"destinationApplicationSecurityGroups": [{"id": ASG}], "destinationPortRange": "*"}, "Allow"),
        (
            {
                "sourceAddressPrefix": None,
                "sourceApplicationSecurityGroups": [{"id": ASG}],
                "destinationAddressPrefix": "*",
                "destinationPortRange": "*",
            },
            "Unknown",
        ),
        ({"destinationAddressPrefix": "*", "destinationPortRange": "*", "protocol": "UDP"}, "Allow"),
        ({"destinationAddressPrefix": "*", "destinationPortRange": "*", "protocol": "tcp"}, "Deny"),
        ({"destinationAddressPrefix": "*", "destinationPortRange": "*", "direction": "inbound"}, "Allow"),
        ({"destinationAddressPrefix": "*", "destinationPortRange": "*", "access": "allow"}, "Allow"),
    ],
)
def test_a_rule_is_read_in_any_of_its_forms(given_: dict[str, object], access: str) -> None:
    """
    Singular, plural, both or groups; words in any case.
    """
    usual = {"direction": "Outbound", "access": "Deny", "priority": 200, "protocol": "Tcp", "sourceAddressPrefix": "*"}
    row = {
        "id": nsg("nsg").id,
        "location": "West Europe",
        "properties": {"securityRules": [{"name": "r", "properties": usual | given_}]},
    }

    assert access == decide(networks.security_group(row), ("10.0.0.4",), "Storage", HOME, 443).access


# --- which NSGs a packet meets ------------------------------------------------------------------------------------


def test_packets_meet_the_nsg_of_the_nic_then_that_of_each_subnet() -> None:
    """
    Outbound, in this order, each once.
    """
    mine, theirs = nsg("nsg-nic"), nsg("nsg-net")
    nets = [subnet("a", nsg_id=theirs.id.upper()), subnet("b", nsg_id=theirs.id), subnet("c")]
    configurations = tuple(IpConfiguration(subnet_id=net.id.upper(), private_ip="10.0.0.4") for net in nets)
    own = nic(nsg_id=mine.id.upper(), ip_configurations=configurations)

    assert (mine, theirs) == groups_of(estate(own, mine, theirs, *nets), own)


def test_without_any_nsg_nothing_stands_in_the_way() -> None:
    """
    A NIC whose subnet has none meets none.
    """
    net = subnet()

    assert () == groups_of(estate(net), nic(subnet_id=net.id))
    assert () == groups_of(estate(), nic())


@pytest.mark.parametrize("own", [nic(nsg_id="/gone"), nic(subnet_id="/gone")])
def test_an_nsg_that_could_not_be_read_is_not_left_out(own: object) -> None:
    """
    Nor is a subnet that may have one.
    """
    assert groups_of(estate(), own) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("access", ["Allow", "Deny"])
def test_what_the_service_has_not_made_opens_nothing(access: str) -> None:
    """
    A rule that could not be made, or is still being made, lets nobody out; a denial may hold all the same.
    """
    other = rule("open", 300, "Allow") if access == "Deny" else rule("closed", 300)
    group = nsg("nsg", rule("unmade", 200, access, unmade=True), other)

    assert "Deny" == decide(group, ("10.0.0.4",), "Storage", HOME, 443).access
