"""
Microsoft.Network's things, as far as the runbook looks at them. Imports the standard library and `base`.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.records.base import Resource

__all__ = [
    "IpConfiguration",
    "NetworkInterface",
    "PublicIp",
    "Route",
    "RouteTable",
    "SecurityGroup",
    "SecurityRule",
    "Subnet",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IpConfiguration:
    """
    One IP configuration of a network interface.
    """

    subnet_id: str = ""
    private_ip: str = ""
    public_ip_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface(Resource):
    """
    A network interface (NIC).
    """

    location: str
    vm_id: str = ""
    nsg_id: str = ""
    primary: bool = False
    ip_configurations: tuple[IpConfiguration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Resource):
    """
    A subnet of a virtual network.
    """

    nsg_id: str = ""
    route_table_id: str = ""
    nat_gateway_id: str = ""
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """
    A security rule, its single and plural forms merged into lists.

    Attributes:
        sources: prefixes, tags or `*`; application security groups are listed by id.
        destinations: likewise.
        ports: destination ports and ranges as written.
    """

    name: str
    direction: str
    access: str
    priority: int
    protocol: str
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Resource):
    """
    A network security group (NSG); the three default rules of each direction are not listed.
    """

    location: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    A user-defined route.
    """

    name: str
    prefix: str
    next_hop_type: str
    next_hop_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable(Resource):
    """
    A route table.
    """

    location: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIp(Resource):
    """
    A public IP address; a dynamic one has no address until its VM runs.
    """

    location: str
    address: str = ""
