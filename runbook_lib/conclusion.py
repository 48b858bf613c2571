"""
What a run comes to: outcome, findings and tables, written to its folder.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from runbook_lib import checks, evidence, render
from runbook_lib.folder import RunFolder
from runbook_lib.records import Finding, Verdict, VmVerdict, encode, key

if TYPE_CHECKING:
    from runbook_lib.run import Run

__all__ = ["conclude"]

VMS = "Microsoft.Compute/virtualMachines"


def conclude(run: Run) -> render.Table:
    """
    Compare what was read last with what was there before, and write what came of the run.
    """
    found_before, found = run.findings(run.before), run.findings(run.inventory)
    before = {key(vm): verdict for vm, (verdict, _) in checks.verdicts(found_before).items()}
    verdicts = run.verdicts(run.inventory, found)
    mark = run.inventory.target.mark
    evidence.write_json(run.folder.path / "findings.json", {"target": mark, "before": found_before, "after": found})
    evidence.write_json(run.folder.path / "outcome.json", _outcome(run, mark, before, verdicts, found))
    evidence.write_json(run.folder.path / "environment.json", _environment(run.folder))
    table = render.comparison(run.inventory, before, verdicts, found, run.asked.language)
    _write_tables(run, table, found)
    return table


def _outcome(
    run: Run, mark: str, before: Mapping[str, Verdict], verdicts: Sequence[VmVerdict], found: Sequence[Finding]
) -> dict[str, Any]:
    plan = run.folder.plan()
    tried = run.folder.outcomes()
    unread_vms = any(gap.what == VMS for gap in run.inventory.unread)
    grouped: dict[str, list[Finding]] = {}
    for each in found:
        grouped.setdefault(key(each.resource), []).append(each)
    applied = run.asked.apply or run.folder.applies or bool(tried)
    return {
        "target": mark,
        "caller": run.inventory.target.caller,
        "complete": run.folder.complete,
        "supervised": run.folder.supervised,
        "applied": applied,
        "read_at": {"before": run.before.read_at, "after": run.inventory.read_at},
        "plan_digest": plan.digest if plan else "",
        "changes": {"planned": len(plan.changes) if plan else 0} | tried,
        "counts": dict(Counter(each.verdict.value for each in verdicts)),
        "verdicts": [
            encode(each)
            | {
                "before": before[key(each.vm)].value if key(each.vm) in before else "",
                "why": render.why(each, grouped[key(each.vm)], run.asked.language),
            }
            for each in verdicts
        ],
        "differences": [encode(each) for each in run.differences()],
        "unread": run.inventory.unread,
        "exit_code": evidence.exit_code(
            verdicts, applied=applied, failed=tried.get("failed", 0), unread_vms=unread_vms
        ),
    }


def _write_tables(run: Run, comparison: render.Table, found: Sequence[Finding]) -> None:
    folder = run.folder.path / "tables"
    folder.mkdir(exist_ok=True)
    comparison.write_csv(folder / "comparison.csv")
    render.findings(run.inventory, found, run.asked.language).write_csv(folder / "findings.csv")
    render.unread(run.inventory, run.asked.language).write_csv(folder / "unread.csv")
    plan = run.folder.plan()
    if plan:
        table = render.plan(plan.steps, "", run.asked.language, run.folder.ended())
        table.write_csv(folder / "plan.csv")


def _environment(folder: RunFolder) -> dict[str, Any]:
    """
    Say with what the run was made; every package that takes part, with its version.
    """
    packages = (
        "azure-vm-backup-runbook",
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
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "packages": {name: version(name) for name in packages},
        "run": folder.state(),
        # One kernel runs the whole chain; names and counters are reset between notebooks.
        "kernel": "one for the chain" if folder.chained else "one per notebook",
    }
