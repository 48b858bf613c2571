"""
The network's shapes of real answers that a naive reader gets wrong.
"""

from __future__ import annotations

from typing import Any

import pytest

from runbook_lib.arm import networks
from runbook_lib.records import LoadBalancer, SecurityRule, Subnet

NETWORK = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Network"
POOL = f"{NETWORK}/loadBalancers/lb/backendAddressPools/pool"
SSH = f"{NETWORK}/loadBalancers/lb/inboundNatRules/ssh"
ASG = f"{NETWORK}/applicationSecurityGroups/asg"


def test_an_ip_configuration_names_groups_and_pools() -> None:
    """
    What stands for its address in rules, and what may let it out.
    """
    properties = {
        "applicationSecurityGroups": [{"id": ASG}, {}],
        "loadBalancerBackendAddressPools": [{"id": POOL}],
        "loadBalancerInboundNatRules": [{"id": SSH}],
        "publicIPAddress": None,
    }
    row = {"id": f"{NETWORK}/networkInterfaces/n", "properties": {"ipConfigurations": [{"properties": properties}]}}
    (read,) = networks.network_interface(row).ip_configurations

    assert ((ASG,), (POOL,), (SSH,), "") == (
        read.asg_ids,
        read.backend_pool_ids,
        read.nat_rule_ids,
        read.public_ip_id,
    )


@pytest.mark.parametrize(
    ("properties", "addressed"),
    [
        ({}, False),
        ({"publicIpAddresses": [], "publicIpPrefixes": None}, False),
        ({"publicIpAddresses": [{"id": "/a"}]}, True),
        ({"publicIpPrefixes": [{"id": "/p"}]}, True),
        ({"publicIpAddressesV6": [{"id": "/six"}]}, False),
    ],
)
def test_a_nat_gateway_needs_an_address_to_let_anything_out(properties: dict[str, Any], addressed: bool) -> None:
    """
    A prefix will do; Azure's services are reached over IPv4.
    """
    row = {"id": f"{NETWORK}/natGateways/n", "location": "West Europe", "properties": properties}

    assert addressed == networks.nat_gateway(row).addressed


def rule(**properties: Any) -> SecurityRule:
    """
    The one rule of an NSG.
    """
    row = {"id": f"{NETWORK}/networkSecurityGroups/n", "properties": {"securityRules": [{"properties": properties}]}}
    (read,) = networks.security_group(row).rules
    return read


def test_groups_and_source_ports_are_kept_apart_from_prefixes() -> None:
    """
    A rule has either or both.
    """
    read = rule(
        sourceApplicationSecurityGroups=[{"id": ASG}],
        sourceAddressPrefix="10.0.0.0/8",
        destinationApplicationSecurityGroups=[{"id": ASG}],
        sourcePortRange="*",
        sourcePortRanges=[],
    )

    assert ((ASG,), ("10.0.0.0/8",), (ASG,), (), ("*",)) == (
        read.source_asg_ids,
        read.sources,
        read.destination_asg_ids,
        read.destinations,
        read.source_ports,
    )


def subnet(network: dict[str, Any] | None = None, **properties: Any) -> Subnet:
    """
    The one subnet of a virtual network.
    """
    own = {"id": f"{NETWORK}/virtualNetworks/v/subnets/s", "name": "s", "properties": properties}
    others = (network or {}).pop("others", [])
    (read, *_) = networks.subnets({"properties": {"subnets": [own, *others]} | (network or {})})
    return read


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"defaultOutboundAccess": None}, True),
        ({"defaultOutboundAccess": True}, True),
        ({"defaultOutboundAccess": False}, False),
    ],
)
def test_only_a_subnet_that_says_so_is_private(given: dict[str, Any], expected: bool) -> None:
    """
    Older subnets do not say, and have default access.
    """
    assert expected is subnet(**given).default_outbound_access


def test_service_endpoints_are_read_by_name() -> None:
    """
    The list may be absent, null or empty.
    """
    endpoints = [{"service": "Microsoft.Storage", "locations": ["westeurope"]}]

    assert ("Microsoft.Storage",) == subnet(serviceEndpoints=endpoints).service_endpoints
    assert () == subnet(serviceEndpoints=None).service_endpoints


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({}, ((), (), (), False)),
        (
            {"addressSpace": {"addressPrefixes": ["10.0.0.0/16", "10.1.0.0/16"]}},
            (("10.0.0.0/16", "10.1.0.0/16"), (), (), False),
        ),
        ({"others": [{"name": "GatewaySubnet"}]}, ((), (), (), True)),
        ({"others": [{"id": f"{NETWORK}/virtualNetworks/v/subnets/gatewaysubnet"}]}, ((), (), (), True)),
        (
            {
                "virtualNetworkPeerings": [
                    {
                        "properties": {
                            "peeringState": "Connected",
                            "useRemoteGateways": True,
                            "remoteAddressSpace": {"addressPrefixes": ["10.7.0.0/16"]},
                            "remoteVirtualNetwork": {"id": "/peer"},
                        }
                    }
                ]
            },
            ((), ("10.7.0.0/16",), ("/peer",), True),
        ),
        (
            {
                "virtualNetworkPeerings": [
                    {
                        "properties": {
                            "peeringState": "Disconnected",
                            "useRemoteGateways": True,
                            "remoteAddressSpace": {"addressPrefixes": ["10.7.0.0/16"]},
                            "remoteVirtualNetwork": {"id": "/peer"},
                        }
                    }
                ]
            },
            ((), (), (), False),
        ),
    ],
)
def test_a_subnet_knows_its_virtual_network(network: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """
    Its space, its connected peers and their spaces, and whether a gateway may teach it routes.
    """
    read = subnet(network)

    assert expected == (read.space, read.peered, read.peer_ids, read.gateway)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, True), ({"disableBgpRoutePropagation": False}, True), ({"disableBgpRoutePropagation": True}, False)],
)
def test_routes_of_a_gateway_are_propagated_unless_that_is_off(given: dict[str, Any], expected: bool) -> None:
    """
    The member is absent in old answers.
    """
    assert expected is networks.route_table({"id": "/t", "properties": given}).bgp_propagation


FRONTEND = [{"properties": {"publicIPAddress": {"id": "/ip"}}}]


def balancer(sku: str = "Standard", **properties: Any) -> LoadBalancer:
    """
    A load balancer with one pool.
    """
    row = {"id": f"{NETWORK}/loadBalancers/lb", "location": "West Europe", "properties": properties}
    return networks.load_balancer(row | ({"sku": {"name": sku}} if sku else {}))


def test_a_load_balancer_is_public_by_a_frontend_with_a_public_address() -> None:
    """
    An address or a prefix of addresses; an old one does not say its SKU, and is Basic.
    """
    prefix = [{"properties": {"publicIPPrefix": {"id": "/prefix"}}}]
    inside = [{"properties": {"privateIPAddress": "10.0.0.9"}}]

    assert [True, True, False, False] == [
        balancer(frontendIPConfigurations=frontends).public for frontends in (FRONTEND, prefix, inside, None)
    ]
    assert ["Standard", "Basic"] == [balancer(sku).sku for sku in ("Standard", "")]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"outboundRules": [{"properties": {"backendAddressPool": {"id": POOL}}}]}, (POOL,)),
        ({"loadBalancingRules": [{"properties": {"backendAddressPool": {"id": POOL}}}]}, (POOL,)),
        ({"loadBalancingRules": [{"properties": {"backendAddressPools": [{"id": POOL}]}}]}, (POOL,)),
        (
            {"loadBalancingRules": [{"properties": {"backendAddressPool": {"id": POOL}, "disableOutboundSnat": True}}]},
            (),
        ),
        ({"backendAddressPools": [{"id": POOL}]}, ()),
    ],
)
def test_a_pool_is_let_out_by_an_outbound_rule_or_along_with_a_balancing_rule(
    properties: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """
    A balancing rule may say that it does not.
    """
    assert expected == balancer(frontendIPConfigurations=FRONTEND, **properties).outbound_pool_ids
