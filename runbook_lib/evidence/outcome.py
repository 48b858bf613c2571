"""
How a run ended: its changes, and its exit code. Imports `records`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbook_lib.records import Verdict, VmVerdict, key

__all__ = ["NOTEBOOKS", "NOT_THERE", "OUTCOME", "THERE", "UNFINISHED", "exit_code", "last_words", "unfinished"]

OUTCOME = "outcome.json"
# A run that came to its end has opened each of them.
NOTEBOOKS = (
    "00_start",
    "01_create_vault",
    "02_storage_replication",
    "03_backup_policy",
    "04_select_vms",
    "05_vm_agent",
    "06_network",
    "07_evidence",
)
# How changes end that can still be made; those whose VM or NSG is gone cannot.
UNFINISHED = frozenset({"failed", "in_doubt", "pending"})
THERE = (Verdict.ENABLED, Verdict.PROTECTED)
NOT_THERE = (Verdict.BLOCKED, Verdict.UNDETERMINED)


def unfinished(changes: Mapping[str, int]) -> int:
    """
    Count the changes that did not come to be, by how changes ended: a run that has some can be resumed.
    """
    return sum(changes.get(outcome, 0) for outcome in UNFINISHED)


def last_words(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """
    List the journal's last word on each thing that was to be changed, whatever was sent for it.
    """
    results = (entry for entry in entries if entry["entry"] == "result")
    return list({(each["kind"], key(each["target"]), each["part"]): each for each in results}.values())


def exit_code(verdicts: Iterable[VmVerdict], *, applied: bool, unfinished: int, lacking: bool) -> int:
    """
    Return the exit code of a run that ended: 0 all are there, 3 some are not, 5 changes failed and can be resumed.

    Args:
        lacking: whether there are VMs without a verdict: gone since the run began, or unread.
    """
    if unfinished:
        return 5
    own = [each.verdict for each in verdicts]
    short = any(each not in THERE for each in own) if applied else any(each in NOT_THERE for each in own)
    return 3 if short or lacking else 0
