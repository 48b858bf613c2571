"""
Where a packet goes from its subnet: the route with the longest prefix that holds the destination.

Of two routes with one prefix one's own wins over the system's. Routes that a gateway learns stand in no list, and what
an appliance or a gateway does with a packet is decided there. Imports `records`, `rules`
and `same`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from runbook_lib.checks.network.rules import SHARING, is_public, network_of
from runbook_lib.checks.network.same import Same
from runbook_lib.records import Route, RouteTable, Subnet

__all__ = ["UNKNOWN_HOP", "Hop", "next_hop", "routes_from"]

# Ranges that Azure drops unless a virtual network has them (system routes; in every recorded route table).
_DROPPED = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_ALL = ipaddress.IPv4Network("0.0.0.0/0")
# Service endpoints give the subnet a route of its own to the service.
_ENDPOINTS = {"microsoft.storage": "Storage", "microsoft.storage.global": "Storage"}
UNKNOWN_HOP = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """
    Where a packet is sent next.

    Attributes:
        type: `nextHopType` in ARM's words, or Unknown where routes differ about parts of the destination.
        route: name of one's own route, or the prefix of a system route; of the first that differs where unknown.
    """

    type: str
    route: str


def routes_from(subnet: Subnet, table: RouteTable | None) -> tuple[Route, ...]:
    """
    List the routes that hold in *subnet*, one's own first.
    """
    return _routes(Same(subnet), Same(table))


@lru_cache(maxsize=4096)
def _routes(place: Same[Subnet], named: Same[RouteTable | None]) -> tuple[Route, ...]:
    subnet, table = place.value, named.value
    own = table.routes if table else ()
    # A gateway may have learnt a default route, or any other, and nobody but the service can tell.
    learnt = subnet.gateway and (table is None or table.bgp_propagation)
    # Whether private ranges still are dropped beside a default route of one's own is nowhere said.
    overridden = any(network_of(each.prefix) == _ALL for each in own)
    system = [
        *((each, "VnetLocal") for each in subnet.space),
        *((each, "VNetPeering") for each in subnet.peered),
        *(
            (_ENDPOINTS[each.lower()], "VirtualNetworkServiceEndpoint")
            for each in subnet.service_endpoints
            if each.lower() in _ENDPOINTS
        ),
        ("0.0.0.0/0", UNKNOWN_HOP if learnt else "Internet"),
        *((each, UNKNOWN_HOP if learnt or overridden else "None") for each in _DROPPED if each not in subnet.space),
    ]
    return (*own, *(Route(name="", prefix=prefix, next_hop_type=hop) for prefix, hop in system))


def next_hop(routes: Sequence[Route], destination: str, location: str) -> Hop:
    """
    Find the next hop of a packet.

    Args:
        routes: one's own first.
        destination: a service tag, an IPv4 address, or empty where only a name is known.
        location: region of the sender.
    """
    return _next(Same(routes), destination, location)


@lru_cache(maxsize=16384)
def _next(known: Same[Sequence[Route]], destination: str, location: str) -> Hop:
    routes = known.value
    if not destination:
        return _agreed(routes)
    address = network_of(destination)
    if address is not None:
        return _to_address(routes, address)
    return _to_service(routes, destination.lower(), location)


def _hop(route: Route) -> Hop:
    return Hop(type=route.next_hop_type, route=route.name or route.prefix)


def _agreed(routes: Iterable[Route]) -> Hop:
    """
    Return the one hop that all routes lead to, else that nobody knows.
    """
    hops = [_hop(each) for each in routes]
    first = hops[0] if hops else Hop(type=UNKNOWN_HOP, route="")
    other = next((each for each in hops if each.type != first.type), None)
    return Hop(type=UNKNOWN_HOP, route=other.route) if other else first


def _longest(routes: Iterable[Route], address: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Route | None:
    found: Route | None = None
    length = -1
    for route in routes:
        network = network_of(route.prefix)
        if network is not None and address.network_address in network and network.prefixlen > length:
            found, length = route, network.prefixlen
    return found


def _to_address(routes: Sequence[Route], address: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Hop:
    sure = _longest(routes, address)
    # A route to a tag may hold a public address; a private one it never does.
    tagged = [each for each in routes if network_of(each.prefix) is None] if is_public(address) else []
    return _agreed([*([sure] if sure else []), *tagged])


def _to_service(routes: Sequence[Route], service: str, location: str) -> Hop:
    holding = (f"{service}.{location}", service, f"azurecloud.{location}", "azurecloud")
    sharing = SHARING.get(service, ())
    named = [(each.prefix.lower(), each) for each in routes]
    tagged = [
        route
        for tag in holding
        if tag.partition(".")[0] not in sharing or tag == service
        for name, route in named
        if name == tag
    ]
    partial = [route for name, route in named if name.partition(".")[0] in sharing and name != service]
    # The system's own smaller ranges are none of these services: measured on the recorded route tables.
    partial += [each for each in routes if each.name and _is_part(each)]
    whole = [each for each in routes if network_of(each.prefix) == _ALL]
    if tagged:
        return _agreed([tagged[0], *partial])
    if _cover_all(partial):
        return _agreed(partial)
    return _agreed([*whole[:1], *partial])


def _is_part(route: Route) -> bool:
    network = network_of(route.prefix)
    return network is not None and network.version == 4 and network != _ALL and is_public(network)


def _cover_all(routes: Iterable[Route]) -> bool:
    networks = [each for route in routes if isinstance(each := network_of(route.prefix), ipaddress.IPv4Network)]
    return list(ipaddress.collapse_addresses(networks)) == [_ALL]
