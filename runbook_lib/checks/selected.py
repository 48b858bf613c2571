"""
What the checks say of the VMs that a run is about, worked out once for an inventory and what is asked for.
"""

from __future__ import annotations

from runbook_lib.checks.catalogue import BLOCKING, judge
from runbook_lib.checks.verdicts import verdict
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Verdict
from runbook_lib.selection import select

__all__ = ["findings_on", "verdicts_on"]


def findings_on(inventory: Inventory, asked: Parameters) -> tuple[Finding, ...]:
    """
    Run every check on the selected VMs.
    """
    return inventory.derive(asked, "findings", lambda: judge(inventory, select(inventory, asked), asked))


def verdicts_on(inventory: Inventory, asked: Parameters) -> dict[str, tuple[Verdict, tuple[str, ...]]]:
    """
    Return the verdict on every selected VM, keyed by its ARM id, and the ids of the checks that decided it.
    """
    return inventory.derive(
        asked,
        "verdicts",
        lambda: {
            # Only these decide, and they are few: a world that is planned is judged without the others.
            vm.id: verdict(check.look(inventory, vm, asked) for check in BLOCKING)
            for vm in select(inventory, asked)
        },
    )
