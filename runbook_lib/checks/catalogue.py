"""
Every check, its effect and the guide's section that it comes from; the rules and their sources are texts of its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runbook_lib.checks.agent import agent, agent_version
from runbook_lib.checks.limitations import data_disks
from runbook_lib.checks.network import network_outbound
from runbook_lib.checks.prerequisites import protection, region
from runbook_lib.records import Finding, Inventory, VirtualMachine

__all__ = ["CATALOGUE", "Check", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One rule about a VM.

    Attributes:
        id: name of the check and prefix of its texts (`check.<id>.…`).
        section: the guide's section.
        effect: `blocks`, `risks` or `informs`; what informs never changes a verdict.
    """

    id: str
    section: str
    effect: str
    look: Callable[[Inventory, VirtualMachine], Finding]


CATALOGUE = (
    Check(id="region", section="vault", effect="blocks", look=region),
    Check(id="protection", section="goal", effect="blocks", look=protection),
    Check(id="data-disks", section="limitations", effect="blocks", look=data_disks),
    Check(id="agent", section="agent", effect="blocks", look=agent),
    Check(id="agent-version", section="agent", effect="risks", look=agent_version),
    Check(id="network-outbound", section="network", effect="informs", look=network_outbound),
)


def judge(inventory: Inventory, vms: Iterable[VirtualMachine]) -> tuple[Finding, ...]:
    """
    Run every check on every VM: exactly one finding for each pair.
    """
    return tuple(check.look(inventory, vm) for vm in vms for check in CATALOGUE)
