"""
The fault matrix: every ARM call of the job meets every fault, and nothing is lost, done twice or told wrongly.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults.calls import CALLS
from faults.estate import ASKED, STAGES, selected
from faults.job import Ended, Watch, begin, chained, opened, plan_only, resume
from faults.judge import honest, leaks, once, silent, whole
from faults.matrix import Cell, cells
from faults.stages import LONG, Stages, settled

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

_FAULTY = [cell for cell in cells() if cell.form is not None]


@pytest.mark.parametrize("cell", _FAULTY, ids=lambda cell: cell.id)
def test_a_fault_loses_nothing_and_doubles_nothing(cell: Cell, stages: Stages, home: Path) -> None:
    """
    However the job ends, a rerun makes of the estate what a run without faults makes of it, and a third has no work.
    """
    form, asked = cell.form, ASKED[cell.call.stage]
    assert form is not None
    stage, wanted = stages.get(cell.call.stage), stages.get(cell.call.stage, form.gone)
    shutil.copy(stage.path, home / "sandbox.sqlite")
    first, later = Watch(), Watch()
    with opened(home / "sandbox.sqlite") as sandbox:
        since = stage.log[0]["seq"] - 1
        if form.settings:
            sandbox.configure(**form.settings)
        for rule in form.rules(stages.scene(cell.call)):
            sandbox.fault(rule)
        with chained(sandbox.path, first):
            ended = begin(home / "run", asked)
        log = sandbox.requests(since)
        sandbox.clear_faults()
        if form.settings:
            sandbox.configure(**dict.fromkeys(form.settings))
            sandbox.advance(LONG)
        vms = selected(cell.call.stage) - {form.gone.lower()}
        problems = list(honest(ended, first, log, selected(cell.call.stage), cell.ends))
        if not form.settings and not any(each["fault"] for each in log):
            problems.append("cell: the fault did not happen")
        problems += _afterwards(cell, ended, stages, home, sandbox, later, since, vms, wanted.digest)
        problems += leaks([home / "run", home / "again", home / "third"], Watch(tokens=first.tokens | later.tokens))

    assert [] == problems


def _afterwards(cell, ended, stages, home, sandbox, watch, since, vms, digest):  # type: ignore[no-untyped-def]
    form = cell.form
    asked = ASKED[cell.call.stage]
    with chained(sandbox.path, watch):
        again = begin(home / "again", asked) if ended.sealed else resume(home / "run")
        yield from whole(again, vms)
        log = sandbox.requests(since)
        if settled(sandbox) != digest:
            yield "state: not what a run without faults makes"
        known = stages.get(cell.call.stage).changes
        yield from once(log, known, void=bool(form and form.void), gone=form.gone if form else "")
        mark = sandbox.requests()[-1]["seq"]
        third = plan_only(home / "third", asked)
        plan = third.plan
        third.apply_plan(plan, [step.number for step in plan.steps])
        yield from silent(sandbox.requests(mark))
