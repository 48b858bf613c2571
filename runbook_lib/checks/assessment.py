"""
A selection judged as a whole: what each VM is like, where it goes, and what that comes to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runbook_lib.checks.agent import agent, agent_settings
from runbook_lib.checks.catalogue import BLOCKING, CATALOGUE, Check
from runbook_lib.checks.vaults import needs_enhanced
from runbook_lib.checks.verdicts import verdict
from runbook_lib.parameters import Parameters
from runbook_lib.placement import Placement, place
from runbook_lib.records import Finding, Inventory, Verdict, VirtualMachine, key
from runbook_lib.selection import accepted_risk

__all__ = ["Assessment", "assess", "completed", "goes_on", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """
    What decides on a selection.

    Attributes:
        findings: exactly one for each VM and check that blocks, in the order of the VMs and of the catalogue.
        placement: the vault and the policy of each VM.
    """

    findings: tuple[Finding, ...]
    placement: Placement


def assess(inventory: Inventory, vms: Iterable[VirtualMachine], asked: Parameters) -> Assessment:
    """
    Place the VMs and run on each the checks that decide.

    Vaults fill up, so VMs that nothing keeps back are placed before those that are only judged.
    """
    chosen = tuple(vms)
    # Whether an agent is needed depends on the policy: until that is known it counts as needed.
    first = [check for check in BLOCKING if not check.placed or check.look in (agent, agent_settings)]
    alone = [{check.id: check.look(inventory, vm, asked) for check in first} for vm in chosen]
    enhanced = {key(vm.id) for vm in chosen if needs_enhanced(inventory, vm)}
    stuck = enhanced if not asked.enhanced_policy_name and asked.policy_type != "Enhanced" else frozenset()
    ranks: tuple[list[VirtualMachine], ...] = ([], [], [])
    for vm, found in zip(chosen, alone, strict=True):
        going = goes_on(vm, verdict(found.values())[0], asked)
        ranks[2 if not going else key(vm.id) in stuck].append(vm)
    placement = place(inventory, ranks, asked, enhanced)
    return Assessment(
        findings=tuple(
            _look(check, inventory, vm, asked, placement) if check.placed else found[check.id]
            for vm, found in zip(chosen, alone, strict=True)
            for check in BLOCKING
        ),
        placement=placement,
    )


def completed(
    assessment: Assessment, inventory: Inventory, vms: Iterable[VirtualMachine], asked: Parameters
) -> tuple[Finding, ...]:
    """
    Add to what decides on these VMs what the other checks find.

    Returns:
        Exactly one finding for each VM and check of the catalogue.
    """
    decided = iter(assessment.findings)
    return tuple(
        next(decided) if check.effect == "blocks" else _look(check, inventory, vm, asked, assessment.placement)
        for vm in vms
        for check in CATALOGUE
    )


def _look(check: Check, inventory: Inventory, vm: VirtualMachine, asked: Parameters, placement: Placement) -> Finding:
    where = (placement[key(vm.id)],) if check.placed else ()
    return check.look(inventory, vm, asked, *where)


def goes_on(vm: VirtualMachine, verdict: Verdict, asked: Parameters) -> bool:
    """
    Tell whether nothing keeps the VM back: its verdict does not, or the risk was accepted.
    """
    return verdict not in (Verdict.BLOCKED, Verdict.UNDETERMINED) or bool(accepted_risk(vm, asked))


def judge(inventory: Inventory, vms: Iterable[VirtualMachine], asked: Parameters | None = None) -> tuple[Finding, ...]:
    """
    Run every check on every VM: exactly one finding for each pair.

    Args:
        asked: what the run is asked for; the defaults when it is left out.
    """
    chosen, asked = tuple(vms), asked or Parameters()
    return completed(assess(inventory, chosen, asked), inventory, chosen, asked)
