"""
The first real input: an estate made from recorded traffic of Azure itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runbook_lib import checks
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, Plan, decode, encode, key
from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox, read_estate

REFERENCE = os.environ.get("RUNBOOK_REFERENCE", "")
pytestmark = pytest.mark.skipif(not REFERENCE, reason="RUNBOOK_REFERENCE is unset: no recorded traffic to read")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """
    The recorded estate.
    """
    made = Sandbox(tmp_path_factory.mktemp("recorded") / "sandbox.sqlite")
    made.load(read_estate(Path(REFERENCE) / "recordings"))
    return made


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """
    A run over all of it.
    """
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(sandbox.path))
    return Run(RunFolder(tmp_path / "run"), Parameters())


def test_every_recorded_vm_gets_exactly_one_verdict(run: Run, sandbox: Sandbox) -> None:
    """
    Whatever shape it was recorded in, no VM is lost and none is judged twice.
    """
    there = {
        key(each["id"]) for each in sandbox.resources() if each["type"].lower() == "microsoft.compute/virtualmachines"
    }
    found = checks.verdicts(run.findings(run.inventory))

    assert len(there) >= 300
    assert there == {key(vm) for vm in found}
    assert len(there) == len(found)


def test_the_service_refuses_nothing_of_the_plan_over_it(run: Run, sandbox: Sandbox) -> None:
    """
    The job runs on real shapes: what the service would refuse was kept back by a check, and all else becomes as
    promised.
    """
    plan = run.plan
    run.folder.save_plan(plan)
    ended = run.apply_plan(plan, ["01", "02", "03", "04", "06"])
    run.read_again()
    failed = {each.code for each in ended if each.outcome == "failed"}
    kept = [each.facts["needs"] for each in run.findings(run.before) if each.case == "needs_enhanced"]

    assert set() == failed
    assert ["ConfidentialVM", "ConfidentialVM", "UltraSSD_LRS"] == sorted(kept)
    assert () == run.differences()


def test_records_of_it_survive_their_json_form(run: Run) -> None:
    """
    Inventory and plan are read back as they were.
    """
    assert run.inventory == decode(Inventory, encode(run.inventory))
    assert run.plan == decode(Plan, encode(run.plan))
