"""
Two operators who do the same job on the same estate at the same time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from azure.core.rest import HttpRequest
from faults.afterwards import afterwards
from faults.estate import ASKED, selected
from faults.job import Ended, Watch, begin, chained, opened
from faults.judge import honest, leaks
from faults.matrix import Cell, cells
from faults.stages import Stages

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]


@pytest.mark.parametrize("cell", [each for each in cells() if each.kind.id == "F14"], ids=lambda cell: cell.id)
def test_a_second_operator_doubles_nothing(cell: Cell, stages: Stages, home: Path) -> None:
    """
    The second one begins and ends where the first is about to send a change: each change is made once, by one of them.
    """
    stage, asked = stages.get(cell.call.stage), ASKED[cell.call.stage]
    shutil.copy(stage.path, home / "sandbox.sqlite")
    others: list[Ended] = []
    met: list[HttpRequest] = []

    def come_in(request: HttpRequest) -> None:
        if not met and cell.call.meets(request.method, request.url):
            met.append(request)
            others.append(begin(home / "other", asked))

    watch = Watch(before=come_in)
    with opened(home / "sandbox.sqlite") as sandbox:
        with chained(sandbox.path, watch):
            ended = begin(home / "run", asked)
        log, vms = sandbox.requests(stage.last), selected(cell.call.stage)
        problems = [said for each in (ended, *others) for said in honest(each, watch, log, vms, cell.ends)]
        problems += afterwards(cell, ended, stages, home, sandbox, watch)
        problems += leaks(home, watch)

    assert met
    assert "" == "\n".join(problems)
