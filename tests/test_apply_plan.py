"""
`runbook apply PLAN`: a saved plan, exactly as it is, on the world that it was made for, or not at all.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.recoveryservicesbackup.models import ProtectionPolicyResource
from builders import DAY
from click.testing import CliRunner, Result
from support import writes

from runbook_lib.arm.opening import open_session
from runbook_lib.cli import main
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters
from runbook_lib.policy import properties
from runbook_lib.records import subscription_of
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox, read_estate

PRODUCTION = "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
NIGHTLY = {"vm_selector": "name:hr01", "policy_name": "Nightly"}


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def _saved(run: Run, name: str = "plan.json") -> Path:
    """
    Save a run's plan, as a plan-only run leaves it.
    """
    run.folder.save_plan(run.plan)
    return run.folder.path / name


@pytest.mark.commands
def test_a_plan_is_applied_and_applied_again_it_adopts_everything(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The run folder of a plan-only run will do; each application is a run of its own, sealed, with the plan as given.
    """
    planned = _runbook("run", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:hr01")
    plan = json.loads((tmp_path / "r" / "plan.json").read_text())

    assert [] == writes(contoso)
    assert "Planned only: 2 changes" in planned.stdout

    once = _runbook("apply", str(tmp_path / "r"), "--out", str(tmp_path / "once"))
    since = contoso.requests()[-1]["seq"]
    again = _runbook("apply", str(tmp_path / "r" / "plan.json"), "--out", str(tmp_path / "again"), "--json")
    outcome = json.loads(again.stdout)

    assert (0, 0) == (once.exit_code, again.exit_code), once.output + again.output
    assert "Changes: 2 done" in once.stdout
    assert [] == writes(contoso, since)
    assert {"planned": 2, "adopted": 2} == outcome["changes"]
    assert plan["digest"] == outcome["plan_digest"]
    for name in ("once", "again"):
        assert plan == json.loads((tmp_path / name / "plan.json").read_text())
        assert 0 == _runbook("verify", str(tmp_path / name)).exit_code
        assert {f"{each}.ipynb" for each in NOTEBOOKS} == {path.name for path in (tmp_path / name).glob("*.ipynb")}
    assert "resource" in (tmp_path / "once" / "tables" / "plan-diff.csv").read_text(encoding="utf-8-sig").lower()


def test_a_world_that_moved_is_refused_with_what_moved(contoso: Sandbox, make_run: Any, tmp_path: Path) -> None:
    """
    Somebody made the policy with another retention meanwhile: exit code 4, both values, and no write.
    """
    run = make_run(**NIGHTLY)
    path = _saved(run)
    (wanted,) = (each for each in run.plan.changes if each.kind == "create-policy")
    session = open_session("sandbox", Journal(tmp_path / "other.jsonl"))
    body = {"properties": properties(Parameters(policy_name="Nightly", daily_retention_days=99), DAY)}
    with session.guard.writing():
        session.clients(subscription_of(wanted.target)).backup.protection_policies.create_or_update(
            "rsv-westeurope", "rg-backup-westeurope", "Nightly", ProtectionPolicyResource(body)
        )
    since = contoso.requests()[-1]["seq"]
    refused = _runbook("apply", str(path), "--out", str(tmp_path / "r"))

    assert 4 == refused.exit_code, refused.output
    assert "backuppolicies/nightly" in refused.stderr.lower()
    assert "'daily_retention_days': 30" in refused.stderr
    assert "'daily_retention_days': 99" in refused.stderr
    assert [] == writes(contoso, since)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "hr01 may not be enabled any more: Read-only locks"), ("es", "hr01 ya no se puede habilitar: ")],
)
def test_a_lock_that_is_new_is_told_before_anything_is_sent(
    contoso: Sandbox, make_run: Any, tmp_path: Path, language: str, said: str
) -> None:
    """
    One that refuses some of the writes refuses all: the lock is named, and the VMs that may not be enabled.
    """
    path = _saved(make_run(vm_selector="tag:wave=1", language=language))
    group = f"{PRODUCTION}/resourceGroups/rg-backup-westeurope"
    lock = f"{group}/providers/Microsoft.Authorization/locks/freeze"
    body = {"id": lock, "name": "freeze", "properties": {"level": "ReadOnly"}}
    estate = read_estate("contoso")
    contoso.load(replace(estate, resources=(*estate.resources, body)))
    refused = _runbook("apply", str(path), "--out", str(tmp_path / "r"))

    assert 4 == refused.exit_code, refused.output
    assert lock.lower() in refused.stderr
    assert said in refused.stderr
    assert [] == writes(contoso)
    assert not (tmp_path / "r").exists()


def test_a_plan_whose_vms_are_gone_is_refused(contoso: Sandbox, make_run: Any, tmp_path: Path) -> None:
    """
    What was selected cannot be selected any more: the world moved, no parameter is wrong.
    """
    path = _saved(make_run(vm_selector="name:hr01"))
    (vm,) = (each for each in contoso.resources() if each["id"].endswith("/virtualMachines/hr01"))
    contoso.fault(Fault(does="remove", path="^/subscriptions$", resource=vm["id"], times=1))
    since = contoso.requests()[-1]["seq"]
    refused = _runbook("apply", str(path), "--out", str(tmp_path / "r"))

    assert 4 == refused.exit_code, refused.output
    assert "name:hr01" in refused.stderr
    assert [] == writes(contoso, since)


@pytest.mark.parametrize("name", ["plan.json", "outcome.json", "attestation.dsse.json"])
def test_a_plan_out_of_a_broken_sealed_folder_is_refused(contoso: Sandbox, sealed_run: Path, name: str) -> None:
    """
    Whatever of it was changed, and whether the folder is named or the file: exit code 4, and nothing is begun.
    """
    with (sealed_run / name).open("a", encoding="utf-8") as file:
        file.write("x" if name == "attestation.dsse.json" else "\n")
    out = sealed_run.parent / "applied"
    for plan in (sealed_run, sealed_run / "plan.json"):
        refused = _runbook("apply", str(plan), "--out", str(out))

        assert 4 == refused.exit_code, refused.output
        assert "runbook verify" in refused.stderr
    assert not out.exists()
    assert [] == writes(contoso)


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (lambda plan: plan["steps"].pop(), 4, "does not match its digest"),
        (lambda plan: plan["parameters"].update(accept_risk={"/x": "y"}), 4, "does not match its digest"),
        (lambda plan: plan.update(target="AZURE AzureCloud, tenant x"), 4, "does not match its digest"),
        (lambda plan: plan.pop("target"), 1, "missing field 'target'"),
        (lambda plan: plan.update(more=1), 1, "unknown field 'more'"),
    ],
)
def test_an_edited_plan_is_refused_before_anything_is_read(
    contoso: Sandbox, make_run: Any, tmp_path: Path, edit: Any, code: int, words: str
) -> None:
    """
    Whatever was edited, what was asked for included; nothing is sent, and no folder is left.
    """
    path = _saved(make_run(vm_selector="name:hr01"))
    plan = json.loads(path.read_text())
    edit(plan)
    path.write_text(json.dumps(plan))
    since = contoso.requests()[-1]["seq"]
    refused = _runbook("apply", str(path), "--out", str(tmp_path / "r"))

    assert code == refused.exit_code, refused.output
    assert words in refused.stderr
    assert [] == contoso.requests(since)
    assert not (tmp_path / "r").exists()


def test_a_plan_that_is_not_there_is_a_parameter_error(tmp_path: Path) -> None:
    """
    So is a folder that holds something already.
    """
    missing = _runbook("apply", str(tmp_path / "plan.json"))
    empty = _runbook("apply", str(tmp_path))

    assert (2, 2) == (missing.exit_code, empty.exit_code)
    assert "there is no plan" in missing.stderr


@pytest.mark.commands
def test_a_plan_is_applied_to_the_sandbox_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A rehearsal on a copy of an estate goes on there, and so does the run that applied it.
    """
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(tmp_path / "other.sqlite"))
    _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:hr01")
    applied = _runbook("apply", str(tmp_path / "r"), "--out", str(tmp_path / "a"))
    own = Sandbox(tmp_path / "r.sandbox.sqlite")

    assert 0 == applied.exit_code, applied.output
    assert any("protecteditems" in each.lower() for each in writes(own))
    assert not (tmp_path / "other.sqlite").exists()
    own.close()


@pytest.mark.commands
@pytest.mark.parametrize("copied", [True, False])
def test_a_rehearsal_that_was_moved_is_applied_nowhere_else(contoso: Sandbox, tmp_path: Path, *, copied: bool) -> None:
    """
    Its sandbox did not come along: the file is named, and without --target nothing leads to the original.
    """
    estate, moved = "contoso", tmp_path / "moved"
    if copied:
        estate = str(tmp_path / "copy.json")
        _runbook("snapshot", estate)
    _runbook("run", "--estate", estate, "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:hr01")
    shutil.copytree(tmp_path / "r", moved)
    refused = _runbook("apply", str(moved), "--out", str(tmp_path / "a"))
    (tmp_path / "plan.json").write_bytes((moved / "plan.json").read_bytes())
    alone = _runbook("apply", str(tmp_path / "plan.json"), "--out", str(tmp_path / "b"))

    assert (4, True) == (refused.exit_code, f"{moved}.sandbox.sqlite" in refused.stderr), refused.output
    # Nothing tells that the plan of an estate which is no copy was made elsewhere.
    assert (4 if copied else 0) == alone.exit_code, alone.output
    if copied:
        assert "this sandbox is not that copy" in alone.stderr
        assert [] == writes(contoso)
        assert 0 == _runbook("apply", str(moved), "--target", "sandbox", "--out", str(tmp_path / "c")).exit_code
    assert not (tmp_path / "a").exists()


@pytest.mark.commands
@pytest.mark.parametrize("link", [True, False])
def test_a_prepared_pointer_is_not_written_through(contoso: Sandbox, tmp_path: Path, *, link: bool) -> None:
    """
    The file that says whose sandbox a run works on is made anew, or the run is refused.
    """
    mine, pointer = tmp_path / "mine", tmp_path / "a.sandbox"
    mine.write_text("mine")
    if link:
        pointer.symlink_to(mine)
    else:
        pointer.write_text("mine")
    _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:hr01")
    refused = _runbook("apply", str(tmp_path / "r"), "--out", str(tmp_path / "a"))

    assert (2, True) == (refused.exit_code, str(pointer) in refused.stderr), refused.output
    assert {"mine"} == {path.read_text() for path in (mine, pointer)}


@pytest.mark.commands
def test_a_run_on_the_sandbox_of_another_goes_on_there_alone(contoso: Sandbox, tmp_path: Path) -> None:
    """
    It is refused where that is gone.
    """
    _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:hr01")
    applied = _runbook("apply", str(tmp_path / "r"), "--out", str(tmp_path / "a"))
    (tmp_path / "a" / "attestation.dsse.json").unlink()
    again = _runbook("resume", str(tmp_path / "a"))
    (tmp_path / "a" / "attestation.dsse.json").unlink()
    (tmp_path / "r.sandbox.sqlite").unlink()
    gone = _runbook("resume", str(tmp_path / "a"))

    assert (0, 0, 4) == (applied.exit_code, again.exit_code, gone.exit_code), gone.output
    assert f"{tmp_path / 'r.sandbox.sqlite'}, the sandbox that this run or plan belongs to" in gone.stderr
    assert [] == writes(contoso)
