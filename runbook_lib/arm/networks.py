"""
From ARM's JSON to records of the network; see `shapes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runbook_lib.arm.wire import (
    Json,
    as_list,
    as_number,
    as_object,
    as_text,
    base,
    id_of,
    located,
    name_of,
    properties_of,
    state_of,
)
from runbook_lib.records import (
    IpConfiguration,
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    PublicIp,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityRule,
    Subnet,
)

__all__ = [
    "load_balancer",
    "nat_gateway",
    "network_interface",
    "public_ip",
    "route_table",
    "security_group",
    "security_rule",
    "subnets",
]


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(id_of(each) for each in as_list(value) if id_of(each))


def network_interface(row: Json) -> NetworkInterface:
    """
    Read a network interface.
    """
    properties = properties_of(row)
    configurations = [properties_of(as_object(each)) for each in as_list(properties.get("ipConfigurations"))]
    return NetworkInterface(
        **located(row),
        vm_id=id_of(properties.get("virtualMachine")),
        nsg_id=id_of(properties.get("networkSecurityGroup")),
        primary=properties.get("primary") is True,
        ip_configurations=tuple(
            IpConfiguration(
                subnet_id=id_of(each.get("subnet")),
                private_ip=as_text(each.get("privateIPAddress")),
                public_ip_id=id_of(each.get("publicIPAddress")),
                asg_ids=_ids(each.get("applicationSecurityGroups")),
                backend_pool_ids=_ids(each.get("loadBalancerBackendAddressPools")),
                nat_rule_ids=_ids(each.get("loadBalancerInboundNatRules")),
            )
            for each in configurations
        ),
    )


def subnets(row: Json) -> Iterator[Subnet]:
    """
    Read the subnets of a virtual network, with what they have of it: its space, its peerings and its gateway.
    """
    network = properties_of(row)
    peerings = [properties_of(as_object(each)) for each in as_list(network.get("virtualNetworkPeerings"))]
    connected = [each for each in peerings if as_text(each.get("peeringState")).lower() == "connected"]
    names = {name_of(as_object(each)).lower() for each in as_list(network.get("subnets"))}
    surroundings: Json = {
        "space": _space(network.get("addressSpace")),
        "peered": tuple(prefix for each in connected for prefix in _space(each.get("remoteAddressSpace"))),
        "peer_ids": _ids([each.get("remoteVirtualNetwork") for each in connected]),
        "gateway": "gatewaysubnet" in names or any(each.get("useRemoteGateways") is True for each in connected),
    }
    for each in map(as_object, as_list(properties_of(row).get("subnets"))):
        properties = properties_of(each)
        prefixes = [as_text(properties.get("addressPrefix")), *map(as_text, as_list(properties.get("addressPrefixes")))]
        yield Subnet(
            **base(each),
            nsg_id=id_of(properties.get("networkSecurityGroup")),
            route_table_id=id_of(properties.get("routeTable")),
            nat_gateway_id=id_of(properties.get("natGateway")),
            prefixes=tuple(dict.fromkeys(each for each in prefixes if each)),
            # Only a subnet made with it says so; the older ones have access by default.
            default_outbound_access=properties.get("defaultOutboundAccess") is not False,
            service_endpoints=tuple(
                as_text(as_object(each).get("service")) for each in as_list(properties.get("serviceEndpoints"))
            ),
            **surroundings,
        )


def _space(value: Any) -> tuple[str, ...]:
    return tuple(map(as_text, as_list(as_object(value).get("addressPrefixes"))))


def security_group(row: Json) -> SecurityGroup:
    """
    Read a network security group and its own rules, ordered by direction and priority.
    """
    rows = [as_object(each) for each in as_list(properties_of(row).get("securityRules"))]
    rules = [security_rule(name_of(each), properties_of(each)) for each in rows]
    return SecurityGroup(**located(row), rules=tuple(sorted(rules, key=lambda each: (each.direction, each.priority))))


def security_rule(name: str, given: Json) -> SecurityRule:
    """
    Read a security rule, as it is written or as the service says that it is in effect.

    Args:
        given: its members, of which an effective one has no `properties` around.
    """
    return SecurityRule(
        name=name,
        direction=as_text(given.get("direction")).capitalize(),
        access=as_text(given.get("access")).capitalize(),
        priority=as_number(given.get("priority")),
        protocol=as_text(given.get("protocol")).capitalize(),
        sources=_both(given, "sourceAddressPrefix", "sourceAddressPrefixes"),
        destinations=_both(given, "destinationAddressPrefix", "destinationAddressPrefixes"),
        ports=_both(given, "destinationPortRange", "destinationPortRanges"),
        source_ports=_both(given, "sourcePortRange", "sourcePortRanges"),
        source_asg_ids=_ids(given.get("sourceApplicationSecurityGroups")),
        destination_asg_ids=_ids(given.get("destinationApplicationSecurityGroups")),
        unmade=state_of(given) in ("failed", "updating"),
    )


def _both(given: Json, single: str, plural: str) -> tuple[str, ...]:
    """
    Merge a member's two forms: either may be absent, empty or filled, and both may be.
    """
    found = [as_text(given.get(single)), *map(as_text, as_list(given.get(plural)))]
    return tuple(dict.fromkeys(each for each in found if each))


def route_table(row: Json) -> RouteTable:
    """
    Read a route table.
    """
    routes = [as_object(each) for each in as_list(properties_of(row).get("routes"))]
    return RouteTable(
        **located(row),
        routes=tuple(
            Route(
                name=name_of(each),
                prefix=as_text(properties_of(each).get("addressPrefix")),
                next_hop_type=as_text(properties_of(each).get("nextHopType")),
                next_hop_ip=as_text(properties_of(each).get("nextHopIpAddress")),
            )
            for each in routes
        ),
        bgp_propagation=properties_of(row).get("disableBgpRoutePropagation") is not True,
    )


def public_ip(row: Json) -> PublicIp:
    """
    Read a public IP address.
    """
    given = properties_of(row)
    return PublicIp(
        **located(row),
        address=as_text(given.get("ipAddress")),
        static=as_text(given.get("publicIPAllocationMethod")).lower() == "static",
    )


def nat_gateway(row: Json) -> NatGateway:
    """
    Read a NAT gateway; addresses of IPv6 alone take no packet to a service of Azure.
    """
    given = properties_of(row)
    return NatGateway(
        **located(row), addressed=any(_ids(given.get(each)) for each in ("publicIpAddresses", "publicIpPrefixes"))
    )


def load_balancer(row: Json) -> LoadBalancer:
    """
    Read a load balancer; a rule names one backend pool in old answers, and several in new ones.
    """
    given = properties_of(row)
    frontends = [properties_of(as_object(each)) for each in as_list(given.get("frontendIPConfigurations"))]
    balancing = [properties_of(as_object(each)) for each in as_list(given.get("loadBalancingRules"))]
    letting_out = [each for each in balancing if each.get("disableOutboundSnat") is not True]
    letting_out += [properties_of(as_object(each)) for each in as_list(given.get("outboundRules"))]
    pools = [
        pool
        for each in letting_out
        for pool in (id_of(each.get("backendAddressPool")), *_ids(each.get("backendAddressPools")))
    ]
    return LoadBalancer(
        **located(row),
        sku=as_text(as_object(row.get("sku")).get("name")) or "Basic",
        public=any(id_of(each.get("publicIPAddress")) or id_of(each.get("publicIPPrefix")) for each in frontends),
        pool_ids=_ids(given.get("backendAddressPools")),
        outbound_pool_ids=tuple(dict.fromkeys(pool for pool in pools if pool)),
    )
