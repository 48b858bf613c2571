"""
Small networks for the tests of the network's checks, and every case of these checks by what makes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import HOME, arm_id, estate, nic, nsg, rule, subnet, vm, with_records

from runbook_lib.checks.network import Decision, Packet, outbound
from runbook_lib.records import (
    Disk,
    Extension,
    Inventory,
    IpConfiguration,
    LoadBalancer,
    Route,
    RouteTable,
    SecurityGroup,
    Status,
)


def decide(group: SecurityGroup, addresses: tuple[str, ...], destination: str, location: str, port: int) -> Decision:
    """
    What an NSG does with a TCP packet from any of *addresses*, of which no more is known.
    """
    packets = [
        Packet(address=each, destination=destination, port=port, location=location) for each in addresses or ("",)
    ]
    return outbound(group, packets)


def table(*routes: Route, **fields: Any) -> RouteTable:
    """
    A route table.
    """
    own_id = arm_id("Microsoft.Network/routeTables", "routes")
    return RouteTable(id=own_id, name="routes", location=HOME, routes=routes, **fields)


def to(prefix: str, hop: str, name: str = "mine") -> Route:
    """
    A route of one's own.
    """
    return Route(name=name, prefix=prefix, next_hop_type=hop)


def balancer(**fields: Any) -> LoadBalancer:
    """
    A Standard load balancer with a public frontend that lets its members out.
    """
    own_id = arm_id("Microsoft.Network/loadBalancers", "lb")
    pool = f"{own_id}/backendAddressPools/pool"
    usual: dict[str, Any] = {"sku": "Standard", "public": True, "pool_ids": (pool,), "outbound_pool_ids": (pool,)}
    return LoadBalancer(id=own_id, name="lb", location=HOME, **usual | fields)


def world(*records: Any, place: dict[str, Any] | None = None, card: dict[str, Any] | None = None) -> Inventory:
    """
    A VM with one NIC in a subnet.

    Args:
        place: fields of the subnet.
        card: fields of the NIC's one IP configuration.
    """
    net = subnet(**{"space": ("10.0.0.0/16",)} | (place or {}))
    own = nic(ip_configurations=(IpConfiguration(**{"subnet_id": net.id, "private_ip": "10.0.0.4"} | (card or {})),))
    return estate(vm(nic_ids=(own.id,)), own, net, *records)


def needing(there: Inventory, **fields: Any) -> Inventory:
    """
    The same estate with a VM that needs a way out today.
    """
    (machine,) = there.vms.values()
    return with_records(there, replace(machine, **fields))


FAST = {"data_disks": (Disk(name="log", write_accelerator=True),)}
GUEST = {"extensions": (Extension(name="AzureBackupWindowsWorkload", type="", status=""),)}
APPLIANCE = table(to("0.0.0.0/0", "VirtualAppliance"))
NOWHERE = table(to("0.0.0.0/0", "None"))
BEHIND = {"route_table_id": table().id}


PRIVATE = {"default_outbound_access": False}
SHUT = nsg("shut", rule("deny", 200))
DOUBT = nsg("doubt", rule("deny-some", 200, destinations=("13.0.0.0/8",)))
NAMES = nsg("names", rule("no-dns", 200, destinations=("AzurePlatformDNS",)))
NETWORK_CASES: list[tuple[str, str, Status, Status, Inventory]] = [
    ("network-outbound", "allowed", Status.NOT_NEEDED, Status.PASS, world()),
    ("network-outbound", "denied", Status.NOT_NEEDED, Status.FAIL, world(SHUT, place={"nsg_id": SHUT.id})),
    ("network-outbound", "no_way_out", Status.NOT_NEEDED, Status.FAIL, world(place=PRIVATE)),
    ("network-outbound", "dropped", Status.NOT_NEEDED, Status.FAIL, world(NOWHERE, place=BEHIND)),
    ("network-outbound", "elsewhere", Status.NOT_NEEDED, Status.UNKNOWN, world(APPLIANCE, place=BEHIND)),
    ("network-outbound", "unclear", Status.NOT_NEEDED, Status.UNKNOWN, world(DOUBT, place={"nsg_id": DOUBT.id})),
    # What decides about a doubt is the doubt, even before an appliance.
    (
        "network-outbound",
        "unclear",
        Status.NOT_NEEDED,
        Status.UNKNOWN,
        world(DOUBT, APPLIANCE, place=BEHIND | {"nsg_id": DOUBT.id}),
    ),
    ("network-outbound", "unclear", Status.NOT_NEEDED, Status.UNKNOWN, world(place={"gateway": True})),
    ("network-outbound", "unclear", Status.NOT_NEEDED, Status.UNKNOWN, world(card={"subnet_id": ""})),
    ("network-outbound", "unclear", Status.NOT_NEEDED, Status.UNKNOWN, estate()),
    ("network-outbound", "unclear", Status.NOT_NEEDED, Status.UNKNOWN, estate(vm(nic_ids=("/unread",)))),
    ("network-outbound", "accelerator_open", Status.PASS, Status.PASS, needing(world(), **FAST)),
    ("network-outbound", "accelerator_shut", Status.WARN, Status.FAIL, needing(world(place=PRIVATE), **FAST)),
    (
        "network-outbound",
        "accelerator_unclear",
        Status.UNKNOWN,
        Status.UNKNOWN,
        needing(world(APPLIANCE, place=BEHIND), **FAST),
    ),
    ("network-outbound", "workload_open", Status.PASS, Status.PASS, needing(world(), **GUEST)),
    ("network-outbound", "workload_shut", Status.WARN, Status.FAIL, needing(world(place=PRIVATE), **GUEST)),
    (
        "network-outbound",
        "workload_unclear",
        Status.UNKNOWN,
        Status.UNKNOWN,
        needing(world(APPLIANCE, place=BEHIND), **GUEST),
    ),
    ("agent-wireserver", "reached", Status.PASS, Status.NOT_NEEDED, world()),
    ("agent-wireserver", "reached", Status.PASS, Status.NOT_NEEDED, world(NAMES, place={"nsg_id": NAMES.id})),
    (
        "agent-wireserver",
        "names_denied",
        Status.WARN,
        Status.NOT_NEEDED,
        needing(world(NAMES, place={"nsg_id": NAMES.id}), agent=None),
    ),
    ("agent-wireserver", "guest", Status.UNKNOWN, Status.NOT_NEEDED, needing(world(), agent=None)),
    # A rule about everything does not hold that address up, and what a VM that is off says of its agent is stale.
    (
        "agent-wireserver",
        "guest",
        Status.UNKNOWN,
        Status.NOT_NEEDED,
        needing(world(SHUT, place={"nsg_id": SHUT.id}), agent=None),
    ),
    ("agent-wireserver", "guest", Status.UNKNOWN, Status.NOT_NEEDED, needing(world(), power_state="deallocated")),
]
