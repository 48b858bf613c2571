"""
The way of a packet from a network interface: its NSGs, the next hop, and what lets it out of the virtual network.

Outbound packets meet the NSG of the network interface first, then that of the subnet; both must allow. Imports
`records`, `rules` and `routes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from runbook_lib.checks.network.routes import Hop, next_hop, routes_from
from runbook_lib.checks.network.rules import HTTPS, TAGS, WIRESERVER, Decision, Packet, outbound
from runbook_lib.records import (
    Inventory,
    IpConfiguration,
    NetworkInterface,
    Route,
    SecurityGroup,
    Subnet,
    VirtualMachine,
    key,
)

__all__ = [
    "NAMES",
    "SERVICES",
    "WIRE",
    "Destination",
    "Path",
    "Tracer",
    "groups_of",
    "network_key",
    "through",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """
    Where a packet is to go.

    Attributes:
        name: how it is shown: a service tag, an address or a host name.
        where: service tag or IPv4 address; empty for a host name, whose address nobody knows here.
    """

    name: str
    where: str
    port: int
    protocol: str = "Tcp"


SERVICES = tuple(Destination(name=tag, where=tag, port=HTTPS) for tag in TAGS)
# The agent takes ports 80 and 32526 there, and the resolver of Azure answers at the same address.
WIRE = Destination(name=WIRESERVER, where=WIRESERVER, port=80)
NAMES = Destination(name=WIRESERVER, where=WIRESERVER, port=53, protocol="Udp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """
    How far a packet from a network interface comes.

    Attributes:
        vm: ARM id of the VM.
        nic: name of the network interface.
        nsgs_read: whether all its NSGs could be read.
        nsg: name of the NSG that decides; empty where none does.
        decision: of that NSG; None where none stands in the way, or one could not be read.
        hop: None where the platform carries the packet, or the routes could not be read.
        way: what lets it out: `platform`, `network`, `endpoint`, `nat_gateway`, `public_ip`, `load_balancer` or
            `default`; `closed` where nothing does, `elsewhere` where an appliance or a gateway decides, or `unknown`.
        open: True, False, or None where nobody can say.
    """

    vm: str
    nic: str
    destination: Destination
    nsgs_read: bool = False
    nsg: str = ""
    decision: Decision | None = None
    hop: Hop | None = None
    way: str = "unknown"
    open: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """
    An IP configuration and what surrounds it.
    """

    configuration: IpConfiguration
    subnet: Subnet
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """
    A network interface and what its packets meet, whatever their destination.

    Attributes:
        groups: None when one could not be read.
        places: none when one could not be read.
        senders: addresses, each with the application security groups that it is in.
        space: what the tag VirtualNetwork stands for, as far as it is known.
        routed: prefixes of one's own routes.
    """

    groups: tuple[SecurityGroup, ...] | None
    places: tuple[_Place, ...]
    senders: tuple[tuple[str, frozenset[str]], ...]
    space: tuple[str, ...]
    routed: tuple[str, ...]


def groups_of(inventory: Inventory, nic: NetworkInterface) -> tuple[SecurityGroup, ...] | None:
    """
    Return the NSGs that outbound packets of *nic* meet, in order; None when one that is named could not be read.
    """
    ids = [nic.nsg_id]
    for configuration in nic.ip_configurations:
        if not configuration.subnet_id:
            continue
        subnet = inventory.subnets.get(key(configuration.subnet_id))
        if subnet is None:
            return None
        ids.append(subnet.nsg_id)
    groups = []
    for nsg_id in dict.fromkeys(key(each) for each in ids if each):
        if nsg_id not in inventory.nsgs:
            return None
        groups.append(inventory.nsgs[nsg_id])
    return tuple(groups)


def through(groups: Iterable[SecurityGroup], packets: Sequence[Packet]) -> tuple[str, Decision | None]:
    """
    Send *packets* through NSGs, all of which must allow.

    Returns:
        Name and decision of the one that decides: the first that denies, else the first that may, else the last.
    """
    decided = [(group.name, outbound(group, packets)) for group in groups]
    for access in ("Deny", "Unknown"):
        for name, decision in decided:
            if decision.access == access:
                return name, decision
    return decided[-1] if decided else ("", None)


class Tracer:
    """
    Follows packets through one inventory.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._cards: dict[str, _Card] = {}

    def paths(self, vm: VirtualMachine, destinations: Iterable[Destination]) -> Iterator[Path]:
        """
        Follow a packet from each network interface of *vm* to each destination.
        """
        for destination, nic_id in itertools.product(destinations, vm.nic_ids):
            yield self.path(vm, nic_id, destination)

    def path(self, vm: VirtualMachine, nic_id: str, destination: Destination) -> Path:
        """
        Follow a packet of *vm* from one of its network interfaces to *destination*.
        """
        nic = self.inventory.nics.get(key(nic_id))
        here: dict[str, Any] = {
            "vm": vm.id,
            "nic": nic.name if nic else nic_id.rsplit("/", 1)[-1],
            "destination": destination,
        }
        if destination == WIRE:
            # Neither NSGs nor routes matter to the agent's ports there (page on 168.63.129.16).
            return Path(**here, way="platform", open=True)
        card = self._card(nic) if nic else None
        if nic is None or card is None or card.groups is None:
            return Path(**here)
        nsg, decision = through(card.groups, self.packets(nic, destination))
        here |= {"nsgs_read": True, "nsg": nsg, "decision": decision}
        passes = _PASSES[decision.access if decision else "Allow"]
        if destination.where == WIRESERVER:
            return Path(**here, way="platform", open=passes)
        ends = [self._leave(vm, each, destination) for each in card.places]
        if not ends:
            return Path(**here, open=False if passes is False else None)
        # Which of its addresses the guest sends from is its own choice: the worst of them counts.
        hop, way, leaves = min(ends, key=lambda end: (False, None, True).index(end[2]))
        return Path(**here, hop=hop, way=way, open=_both(passes, leaves))

    def packets(self, nic: NetworkInterface, destination: Destination) -> tuple[Packet, ...]:
        """
        Write the packets that *nic* may send, one for each of its addresses.
        """
        card = self._card(nic)
        receivers, ranges = self._receivers(nic, destination.where), self._ranges(destination.where, nic.location)
        return tuple(
            Packet(
                address=address,
                destination=destination.where,
                port=destination.port,
                location=nic.location,
                protocol=destination.protocol,
                asg_ids=asg_ids,
                destination_asg_ids=receivers,
                space=card.space,
                routed=card.routed,
                ranges=ranges,
            )
            for address, asg_ids in card.senders
        )

    def _ranges(self, tag: str, location: str) -> tuple[str, ...]:
        listed = next(iter(self.inventory.service_tags.values()), None)
        known = listed.tag(tag, location) if listed else None
        return known.prefixes if known else ()

    def _card(self, nic: NetworkInterface) -> _Card:
        if nic.id not in self._cards:
            places = self._places(nic)
            configurations = [each for each in nic.ip_configurations if each.private_ip] or [IpConfiguration()]
            self._cards[nic.id] = _Card(
                groups=groups_of(self.inventory, nic),
                places=places,
                senders=tuple((each.private_ip, frozenset(map(key, each.asg_ids))) for each in configurations),
                space=tuple(prefix for each in places for prefix in (*each.subnet.space, *each.subnet.peered)),
                routed=tuple(route.prefix for each in places for route in each.routes if route.name),
            )
        return self._cards[nic.id]

    def _places(self, nic: NetworkInterface) -> tuple[_Place, ...]:
        """
        Find what surrounds each IP configuration; nothing when a subnet or a route table could not be read.
        """
        found = []
        for each in nic.ip_configurations:
            subnet = self.inventory.subnets.get(key(each.subnet_id))
            if subnet is None:
                return ()
            table = self.inventory.route_tables.get(key(subnet.route_table_id)) if subnet.route_table_id else None
            if table is None and subnet.route_table_id:
                return ()
            found.append(_Place(configuration=each, subnet=subnet, routes=routes_from(subnet, table)))
        return tuple(found)

    @cached_property
    def _owners(self) -> dict[tuple[str, str], frozenset[str]]:
        """
        Map virtual network and private address to the application security groups of whoever has it.
        """
        return {
            (network_key(each), each.private_ip): frozenset(map(key, each.asg_ids))
            for nic in self.inventory.nics.values()
            for each in nic.ip_configurations
        }

    def _receivers(self, nic: NetworkInterface, where: str) -> frozenset[str] | None:
        if where in TAGS or where in ("", WIRESERVER):
            return None
        here = {network_key(each) for each in nic.ip_configurations}
        return next((self._owners[one, where] for one in sorted(here) if (one, where) in self._owners), None)

    def _leave(self, vm: VirtualMachine, place: _Place, destination: Destination) -> tuple[Hop, str, bool | None]:
        hop = next_hop(place.routes, destination.where, vm.location)
        kind = hop.type.lower()
        if kind == "internet":
            way = self._way_out(vm, place)
            return hop, way, {"closed": False, "unknown": None}.get(way, True)
        way, leaves = _BY_HOP.get(kind, ("unknown", None))
        return hop, way, leaves

    def _way_out(self, vm: VirtualMachine, place: _Place) -> str:
        """
        Find what gives a packet to the Internet a public address; the first that is there counts.
        """
        if place.subnet.nat_gateway_id:
            gateway = self.inventory.nat_gateways.get(key(place.subnet.nat_gateway_id))
            if gateway is None:
                return "unknown"
            # It takes every packet of its subnet, also where it has no address to send it from.
            return "nat_gateway" if gateway.addressed else "closed"
        if place.configuration.public_ip_id:
            return "public_ip"
        pools = [key(each) for each in place.configuration.backend_pool_ids]
        balancers = [self.inventory.load_balancers.get(each.rpartition("/backendaddresspools/")[0]) for each in pools]
        if any(each and each.public and set(pools) & set(map(key, each.outbound_pool_ids)) for each in balancers):
            return "load_balancer"
        if None in balancers:
            return "unknown"
        if not place.subnet.default_outbound_access or vm.scale_set_id or self._has_public_ip(vm):
            return "closed"
        # A Standard load balancer takes default access away from its members, an old Basic one does not.
        return "closed" if any(each and each.sku.lower() != "basic" for each in balancers) else "default"

    def _has_public_ip(self, vm: VirtualMachine) -> bool:
        nics = [self.inventory.nics.get(key(each)) for each in vm.nic_ids]
        return any(each.public_ip_id for nic in nics if nic for each in nic.ip_configurations)


_PASSES = {"Allow": True, "Deny": False, "Unknown": None}
# By what the next hop is: what becomes of a packet, and whether it comes through.
_BY_HOP: dict[str, tuple[str, bool | None]] = {
    "none": ("closed", False),
    "virtualappliance": ("elsewhere", None),
    "virtualnetworkgateway": ("elsewhere", None),
    "virtualnetworkserviceendpoint": ("endpoint", True),
    "vnetlocal": ("network", True),
    "vnetpeering": ("network", True),
}


def _both(first: bool | None, second: bool | None) -> bool | None:
    if False in (first, second):
        return False
    return None if None in (first, second) else True


def network_key(configuration: IpConfiguration) -> str:
    """
    Return the key of the virtual network that an IP configuration is in; empty where it does not say.
    """
    return key(configuration.subnet_id).rpartition("/subnets/")[0]
