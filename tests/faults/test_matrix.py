"""
The fault matrix: every ARM call of the job meets every fault, and nothing is lost, done twice or told wrongly.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults.afterwards import afterwards
from faults.estate import ASKED, selected
from faults.job import Watch, begin, chained, opened
from faults.judge import honest, leaks
from faults.matrix import Cell, cells
from faults.stages import LONG, Stages

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]


@pytest.mark.parametrize("cell", [each for each in cells() if each.form], ids=lambda cell: cell.id)
def test_a_fault_loses_nothing_and_doubles_nothing(cell: Cell, stages: Stages, home: Path) -> None:
    """
    However the job ends, a rerun makes of the estate what a run without faults makes of it, and a third has no work.
    """
    stage, form, watch = stages.get(cell.call.stage), cell.form, Watch()
    assert form is not None
    shutil.copy(stage.path, home / "sandbox.sqlite")
    with opened(home / "sandbox.sqlite") as sandbox:
        sandbox.configure(**form.settings)
        for rule in form.rules(stages.scene(cell.call)):
            sandbox.fault(rule)
        with chained(sandbox.path, watch, asks=cell.call.does == "ask"):
            ended = begin(home / "run", ASKED[cell.call.stage])
        log = sandbox.requests(stage.last)
        problems = list(honest(ended, watch, log, selected(cell.call.stage), cell.ends))
        if not form.settings and not any(each["fault"] for each in log):
            problems.append("cell: the fault did not happen")
        sandbox.clear_faults()
        if form.settings:
            sandbox.configure(**dict.fromkeys(form.settings))
            sandbox.advance(LONG)
        problems += afterwards(cell, ended, stages, home, sandbox, watch)
        problems += leaks([home], watch)

    assert "" == "\n".join(problems)
