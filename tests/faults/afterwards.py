"""
What follows on a job that met a fault: a rerun at once where it did not end whole, and a run that has no work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from faults.estate import ASKED, selected
from faults.job import Ended, Watch, begin, chained, plan_only, resume
from faults.judge import once, silent, whole
from faults.matrix import Cell
from faults.stages import Stages, settled

from runbook_lib import evidence
from runbook_lib.sandbox import Sandbox
from runbook_lib.selection import VMS

__all__ = ["afterwards"]


def afterwards(cell: Cell, ended: Ended, stages: Stages, home: Path, sandbox: Sandbox, watch: Watch) -> Iterator[str]:
    """
    Run the job again, without the fault: the same run if it was left open, a new one if it was sealed short; then once
    more, unless another cell has shown that the state leaves nothing to do.
    """
    asked = ASKED[cell.call.stage]
    gone = cell.form.gone if cell.form else ""
    stage, wanted = stages.get(cell.call.stage), stages.ends(cell.call.stage, gone)
    with chained(sandbox.path, watch):
        # Of parameters that were refused the command leaves no folder.
        if ended.code == 0 and not gone and settled(sandbox) in wanted:
            again = ended
        elif ended.sealed or ended.code == 2:
            again = begin(home / "again", asked)
        else:
            again = resume(ended.folder)
            if again.code == 3 and _was_partial(ended):
                # What was approved is done; the VMs that could not be read by then are for another run.
                again = begin(home / "again", asked)
        yield from whole(again, selected(cell.call.stage) - {gone.lower()}, gone)
        state = settled(sandbox)
        if state not in wanted:
            yield "state: not what a run without faults makes"
        log = sandbox.requests(stage.last)
        yield from once(log, stage.changes, void=cell.form is not None and cell.form.void, gone=gone)
        # What is to be done follows from the state and from what is asked: each is looked at once.
        if (cell.call.stage, state) in stages.silent:
            return
        third = plan_only(home / "third", asked)
        plan = third.plan
        third.apply_plan(plan, [step.number for step in plan.steps])
        spoken = list(silent(sandbox.requests(log[-1]["seq"])))
        if not spoken:
            stages.silent.add((cell.call.stage, state))
        yield from spoken


def _was_partial(ended: Ended) -> bool:
    """
    Tell whether the plan of a run was made without some VMs, for their list could not be read.
    """
    before = evidence.read_json(ended.folder / "inventory-before.json")
    return any(gap["what"] == VMS for gap in before.get("unread", ()))
