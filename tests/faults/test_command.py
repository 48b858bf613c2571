"""
The command itself, killed from outside: `runbook run`, its kernel, and `runbook resume`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults.estate import ASKED, selected, small
from faults.job import Watch, chained, opened, plan_only
from faults.judge import effective, leaks, silent
from faults.stages import Stages, settled

from runbook_lib import evidence
from runbook_lib.records import key
from runbook_lib.sandbox.estate import write_estate

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

_RUNBOOK = Path(sys.executable).with_name("runbook")
Log = list[dict[str, Any]]


def _protecting(log: Log) -> bool:
    return any("/protecteditems/" in change for change in effective(log))


def _planning(log: Log) -> bool:
    return len(log) > 60


@pytest.mark.parametrize(
    ("moment", "kernel"),
    [(_planning, True), (_protecting, False)],
    ids=["its-kernel-while-planning", "while-protecting"],
)
def test_a_killed_command_is_resumed(moment: Callable[[Log], bool], kernel: bool, stages: Stages, home: Path) -> None:
    """
    What `kill -9` leaves is unsealed; `runbook resume` ends it, with each change made once and the evidence accepted.
    """
    stage, folder = stages.get("new"), home / "run"
    write_estate(small(), home / "small.json")
    given = [word for name, value in ASKED["new"].items() for word in ("-p", name, _text(value))]
    command = [str(_RUNBOOK), "run", "--estate", str(home / "small.json"), "--apply", "--out", str(folder), *given]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        own = home / "run.sandbox.sqlite"
        _wait(lambda: own.exists())
        with opened(own) as sandbox:
            _wait(lambda: moment(sandbox.requests()))
        os.kill(_child_of(process.pid) if kernel else process.pid, signal.SIGKILL)
        process.wait(60)

    assert (5 if kernel else -signal.SIGKILL) == process.returncode
    assert not (folder / evidence.ATTESTATION).exists()

    done = subprocess.run([str(_RUNBOOK), "resume", str(folder)], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert evidence.verify(folder).accepted

    verdicts = Counter(key(each["vm"]) for each in evidence.read_json(folder / "outcome.json")["verdicts"])
    watch = Watch()
    with opened(own) as sandbox:
        changes = Counter(each for each in effective(sandbox.requests()) if not each.endswith("/refreshcontainers"))

        assert Counter(selected("new")) == verdicts
        assert {change: 1 for change in stage.changes if not change.endswith("/refreshcontainers")} == changes
        assert stage.digest == settled(sandbox)

        mark = sandbox.requests()[-1]["seq"]
        with chained(own, watch):
            third = plan_only(home / "third", ASKED["new"])
            third.apply_plan(third.plan, [step.number for step in third.plan.steps])

        assert [] == list(silent(sandbox.requests(mark)))
    assert [] == list(leaks(home, watch))


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _child_of(process: int) -> int:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[-1])
