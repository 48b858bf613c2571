"""
What a run comes to: outcome, findings and tables, written to its folder.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from runbook_lib import checks, evidence, render
from runbook_lib.checks.prerequisites import ENABLING_FAILED
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import Parameters
from runbook_lib.placement import held_of
from runbook_lib.plan import Difference, diff
from runbook_lib.records import Finding, Inventory, Verdict, VmVerdict, encode, key
from runbook_lib.rights import Right
from runbook_lib.selection import VMS, accepted_risk
from runbook_lib.text import say

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["close", "conclude", "held_back", "verdicts_of"]

PACKAGE = "azure-vm-backup-runbook"
_PACKAGES = (
    PACKAGE,
    "azure-core",
    "azure-mgmt-compute",
    "azure-mgmt-network",
    "azure-mgmt-recoveryservices",
    "azure-mgmt-recoveryservicesbackup",
    "azure-mgmt-resource",
    "azure-mgmt-resource-subscriptions",
    "ipykernel",
    "ipywidgets",
    "nbclient",
    "pandas",
    "papermill",
)
_MISSING = {"gone": "say.missing_gone", "unread": "say.missing_unread"}


def verdicts_of(inventory: Inventory, asked: Parameters) -> tuple[VmVerdict, ...]:
    """
    Return the verdict on each selected VM, with the reason for going on in spite of it.
    """
    return inventory.derive(asked, "drawn", lambda: tuple(_drawn(inventory, asked)))


def _drawn(inventory: Inventory, asked: Parameters) -> Iterator[VmVerdict]:
    for vm, (verdict, decisive) in checks.verdicts_on(inventory, asked).items():
        risk = accepted_risk(inventory.vms[key(vm)], asked)
        yield VmVerdict(vm=vm, verdict=verdict, decisive=decisive, accepted_risk=risk)


def held_back(inventory: Inventory, verdict: VmVerdict, asked: Parameters) -> bool:
    """
    Tell whether a VM's verdict alone keeps it from being enabled: `accept_risk` would let it go on.
    """
    if verdict.verdict not in (Verdict.BLOCKED, Verdict.UNDETERMINED) or verdict.accepted_risk:
        return False
    entry = held_of(inventory, inventory.vms[key(verdict.vm)])
    if entry is not None and entry.soft_deleted:
        return asked.undelete
    return entry is None or entry.protection in ("stopped", ENABLING_FAILED)


def conclude(
    folder: RunFolder,
    asked: Parameters,
    before: Inventory,
    after: Inventory,
    differences: Sequence[Difference],
    rights: Sequence[Right],
) -> render.Table:
    """
    Compare what was read last with what was there before, and write what came of the run.

    Args:
        differences: where the world is not as the applied changes promised.
        rights: what the plan needs, and whether the caller has it.
    """
    found_before, found = checks.findings_on(before, asked), checks.findings_on(after, asked)
    earlier = {key(vm): verdict for vm, (verdict, _) in checks.verdicts_on(before, asked).items()}
    verdicts = verdicts_of(after, asked)
    mark = after.target.mark
    missing = _missing_rows(before, after, earlier, asked.language)
    evidence.write_findings(folder.path, mark, found_before, found)
    outcome: dict[str, Any] = {
        "target": mark,
        "caller": after.target.caller,
        "complete": folder.complete,
        "supervised": folder.supervised,
        "read_at": {"before": before.read_at, "after": after.read_at},
        "counts": dict(Counter(each.verdict.value for each in verdicts)),
        "verdicts": _verdict_rows(after, verdicts, earlier, found, asked),
        "missing": missing,
        "differences": differences,
        "unread": after.unread,
        "rights": {
            "missing": [
                {"step": each.step, "action": each.action, "scope": each.scope}
                for each in rights
                if each.granted is False
            ],
            "unknown": sum(each.granted is None for each in rights),
        },
    }
    evidence.write_json(folder.path / "outcome.json", outcome | _of_the_plan(folder, asked, after, verdicts, missing))
    evidence.write_json(folder.path / "environment.json", _environment(folder))
    whole = render.comparison(after, earlier, verdicts, found, asked.language, whole=True)
    folder.save_table("comparison", whole)
    _write_tables(folder, asked.language, after, found)
    worse = render.worse(outcome["verdicts"], asked.language) if folder.ended() else []
    remarks = [*(each["why"] for each in missing), *worse]
    table = render.comparison(after, earlier, verdicts, found, asked.language, remarks)
    table.whole = "tables/comparison.csv"
    return table


def close(folder: RunFolder, signer: Signer | None = None) -> str:
    """
    Write the report of a run that came to its end, then seal all of its files.

    Returns:
        The attestation's sha256.
    """
    outcome = evidence.read_json(folder.path / "outcome.json")
    parameters, plan = folder.parameters(), folder.plan()
    if plan is not None:
        entries, language = list(folder.journal.entries()), parameters["language"]
        folder.save_table("changes", render.changes(plan, entries, language))
        packages = evidence.read_json(folder.path / "environment.json")["packages"]
        page = render.report(outcome, plan, entries, parameters, folder.state(), packages[PACKAGE], language)
        (folder.path / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
    return evidence.seal(folder.path, signer)


def _verdict_rows(
    after: Inventory,
    verdicts: Sequence[VmVerdict],
    earlier: Mapping[str, Verdict],
    found: Sequence[Finding],
    asked: Parameters,
) -> list[dict[str, Any]]:
    grouped: dict[str, list[Finding]] = {}
    for each in found:
        grouped.setdefault(key(each.resource), []).append(each)
    return [
        encode(each)
        | {
            "before": earlier[key(each.vm)].value if key(each.vm) in earlier else "",
            "why": render.why(each, grouped[key(each.vm)], asked.language),
            "remedy": render.remedies(each, grouped[key(each.vm)], asked.language),
            "machine": render.machine(after, each.vm),
            "held_back": held_back(after, each, asked),
        }
        for each in verdicts
    ]


def _missing_rows(
    before: Inventory, after: Inventory, earlier: Mapping[str, Verdict], language: str
) -> list[dict[str, str]]:
    """
    List the VMs that were selected when the run began and of which there is no verdict: `gone`, or `unread`.
    """
    rows = []
    for vm_id in after.sought:
        if key(vm_id) in after.vms:
            continue
        case = "unread" if after.unread_under(vm_id, VMS) else "gone"
        was = earlier[key(vm_id)].value if key(vm_id) in earlier else ""
        facts = {"vm": before.vms[key(vm_id)].name, "group": before.group_name(before.vms[key(vm_id)]), "before": was}
        rows.append({"vm": vm_id, "case": case, "before": was, "why": say(_MISSING[case], language, **facts)})
    return rows


def _of_the_plan(
    folder: RunFolder,
    asked: Parameters,
    after: Inventory,
    verdicts: Sequence[VmVerdict],
    missing: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    plan = folder.plan()
    tried, failed = folder.outcomes(), folder.failures()
    applied = asked.apply or folder.applies or bool(tried)
    return {
        "applied": applied,
        "plan_digest": plan.digest if plan else "",
        "notes": render.notes(plan, asked.language) if plan else [],
        "changes": {"planned": len(plan.changes) if plan else 0} | tried,
        "failures": render.failures(plan, failed, asked.language) if plan else [],
        "irreversible": plan.irreversible if plan else {},
        "exit_code": evidence.exit_code(
            verdicts,
            applied=applied,
            unfinished=evidence.unfinished(tried),
            lacking=bool(missing) or any(gap.what == VMS for gap in after.unread),
        ),
    }


def _write_tables(folder: RunFolder, language: str, after: Inventory, found: Sequence[Finding]) -> None:
    folder.save_table("findings", render.findings(after, found, language, whole=True))
    folder.save_table("unread", render.unread(after, language))
    plan = folder.plan()
    if plan:
        folder.save_table("plan", render.plan(plan.steps, "", language, folder.results()))
        folder.save_table("plan-diff", render.diff(diff(plan.steps), "", language, whole=True))


@cache
def _versions() -> dict[str, str]:
    """
    Return the version of each package that takes part.
    """
    return {name: version(name) for name in _PACKAGES}


def _environment(folder: RunFolder) -> dict[str, Any]:
    """
    Say with what the run was made.
    """
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "packages": _versions(),
        "run": folder.state(),
        # One kernel runs the whole chain; names and counters are reset between notebooks.
        "kernel": "one for the chain" if folder.chained else "one per notebook",
    }
