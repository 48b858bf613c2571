"""
What the checks say of the VMs that a run is about, worked out once for an inventory and what is asked for.
"""

from __future__ import annotations

from runbook_lib.checks.assessment import Assessment, assess, completed
from runbook_lib.checks.verdicts import verdicts
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Verdict
from runbook_lib.selection import select

__all__ = ["assessment_on", "findings_on", "verdicts_on"]


def assessment_on(inventory: Inventory, asked: Parameters) -> Assessment:
    """
    Place the selected VMs, and run on them the checks that decide.

    They are few: a world that is planned is judged without the others.
    """
    return inventory.derive(asked, "assessment", lambda: assess(inventory, select(inventory, asked), asked))


def findings_on(inventory: Inventory, asked: Parameters) -> tuple[Finding, ...]:
    """
    Run every check on the selected VMs.
    """
    return inventory.derive(
        asked,
        "findings",
        lambda: completed(assessment_on(inventory, asked), inventory, select(inventory, asked), asked),
    )


def verdicts_on(inventory: Inventory, asked: Parameters) -> dict[str, tuple[Verdict, tuple[str, ...]]]:
    """
    Return the verdict on every selected VM, keyed by its ARM id, and the ids of the checks that decided it.
    """
    return inventory.derive(asked, "verdicts", lambda: verdicts(assessment_on(inventory, asked).findings))
