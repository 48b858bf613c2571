"""
Two runs that would write to one vault notice each other.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import RunMaker, writes

from runbook_lib.errors import PlanRefused
from runbook_lib.lease import leased
from runbook_lib.sandbox import Sandbox

ME = {"caller": "ana@contoso", "run": "run-1", "since": "2026-11-22T12:00:00+00:00"}
HOLD = """
import sys, time
from pathlib import Path
from runbook_lib.lease import leased
with leased(Path(sys.argv[1]), "here", ["/vault"], {"caller": "ana@contoso", "run": "run-1", "since": "12:00"}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_who_holds_a_vault_is_said_to_whoever_comes_second(tmp_path: Path) -> None:
    """
    With the run, the caller and since when: exit code 4, nothing was sent.
    """
    second = leased(tmp_path, "here", ["/other", "/vault"], ME | {"caller": "bo@contoso"})
    with leased(tmp_path, "here", ["/vault"], ME), pytest.raises(PlanRefused) as caught, second:
        raise AssertionError

    assert (4, "/vault") == (caught.value.exit_code, caught.value.resource)
    assert ME == caught.value.facts


def test_a_lease_ends_with_its_block_and_a_refused_one_keeps_nothing(tmp_path: Path) -> None:
    """
    The vault that the second run got before it was refused is free again, and so is the first run's in the end.
    """
    with leased(tmp_path, "here", ["/vault"], ME):
        with pytest.raises(PlanRefused), leased(tmp_path, "here", ["/other", "/vault"], ME):
            raise AssertionError
        with leased(tmp_path, "here", ["/other"], ME):
            pass
    with leased(tmp_path, "here", ["/vault", "/other"], ME):
        pass


def test_vaults_of_another_target_are_others(tmp_path: Path) -> None:
    """
    A rehearsal on a copy does not hold up the estate itself.
    """
    with leased(tmp_path, "here", ["/vault"], ME), leased(tmp_path, "there", ["/vault"], ME):
        pass


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    """
    However that ends: nobody has to wait, or to clean up, after a kill.
    """
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert "held\n" == holder.stdout.readline()
    with pytest.raises(PlanRefused), leased(tmp_path, "here", ["/vault"], ME):
        raise AssertionError
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    holder.stdout.close()
    with leased(tmp_path, "here", ["/vault"], ME):
        pass


def test_a_run_is_refused_while_another_writes_to_its_vault(
    make_run: RunMaker, contoso: Sandbox, tmp_path: Path
) -> None:
    """
    Before anything is sent, for all vaults of the plan; a run on other vaults goes on.
    """
    run = make_run(vm_selector="name:bi01")
    other = make_run(vm_selector="name:hr01")
    vault = next(change.target for change in run.plan.changes if change.kind == "create-vault")
    with leased(tmp_path / "state" / "leases", run.session.place, [vault.lower()], ME):
        with pytest.raises(PlanRefused, match="ana@contoso in run run-1"):
            run.apply_plan(run.plan, ["01", "04"])
        before = writes(contoso)
        ended = other.apply_plan(other.plan, ["04"])

    assert ([], {"done"}) == (before, {each.outcome for each in ended})
