"""
What network security groups (NSGs) do with an outbound packet, told from their rules alone.

In each NSG the rule with the lowest priority number that matches decides; below all rules of its own stand the three
default ones. Addresses of Azure's services are public and change weekly, so a rule about public ranges may or may not
be about a service: the answer is Unknown where such a rule would change it. Imports `records` and `same`.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from runbook_lib.checks.network.same import Same
from runbook_lib.records import SecurityGroup, SecurityRule, key

__all__ = [
    "HTTPS",
    "SHARING",
    "TAGS",
    "WIRESERVER",
    "Decision",
    "Packet",
    "is_public",
    "network_of",
    "outbound",
]

# What the backup extension of the guide needed, as today's service tags.
TAGS = ("AzureBackup", "Storage", "AzureActiveDirectory")
HTTPS = 443
# Where the VM agent finds the platform (page on 168.63.129.16).
WIRESERVER = "168.63.129.16"
# Traffic to the host's own address is not subject to NSGs, but for rules that name the tag of a service behind it
# (service tags overview, platform considerations). Of the tags that there are, this one alone is about that address.
_PLATFORM = {(WIRESERVER, 53): "azureplatformdns"}
_EVERYWHERE = frozenset({"*", "0.0.0.0/0", "any"})
# Tags that share some addresses with a service, but not all: measured over Microsoft's list of 28 October 2025, in
# which no other tag has an address of the three services. AzureCloud of a region holds all of the region's.
SHARING = {"azureactivedirectory": ("azurecloud", "azureactivedirectory", "azureactivedirectorydomainservices")}
# A client takes its own port from here up, whatever its system.
_FIRST_OWN_PORT = 1024
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What one NSG does with a packet.

    Attributes:
        access: Allow, Deny, or Unknown where a rule's addresses cannot be compared with the destination offline.
        rule: name of the rule that decides; empty where the platform lets the packet through.
        priority: of that rule; from 65000 on for the default rules.
    """

    access: str
    rule: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """
    An outbound packet, as far as it is known.

    Attributes:
        address: private address of the sender; empty where it has none, or none is known.
        destination: a service tag, `Internet`, an IPv4 address, or empty where only a name is known.
        port: of the destination.
        location: region of the sender: `Storage.WestEurope` covers the service there only.
        protocol: in ARM's word.
        asg_ids: keys of the application security groups that the sender is in; None where that is not known.
        destination_asg_ids: likewise, of the receiver.
        space: what the tag VirtualNetwork stands for where the sender is, as far as it is known.
        whole_space: whether `space` is all of it, for the service said so.
        routed: prefixes of one's own routes, which the tag may hold too, the default route among them.
        ranges: addresses of the service, where the list of service tags was read.
    """

    address: str
    destination: str
    port: int
    location: str
    protocol: str = "Tcp"
    asg_ids: frozenset[str] | None = None
    destination_asg_ids: frozenset[str] | None = None
    space: tuple[str, ...] = ()
    whole_space: bool = False
    routed: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


# What of a packet is about its receiver: the same for all senders of a network.
_RECEIVER = tuple(each.name for each in fields(Packet) if each.name not in ("address", "asg_ids"))
_receiver = attrgetter(*_RECEIVER)


def _default(name: str, priority: int, access: str, source: str, destination: str) -> SecurityRule:
    return SecurityRule(
        name=name,
        direction="Outbound",
        access=access,
        priority=priority,
        protocol="*",
        sources=(source,),
        destinations=(destination,),
        ports=("*",),
    )


# The default rules of every NSG (azure-contract; the same in every recorded NSG).
_DEFAULTS = (
    _default("AllowVnetOutBound", 65000, "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default("AllowInternetOutBound", 65001, "Allow", "*", "Internet"),
    _default("DenyAllOutBound", 65500, "Deny", "*", "*"),
)


def outbound(group: SecurityGroup, packets: Iterable[Packet]) -> Decision:
    """
    Say what *group* does with *packets*, one for each address that the sender has: which one it takes is its choice.
    """
    decisions = [_first_match(_about(Same(group), _receiver(packet)), packet) for packet in packets]
    first = min(decisions, key=lambda each: each.priority)
    return first if all(each.access == first.access for each in decisions) else replace(first, access="Unknown")


def _first_match(rules: Iterable[tuple[SecurityRule, bool]], packet: Packet) -> Decision:
    uncertain: list[SecurityRule] = []
    for rule, sure in rules:
        sends = _covers_sender(rule, packet)
        if sends is False:
            continue
        if sends and sure:
            return _settle(uncertain, rule.access, rule.name, rule.priority)
        uncertain.append(rule)
    # Below the default rules there is nothing but the platform.
    return _settle(uncertain, "Allow", "", 0)


@lru_cache(maxsize=16384)
def _about(group: Same[SecurityGroup], receiver: tuple[Any, ...]) -> tuple[tuple[SecurityRule, bool], ...]:
    """
    List the rules that may be about a receiver, in their order, and for each whether it surely is.

    What is sure for every sender ends the list: no packet comes past it.
    """
    packet = Packet(address="", **dict(zip(_RECEIVER, receiver, strict=True)))
    covers = _covers_platform if packet.destination == WIRESERVER else _covers_receiver
    found: list[tuple[SecurityRule, bool]] = []
    outgoing = (rule for rule in (*group.value.standing, *_DEFAULTS) if rule.direction == "Outbound")
    for rule in sorted(outgoing, key=lambda each: each.priority):
        if not _takes(rule, packet):
            continue
        answers = (covers(rule, packet), _covers_own_port(rule))
        if False in answers:
            continue
        sure = None not in answers
        found.append((rule, sure))
        if sure and not _EVERYWHERE.isdisjoint(rule.sources):
            break
    return tuple(found)


def _takes(rule: SecurityRule, packet: Packet) -> bool:
    if rule.protocol.lower() not in ("*", "all", packet.protocol.lower()):
        return False
    return any(low <= packet.port <= high for low, high in _ranges(rule.ports))


def _settle(uncertain: list[SecurityRule], access: str, name: str, priority: int) -> Decision:
    # A rule that may or may not match changes nothing as long as it says the same as the one that surely does.
    other = next((rule for rule in uncertain if rule.access != access), None)
    if other:
        return Decision(access="Unknown", rule=other.name, priority=other.priority)
    return Decision(access=access, rule=name, priority=priority)


def _best(answers: Iterable[bool | None]) -> bool | None:
    """
    Any yes is a yes; else any "cannot say" is that; else no.
    """
    found = set(answers)
    if True in found:
        return True
    return None if None in found else False


def _covers_sender(rule: SecurityRule, packet: Packet) -> bool | None:
    answers = {_holds_sender(each, packet.address) for each in rule.sources}
    answers.add(_member(rule.source_asg_ids, packet.asg_ids))
    return _best(answers)


def _holds_sender(source: str, address: str) -> bool | None:
    said = source.lower()
    if said in _EVERYWHERE or said == "virtualnetwork":
        return True
    network = network_of(said)
    if network is None:
        # A tag of some service: no VM sends from there.
        return False
    sender = network_of(address)
    return None if sender is None else sender.network_address in network


def _member(wanted: tuple[str, ...], own: frozenset[str] | None) -> bool | None:
    if not wanted:
        return False
    return None if own is None else any(key(each) in own for each in wanted)


def _covers_own_port(rule: SecurityRule) -> bool | None:
    if not rule.source_ports or "*" in rule.source_ports:
        return True
    ranges = [(max(low, _FIRST_OWN_PORT), high) for low, high in _ranges(rule.source_ports)]
    if any(low == _FIRST_OWN_PORT and high == _LAST_PORT for low, high in ranges):
        return True
    return None if any(low <= high for low, high in ranges) else False


def _covers_platform(rule: SecurityRule, packet: Packet) -> bool:
    tag = _PLATFORM.get((packet.destination, packet.port))
    return any(each.lower() == tag for each in rule.destinations)


def _covers_receiver(rule: SecurityRule, packet: Packet) -> bool | None:
    address = _address(packet.destination)
    answers: set[bool | None] = set()
    for prefix in rule.destinations:
        if prefix.lower() in _EVERYWHERE:
            return True
        if not packet.destination:
            answers.add(None)
        elif address:
            answers.add(_holds_address(prefix.lower(), address, packet))
        elif network_of(prefix) is None:
            answers.add(_holds_service(prefix.lower(), packet))
    if packet.destination and not address:
        answers.add(_holds_ranges(rule.destinations, packet.ranges))
    # A service is no member of an application security group.
    if rule.destination_asg_ids and (address or not packet.destination):
        answers.add(_member(rule.destination_asg_ids, packet.destination_asg_ids))
    return _best(answers)


def _holds_address(prefix: str, address: ipaddress.IPv4Address, packet: Packet) -> bool | None:
    network = network_of(prefix)
    if network is not None:
        return address in network
    inside = any(address in known for known in _networks(packet.space))
    if prefix == "virtualnetwork":
        # What is private and not here may be peered, or on premises: the tag holds that too.
        may_be = any(address in known for known in _networks(packet.routed))
        return inside or (False if packet.whole_space or (is_public(address) and not may_be) else None)
    if prefix == "internet":
        return is_public(address) and not inside
    # The addresses behind other tags are not known here; private they never are.
    return None if is_public(address) else False


def _holds_service(tag: str, packet: Packet) -> bool | None:
    wanted = packet.destination.lower()
    if tag in ("internet", wanted):
        return True
    if tag == "virtualnetwork":
        return None if any(map(is_public, _networks(packet.space + packet.routed))) else False
    if wanted == "internet":
        return False
    name, _, region = tag.partition(".")
    if name in SHARING.get(wanted, ()):
        return None
    return name in ("azurecloud", wanted) and region in ("", packet.location)


@lru_cache(maxsize=4096)
def _holds_ranges(prefixes: tuple[str, ...], wanted: tuple[str, ...]) -> bool | None:
    """
    Tell whether *prefixes* hold all of a service's addresses, none, or some; public ones may where nobody knows these.
    """
    own = list(ipaddress.collapse_addresses(_networks(prefixes)))
    if not wanted:
        return None if any(map(is_public, own)) else False
    starts = [int(each.network_address) for each in own]
    held = []
    for each in ipaddress.collapse_addresses(_networks(wanted)):
        # Neither list overlaps itself, so the last one that starts before the end is the one that may hold it.
        last = bisect_right(starts, int(each.broadcast_address)) - 1
        held.append(None if last < 0 or not own[last].overlaps(each) else each.subnet_of(own[last]))
    if all(held):
        return True
    return None if any(each is not None for each in held) else False


def is_public(where: ipaddress.IPv4Address | ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """
    Tell whether an address, or some of a range, is public.
    """
    return where.is_global


@lru_cache(maxsize=65536)
def network_of(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """
    Read an address or a range in CIDR form; None where it is neither, but a tag or a wildcard.
    """
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _networks(space: tuple[str, ...]) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(each for each in map(network_of, space) if isinstance(each, ipaddress.IPv4Network))


@lru_cache(maxsize=4096)
def _address(destination: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(destination)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def _ranges(written: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(_range(each) for each in written)


def _range(written: str) -> tuple[int, int]:
    if written == "*":
        return 0, _LAST_PORT
    low, dash, high = written.partition("-")
    if not dash:
        high = low
    # What is no port matches nothing: the first end lies behind the last.
    return (int(low), int(high)) if low.isdecimal() and high.isdecimal() else (1, 0)
