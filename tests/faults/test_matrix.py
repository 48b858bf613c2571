"""
The fault matrix: every ARM call of the job meets every fault, and nothing is lost, done twice or told wrongly.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from faults.afterwards import afterwards
from faults.calls import CALLS, Call
from faults.estate import ASKED, selected
from faults.job import Watch, begin, chained, opened
from faults.judge import honest, leaks
from faults.matrix import Cell, cells
from faults.stages import LONG, Stages

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]


@pytest.mark.parametrize("stage", ASKED)
def test_every_request_of_the_job_is_a_call_of_the_matrix(stage: str, stages: Stages) -> None:
    """
    Nothing that the job sends is left out, and each row of the matrix is something that it sends.
    """
    log = stages.get(stage).log
    unknown = [f"{one['method']} {one['path']}" for one in log if not any(_meets(call, one) for call in CALLS)]
    unused = [
        call.name
        for call in CALLS
        if call.stage == stage and not call.led_by and not any(_meets(call, one) for one in log)
    ]

    assert ([], []) == (unknown, unused)


def _meets(call: Call, request: dict[str, Any]) -> bool:
    return call.meets(request["method"], request["path"])


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
        for rule in stages.rules(cell.call, form):
            sandbox.fault(rule)
        with chained(sandbox.path, watch, asks=cell.call.does == "ask"):
            ended = begin(home / "run", ASKED[cell.call.stage])
        log = sandbox.requests(stage.last)
        problems = list(honest(ended, watch, log, selected(cell.call.stage), cell.ends))
        if not form.settings and not any(each["fault"] and _meets(cell.call, each) for each in log):
            problems.append("cell: the fault did not happen")
        sandbox.clear_faults()
        if form.settings:
            sandbox.configure(**dict.fromkeys(form.settings))
            sandbox.advance(LONG)
        problems += afterwards(cell, ended, stages, home, sandbox, watch)
        problems += leaks(home, watch)

    assert "" == "\n".join(problems)
