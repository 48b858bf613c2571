"""
From findings to one verdict per VM: the first rung of the ladder that holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.checks.catalogue import CATALOGUE
from runbook_lib.checks.result import GUEST
from runbook_lib.records import Finding, Status, Verdict

__all__ = ["verdict", "verdicts"]

_BLOCKING = frozenset(check.id for check in CATALOGUE if check.effect == "blocks")
_BY_PROTECTION = {
    "protected": Verdict.PROTECTED,
    "pending": Verdict.ENABLED,
    "first_cancelled": Verdict.ENABLED,
}


def verdict(findings: Iterable[Finding]) -> tuple[Verdict, tuple[str, ...]]:
    """
    Return the verdict on one VM and the ids of the checks that decided it.
    """
    blocking = [finding for finding in findings if finding.check in _BLOCKING]
    for status, rung in ((Status.FAIL, Verdict.BLOCKED), (Status.UNKNOWN, Verdict.UNDETERMINED)):
        if decisive := tuple(each.check for each in blocking if each.status is status and each.case != GUEST):
            return rung, decisive
    case = next((finding.case for finding in blocking if finding.check == "protection"), None)
    if case is None:
        # What was not looked at is unknown: no finding must never read as "nothing in the way".
        return Verdict.UNDETERMINED, ("protection",)
    return _BY_PROTECTION.get(case, Verdict.READY), ()


def verdicts(findings: Iterable[Finding]) -> dict[str, tuple[Verdict, tuple[str, ...]]]:
    """
    Return the verdict on every VM that has findings, keyed by its ARM id as the findings have it.
    """
    by_vm: dict[str, list[Finding]] = {}
    for finding in findings:
        by_vm.setdefault(finding.resource, []).append(finding)
    return {vm: verdict(own) for vm, own in by_vm.items()}
