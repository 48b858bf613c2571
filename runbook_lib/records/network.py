"""
Microsoft.Network's things, as far as the runbook looks at them. Imports the standard library and `base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook_lib.records.base import VOLATILE, Resource

__all__ = [
    "IpConfiguration",
    "LoadBalancer",
    "NatGateway",
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

    Attributes:
        asg_ids: the application security groups that it is in.
        backend_pool_ids: the backend pools of load balancers that it is in.
        nat_rule_ids: the inbound rules of load balancers that lead to it alone.
    """

    subnet_id: str = ""
    private_ip: str = ""
    public_ip_id: str = ""
    asg_ids: tuple[str, ...] = ()
    backend_pool_ids: tuple[str, ...] = ()
    nat_rule_ids: tuple[str, ...] = ()


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

    Attributes:
        default_outbound_access: false for a private subnet; a subnet that does not say is none.
        service_endpoints: names such as `Microsoft.Storage`.
        space: the address space of its virtual network.
        peered: the address spaces of the virtual networks that are peered with it.
        peer_ids: ARM ids of these virtual networks.
        gateway: whether a gateway may teach its virtual network routes that stand in no list.
    """

    nsg_id: str = ""
    route_table_id: str = ""
    nat_gateway_id: str = ""
    prefixes: tuple[str, ...] = ()
    default_outbound_access: bool = True
    service_endpoints: tuple[str, ...] = ()
    space: tuple[str, ...] = ()
    peered: tuple[str, ...] = ()
    peer_ids: tuple[str, ...] = ()
    gateway: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """
    A security rule, its single and plural forms merged into lists.

    Attributes:
        sources: prefixes, tags or `*`.
        destinations: likewise.
        ports: destination ports and ranges as written.
        source_ports: likewise; none are any.
        source_asg_ids: application security groups that stand for the addresses of their members.
        destination_asg_ids: likewise.
        unmade: whether the service says that it could not make it, or has not yet.
    """

    name: str
    direction: str
    access: str
    priority: int
    protocol: str
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    source_ports: tuple[str, ...] = ()
    source_asg_ids: tuple[str, ...] = ()
    destination_asg_ids: tuple[str, ...] = ()
    unmade: bool = field(default=False, metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Resource):
    """
    A network security group (NSG); the three default rules of each direction are not listed.
    """

    location: str
    rules: tuple[SecurityRule, ...] = ()

    @property
    def standing(self) -> tuple[SecurityRule, ...]:
        """
        The rules but those that are to allow something and that the service has not made.

        Nobody can tell whether a denial that it has not made holds, so it counts.
        """
        return tuple(rule for rule in self.rules if not (rule.unmade and rule.access == "Allow"))


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

    Attributes:
        bgp_propagation: whether routes that a gateway learns reach its subnets.
    """

    location: str
    routes: tuple[Route, ...] = ()
    bgp_propagation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIp(Resource):
    """
    A public IP address; a dynamic one has no address until its VM runs.

    Attributes:
        static: whether the address is reserved: it stays when its VM is deallocated.
    """

    location: str
    address: str = ""
    static: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer(Resource):
    """
    A load balancer, internal or external.

    Attributes:
        sku: Basic, Standard or Gateway; old ones do not say and are Basic.
        public: whether a frontend of it has a public address.
        pool_ids: its backend pools.
        outbound_pool_ids: those of them whose members it lets out, by an outbound rule or along with a balancing rule.
    """

    location: str
    sku: str = ""
    public: bool = False
    pool_ids: tuple[str, ...] = ()
    outbound_pool_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NatGateway(Resource):
    """
    A NAT gateway.

    Attributes:
        addressed: whether it has a public address or prefix; without one it lets nothing out.
    """

    location: str
    addressed: bool = False
