"""
Our reading of a network interface, compared with what the service says holds for it.

Imports `records`, `path`, `routes` and `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbook_lib.checks.network.path import Path, Tracer, through
from runbook_lib.checks.network.routes import Hop, next_hop
from runbook_lib.checks.network.rules import Decision
from runbook_lib.records import Inventory, NetworkInterface, Route, SecurityGroup, VirtualMachine, key

__all__ = ["MOST", "Comparison", "Effective", "compare", "sample"]

# How many network interfaces are asked about.
MOST = 5
# Hops that stay inside of the virtual networks; the service tells near and far peerings apart.
_INSIDE = ("vnetlocal", "vnetpeering", "vnetglobalpeering")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """
    What the service says holds for a NIC.

    Attributes:
        groups: its NSGs, first that of the NIC, with the default rules and the addresses of application groups.
        space: what the tag VirtualNetwork stands for there.
    """

    groups: tuple[SecurityGroup, ...]
    routes: tuple[Route, ...]
    space: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    What we and the service make of one path.

    Attributes:
        path: ours; where the service refused the first of all that were to be compared.
        outcome: `agrees`, `differs`, `settled` where only the service knows, `unclear` where neither does, or
            `refused`.
        why: the service's words where it refused.
    """

    path: Path
    outcome: str
    nsg: str = ""
    decision: Decision | None = None
    hop: Hop | None = None
    why: str = ""


def sample(inventory: Inventory, vms: Iterable[VirtualMachine]) -> tuple[tuple[VirtualMachine, NetworkInterface], ...]:
    """
    Choose whom to ask about: NICs of running VMs, in the order of their ids, one for each combination of NSGs.
    """
    chosen: dict[tuple[str, ...], tuple[VirtualMachine, NetworkInterface]] = {}
    for vm in sorted(vms, key=lambda each: key(each.id)):
        for nic_id in sorted(map(key, vm.nic_ids)) if vm.power_state == "running" else ():
            if nic := inventory.nics.get(nic_id):
                chosen.setdefault(_met(inventory, nic), (vm, nic))
    return tuple(chosen.values())[:MOST]


def _met(inventory: Inventory, nic: NetworkInterface) -> tuple[str, ...]:
    subnets = [inventory.subnets.get(key(each.subnet_id)) for each in nic.ip_configurations]
    return tuple(key(each) for each in (nic.nsg_id, *(subnet.nsg_id for subnet in subnets if subnet)))


def compare(tracer: Tracer, nic: NetworkInterface, ours: Path, theirs: Effective) -> Comparison:
    """
    Send the packets of a path through the rules and routes of the service, and say whether the same becomes of them.
    """
    where = ours.destination.where
    packets = [
        replace(each, space=theirs.space, whole_space=True, routed=()) for each in tracer.packets(nic, ours.destination)
    ]
    nsg, decision = through(theirs.groups, packets)
    hop = next_hop(theirs.routes, where, nic.location)
    pairs = [(_access(ours), decision.access if decision else "Allow"), (_kind(ours.hop), _kind(hop))]
    outcome = "agrees"
    if any(mine != said and "unknown" not in (mine.lower(), said.lower()) for mine, said in pairs):
        outcome = "differs"
    elif any(said.lower() == "unknown" for _, said in pairs):
        outcome = "unclear"
    elif any(mine.lower() == "unknown" for mine, _ in pairs):
        outcome = "settled"
    return Comparison(path=ours, outcome=outcome, nsg=nsg, decision=decision, hop=hop)


def _access(path: Path) -> str:
    if path.decision:
        return path.decision.access
    return "Allow" if path.nsgs_read else "Unknown"


def _kind(hop: Hop | None) -> str:
    kind = hop.type.lower() if hop else "unknown"
    return "inside" if kind in _INSIDE else kind
