"""
A process that is killed in the middle of the job, and a second operator who comes in between.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest
from faults.afterwards import afterwards
from faults.estate import ASKED, selected
from faults.job import Ended, Watch, die, opened
from faults.judge import honest, leaks
from faults.matrix import Cell, cells
from faults.stages import Stages

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

# A child of a process that never had threads: it has the libraries loaded, and no locks that somebody else holds.
_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["pytest", "runbook_lib.chain", "runbook_lib.sandbox.transport"])


@pytest.mark.parametrize("cell", [each for each in cells() if each.point], ids=lambda cell: cell.id)
def test_a_killed_process_is_taken_up(cell: Cell, stages: Stages, home: Path) -> None:
    """
    Killed by SIGKILL at any moment of a call, the run is resumed at once: it adopts what was done and repeats nothing.
    """
    stage, asked = stages.get(cell.call.stage), ASKED[cell.call.stage]
    shutil.copy(stage.path, home / "sandbox.sqlite")
    child = _NURSERY.Process(target=die, args=(home, asked, cell.call, cell.point))
    child.start()
    child.join(50)

    assert -signal.SIGKILL == child.exitcode

    watch = Watch()
    with opened(home / "sandbox.sqlite") as sandbox:
        ended = Ended(folder=home / "run", code=None)
        problems = list(honest(ended, watch, sandbox.requests(stage.last), selected(cell.call.stage), cell.ends))
        problems += afterwards(cell, ended, stages, home, sandbox, watch)
        problems += leaks(home, watch)

    assert "" == "\n".join(problems)
