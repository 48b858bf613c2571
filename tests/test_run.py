"""
A run as notebooks use it: parameters through the run folder, plans, approval, outcome.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import RunMaker, writes

from runbook_lib import checks, evidence, open_run
from runbook_lib.errors import Drift, InvalidParameters, PlanRefused, SignInError, WriteFailed
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.records import Verdict, key
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox
from runbook_lib.ui import Approval


def _seen(run: Run) -> Approval:
    """
    Look at the plan of the step, and be asked for approval of it.
    """
    run.show_plan()
    return run.approval()


def test_what_was_chosen_in_one_notebook_is_the_default_of_the_next(contoso: Sandbox, tmp_path: Path) -> None:
    """
    A value that differs from its default is kept in the run folder.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1"})
    later = open_run("04_select_vms", {"run_dir": folder, "vm_selector": "all"})

    assert "tag:wave=1" == later.asked.vm_selector


def test_leave_to_write_is_never_inherited(contoso: Sandbox, tmp_path: Path) -> None:
    """
    `apply` counts for the notebook that it was given to, and is in no file.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder, "apply": True})

    assert not open_run("01_create_vault", {"run_dir": folder}).asked.apply
    assert "apply" not in json.loads((tmp_path / "r" / "parameters.json").read_text())


def test_an_unnamed_run_goes_on_from_notebook_to_notebook(contoso: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In JupyterLab all notebooks join the open run, 00 as well, until it is sealed: nobody loses one by running a cell
    again.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/00_start.ipynb")
    first = open_run("00_start", {"vm_selector": "tag:wave=1"})
    second = open_run("01_create_vault", {})
    third = open_run("00_start", {})

    assert first.folder.path == second.folder.path == third.folder.path
    assert "tag:wave=1" == third.asked.vm_selector

    third.conclude()
    third.seal(ticked(third.sealing()))
    fourth = open_run("00_start", {})

    assert fourth.folder.path != third.folder.path
    assert "all" == fourth.asked.vm_selector


def ticked(approval: Approval) -> Approval:
    """
    Tick the box.
    """
    approval.value = True
    return approval


def test_a_run_with_planned_changes_is_not_sealed_by_run_all(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Somebody who sits before the screen is told what would be left, and ticks the box or goes back.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/07_evidence.ipynb")
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("07_evidence")
    run.conclude()

    assert "01, 04" in run.seal(run.sealing()).text()
    assert not run.folder.sealed

    run.seal(ticked(run.sealing()))

    assert run.folder.sealed


def test_what_was_changed_and_not_taken_over_is_not_applied(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The approved plan is that of the earlier choice: somebody sees one thing on screen, and would have another done.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    form = run.form("vault_name")
    approval = ticked(_seen(run))
    form.controls["vault_name"].value = "rsv-other-{location}"

    with pytest.raises(PlanRefused, match=r"vault_name.*not taken over"):
        run.apply(approval)
    assert [] == writes(contoso)

    run.choose(form)
    run.apply(ticked(_seen(run)))

    assert any(each.endswith("/vaults/rsv-other-spaincentral") for each in writes(contoso))


def test_a_step_is_not_applied_before_the_one_it_rests_on(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Nothing has moved: the vault is still to be made, in the notebook that is named.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("04_select_vms")

    with pytest.raises(PlanRefused, match=r"Step 04 rests on step 01.*Apply step 01 first"):
        run.apply(ticked(_seen(run)))
    assert [] == writes(contoso)


def test_a_step_that_is_done_says_so(make_run: RunMaker) -> None:
    """
    Running the Apply cell once more sends nothing, and alarms nobody.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    approval = ticked(_seen(run))
    run.apply(approval)

    assert "Nothing is left" in run.apply(approval).text()


def test_running_all_again_shows_what_was_done(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The saved notebook keeps it, and says nothing of a plan that was not written.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    run.apply(ticked(_seen(run)))
    sent = writes(contoso)
    again = run.apply(_seen(run)).text()

    assert "What was done in step 01" in again
    assert "nothing was written" not in again
    assert sent == writes(contoso)


def test_what_is_planned_besides_is_told_with_what_was_done(make_run: RunMaker) -> None:
    """
    After another choice there is more to be made.
    """
    run = make_run(vm_selector="name:bi01")
    run.arrive("01_create_vault")
    run.apply(ticked(_seen(run)))
    form = run.form("vm_selector")
    form.controls["vm_selector"].value = "all"
    run.choose(form)
    again = run.apply(_seen(run)).text()

    assert "What was done in step 01" in again
    assert "more changes of this step are planned and not written" in again


def test_a_plan_that_was_not_shown_again_after_a_choice_cannot_be_approved(make_run: RunMaker) -> None:
    """
    The box stands for what is on screen.
    """
    run = make_run(vm_selector="name:bi01")
    run.arrive("01_create_vault")
    run.show_plan()
    form = run.form("vault_name")
    form.controls["vault_name"].value = "rsv-never-shown"
    run.choose(form)

    with pytest.raises(PlanRefused, match="shown last"):
        run.approval()


def test_the_last_notebook_shows_and_seals_the_plan_of_what_is_chosen(make_run: RunMaker) -> None:
    """
    Not that of an earlier choice: who applies a sealed plan makes what was decided, and what was made stays on record.
    """
    run = make_run(vm_selector="all")
    run.arrive("01_create_vault")
    run.apply(ticked(_seen(run)))
    form = run.form("vm_selector")
    form.controls["vm_selector"].value = "name:bi01"
    run.choose(form)
    run.arrive("07_evidence")
    shown = run.show_whole_plan()
    run.conclude()
    plan = run.folder.plan()

    assert plan is not None
    assert ["bi01"] == [change.facts["vm"] for change in plan.changes if change.kind == "protect"]
    assert len(plan.changes) == len(shown.frame)
    assert run.folder.ended().keys() <= {change.sha256 for change in plan.changes}

    run.folder.check_approved()
    run.seal(ticked(run.sealing()))

    assert () == evidence.verify(run.folder.path).problems


def test_nothing_is_done_any_more_in_a_sealed_run(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A notebook that is still open neither writes to the target nor voids the evidence.
    """
    run = make_run(vm_selector="name:bi01")
    run.arrive("01_create_vault")
    form, approval = run.form("vault_name"), ticked(_seen(run))
    run.arrive("07_evidence")
    run.conclude()
    run.seal(ticked(run.sealing()))
    run.notebook = "01_create_vault"
    attempts = (
        lambda: run.choose(form),
        lambda: run.apply(approval),
        run.conclude,
        run.files,
        lambda: run.seal(approval),
        lambda: run.arrive("01_create_vault"),
    )
    for attempt in attempts:
        with pytest.raises(InvalidParameters, match="is sealed"):
            attempt()

    assert [] == writes(contoso)
    assert () == evidence.verify(run.folder.path).problems


def test_a_sealed_run_is_not_begun_anew_by_its_last_notebook(contoso: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Run All in it would take the digest off the screen that one is told to keep; any other notebook begins a run.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/07_evidence.ipynb")
    run = open_run("07_evidence", {"vm_selector": "name:bi01"})
    run.conclude()
    run.seal(ticked(run.sealing()))

    with pytest.raises(InvalidParameters, match="is sealed"):
        open_run("07_evidence", {})
    assert open_run("01_create_vault", {}).folder.path != run.folder.path


def test_a_choice_leaves_what_was_decided_in_a_later_notebook(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Whoever goes back takes over what the form asks for, and nothing else.
    """
    folder = str(tmp_path / "r")
    first = open_run("01_create_vault", {"run_dir": folder})
    later = open_run("03_backup_policy", {"run_dir": folder})
    form = later.form("policy_name")
    form.controls["policy_name"].value = "nightly"
    later.choose(form)
    first.choose(first.form("vault_name"))

    assert "nightly" == first.folder.parameters()["policy_name"]
    assert "nightly" == first.asked.policy_name


def test_a_plan_on_screen_is_not_applied_after_a_decision_elsewhere(contoso: Sandbox, tmp_path: Path) -> None:
    """
    It was made for other VMs: nothing is sent, and what moved is named.
    """
    folder = str(tmp_path / "r")
    first = open_run("01_create_vault", {"run_dir": folder})
    approval = ticked(_seen(first))
    later = open_run("04_select_vms", {"run_dir": folder})
    form = later.form("vm_selector")
    form.controls["vm_selector"].value = "name:bi01"
    later.choose(form)

    with pytest.raises(PlanRefused, match=r"another notebook.*vm_selector"):
        first.apply(approval)
    assert [] == writes(contoso)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [({"vm_selector": "name:nosuch"}, "nosuch"), ({"location": "westeurop"}, "westeurop")],
)
def test_a_cell_that_selects_nothing_is_put_right_by_editing_it(
    contoso: Sandbox, tmp_path: Path, wrong: dict[str, str], problem: str
) -> None:
    """
    Neither the run nor the next notebook keeps the wrong value, and the default is a value as any other.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1", "location": ""})
    with pytest.raises(InvalidParameters, match=problem):
        open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1", "location": ""} | wrong)
    kept = open_run("04_select_vms", {"run_dir": folder, "vm_selector": "all", "location": ""}).asked
    right = open_run("00_start", {"run_dir": folder, "vm_selector": "all", "location": ""}).asked

    assert ("tag:wave=1", "") == (kept.vm_selector, kept.location)
    assert ("all", "") == (right.vm_selector, right.location)


def test_a_click_counts_after_a_restart_until_the_cell_is_edited(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What the parameters cell has said before is not said anew by running it again.
    """
    folder = str(tmp_path / "r")
    run = open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1"})
    form = run.form("vm_selector")
    form.controls["vm_selector"].value = "group:rg-shop-prod"
    run.choose(form)
    again = open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1"})
    edited = open_run("00_start", {"run_dir": folder, "vm_selector": "name:bi01"})

    assert "group:rg-shop-prod" == again.asked.vm_selector
    assert "name:bi01" == edited.asked.vm_selector


def test_a_folder_that_was_named_is_the_open_run(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The notebooks that follow go on with it, though nobody names it there.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/00_start.ipynb")
    open_run("00_start", {})
    named = open_run("00_start", {"run_dir": str(tmp_path / "named"), "vm_selector": "name:bi01"})
    later = open_run("01_create_vault", {"run_dir": ""})

    assert (tmp_path / "named").resolve() == later.folder.path.resolve() == named.folder.path.resolve()
    assert "name:bi01" == later.asked.vm_selector


def test_a_name_that_makes_no_plan_is_not_taken_over(make_run: RunMaker) -> None:
    """
    Long enough for one region, too long for another: the notebook would open with an error from then on.
    """
    run = make_run()
    form = run.form("vault_name")
    form.controls["vault_name"].value = f"{'v' * 38}-{{location}}"

    with pytest.raises(InvalidParameters, match="vault_name"):
        run.choose(form)
    assert "rsv-{location}" == run.asked.vault_name


def test_what_does_not_rest_on_a_change_that_failed_is_made(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    As in a headless run: a vault that is refused in one region keeps back the VMs of that region.
    """
    contoso.fault(Fault(method="PUT", path="/vaults/rsv-spaincentral$", status=403, code="ScopeLocked"))
    ids = [vm.id for vm in make_run().inventory.vms.values() if vm.name in ("bi01", "file01")]
    run = make_run(vm_selector=",".join(ids))
    run.arrive("01_create_vault")
    with pytest.raises(WriteFailed, match="ScopeLocked"):
        run.apply(ticked(_seen(run)))
    run.arrive("04_select_vms")
    with pytest.raises(WriteFailed, match="2 of 4 changes"):
        run.apply(ticked(_seen(run)))
    ended = {
        change.facts["vm"]: run.folder.ended().get(change.sha256)
        for change in (run.folder.plan() or run.plan).changes
        if change.kind == "protect"
    }

    assert {"bi01": "failed", "file01": "done"} == ended


def test_a_target_that_refuses_the_caller_leaves_everything_as_it_was(
    contoso: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The run goes on with the target that it has, and no other folder is left.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/00_start.ipynb")
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    run = open_run("00_start", {"vm_selector": "name:bi01"})
    folder, form = run.folder, run.form("target", "sign_in", "tenant_id", "cloud")
    form.controls["target"].value = "azure"
    form.controls["sign_in"].value = "environment"
    with pytest.raises(SignInError):
        run.choose(form)

    assert ("sandbox", "name:bi01") == (run.asked.target, run.asked.vm_selector)
    assert run.folder is folder
    assert [folder.path.resolve()] == [each.resolve() for each in folder.path.parent.iterdir() if each.is_dir()]
    assert open_run("01_create_vault", {}).folder.path == folder.path
    assert 1 == len(run.readiness().frame)


def test_only_who_sits_before_the_screen_is_told_to_run_cells_again(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    And only after something changed: what a job executes from top to bottom is never older than what stands above it.
    """
    job = make_run(vm_selector="name:bi01")
    job.arrive("01_create_vault")
    form = job.form("vault_name")
    form.controls["vault_name"].value = "rsv-other-{location}"
    told = job.choose(form).text() + job.apply(ticked(_seen(job))).text()
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/02_storage_replication.ipynb")
    walk = make_run(vm_selector="name:bi01")
    walk.arrive("02_storage_replication")
    form = walk.form("redundancy")
    unchanged = walk.choose(form).text()
    form.controls["redundancy"].value = "LocallyRedundant"

    assert "older than" not in told + unchanged
    assert "older than this choice" in walk.choose(form).text()


def test_two_jobs_without_a_named_folder_share_nothing(contoso: Sandbox) -> None:
    """
    Outside JupyterLab an unnamed run is always a new one: nobody inherits another job's values by accident.
    """
    first = open_run("01_create_vault", {"vault_name": "rsv-mine"})
    second = open_run("01_create_vault", {})

    assert first.folder.path != second.folder.path
    assert "rsv-{location}" == second.asked.vault_name


def test_a_value_that_comes_from_the_run_is_said(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The first output names what was not chosen in this notebook.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder, "vm_selector": "tag:wave=1"})
    shown = open_run("04_select_vms", {"run_dir": folder, "vm_selector": "all"}).mark.text()

    assert "vm_selector is tag:wave=1" in shown
    assert "unsupervised" in shown


def test_one_notebook_by_hand_makes_the_whole_run_unsupervised(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    That our engine ran the last notebook does not vouch for the others.
    """
    folder = str(tmp_path / "r")
    open_run("01_create_vault", {"run_dir": folder})
    monkeypatch.setenv("RUNBOOK_SUPERVISED", "1")
    run = open_run("07_evidence", {"run_dir": folder})

    assert not run.folder.supervised


def test_a_sealed_run_is_closed(contoso: Sandbox, tmp_path: Path) -> None:
    """
    More work in a sealed folder would void its evidence.
    """
    run = open_run("00_start", {"run_dir": str(tmp_path / "r")})
    run.conclude()
    run.seal(run.sealing())

    with pytest.raises(InvalidParameters, match="sealed"):
        open_run("01_create_vault", {"run_dir": run.folder.name})


def test_a_form_starts_with_the_parameters_and_its_values_become_them(make_run: RunMaker) -> None:
    """
    What is typed into the controls is checked and kept.
    """
    run = make_run(redundancy="ZoneRedundant")
    form = run.form("redundancy", "vault_name", "subscription_ids", "create_resource_group", "hourly_interval")

    assert ["ZoneRedundant", "rsv-{location}", [], True, 4] == list(form.values.values())

    form.controls["vault_name"].value = "rsv-new-{location}"
    form.controls["subscription_ids"].value = ("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24",)
    shown = run.choose(form)

    assert "rsv-new-{location}" == run.asked.vault_name
    assert ("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24",) == run.asked.subscription_ids
    assert "rsv-new-{location}" == run.folder.parameters()["vault_name"]
    assert "rsv-new-{location}" in shown.text()


def test_a_wrong_choice_is_refused_and_nothing_is_lost(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The parameters stay as they were, the error names field, rule and remedy, and nothing is sent.
    """
    run = make_run()
    form = run.form("vault_name")
    read = len(contoso.requests())
    form.controls["vault_name"].value = "1-bad"
    with pytest.raises(InvalidParameters, match=r"vault_name.*1-bad.*2 to 50"):
        run.choose(form)

    assert "rsv-{location}" == run.asked.vault_name
    assert read == len(contoso.requests())


def test_nothing_is_written_without_approval(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The Apply cell of a plan that nobody approved says so and sends nothing.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    shown = run.apply(_seen(run))

    assert "Planned only" in shown.text()
    assert [] == writes(contoso)


def test_an_approved_step_is_applied_and_only_that_step(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Ticking the box of notebook 01 makes vaults, and protects nothing.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.arrive("01_create_vault")
    approval = _seen(run)
    approval.value = True
    shown = run.apply(approval)

    assert "rsv-spaincentral" in shown.text()
    assert () == run.plan.step("01").changes
    assert () != run.plan.step("04").changes
    assert not [each for each in writes(contoso) if "protecteditems" in each.lower()]


def test_a_failed_change_is_an_error_in_the_notebook(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The Apply cell raises, with what failed, the service's words, and that it can be resumed.
    """
    contoso.fault(Fault(method="PUT", path="vaults/rsv-", status=400, code="QuotaExceeded", message="500 vaults"))
    run = make_run(vm_selector="name:bi01", apply=True)
    run.arrive("01_create_vault")
    with pytest.raises(WriteFailed, match=r"rsv-spaincentral.*QuotaExceeded.*500 vaults.*resume") as caught:
        run.apply(_seen(run))

    assert 5 == caught.value.exit_code


def test_verdicts_and_projection_agree_with_the_world_after_apply(make_run: RunMaker) -> None:
    """
    Where the plan said a VM would stand, it stands.
    """
    run = make_run(vm_selector="tag:wave=1")
    promised = {key(each.vm): each.verdict for each in run.verdicts(run.projected)}
    run.folder.save_plan(run.plan)
    run.apply_plan(run.plan, ["01", "02", "03", "04", "06"])
    run.read_again()
    found = {key(each.vm): each.verdict for each in run.verdicts(run.inventory)}

    assert promised == found
    assert {Verdict.ENABLED} == set(found.values())


def test_the_outcome_names_every_selected_vm_once(make_run: RunMaker) -> None:
    """
    Verdicts sum up to the selection, each with its reason; tables and findings are beside them.
    """
    run = make_run()
    for notebook in NOTEBOOKS:
        run.arrive(notebook)
    run.conclude()
    outcome = evidence.read_json(run.folder.path / "outcome.json")

    assert 43 == len(outcome["verdicts"]) == len({each["vm"] for each in outcome["verdicts"]})
    assert all(each["why"] for each in outcome["verdicts"])
    assert 43 == sum(outcome["counts"].values())
    assert ("SANDBOX (simulated)", True, False) == (outcome["target"], outcome["complete"], outcome["applied"])
    assert {"comparison.csv", "findings.csv", "plan.csv", "plan-diff.csv", "unread.csv"} == {
        path.name for path in (run.folder.path / "tables").iterdir()
    }


def test_an_accepted_risk_is_enabled_and_its_reason_is_evidence(make_run: RunMaker) -> None:
    """
    A blocked VM goes on only when it is named, and the reason stands beside its verdict.
    """
    run = make_run(vm_selector="name:mail01")
    assert () == run.plan.changes

    (vm,) = run.chosen
    risky = make_run(vm_selector="name:mail01", accept_risk={vm.id: "agent is being repaired, ticket 4711"})
    risky.conclude()
    outcome = evidence.read_json(risky.folder.path / "outcome.json")

    assert "protect" in {change.kind for change in risky.plan.changes}
    assert "agent is being repaired, ticket 4711" == outcome["verdicts"][0]["accepted_risk"]


def test_a_missing_group_is_a_parameter_error_unless_it_may_be_made(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Nothing is written, and the message names group and remedy.
    """
    run = make_run(vm_selector="name:bi01", create_resource_group=False)
    with pytest.raises(InvalidParameters, match=r"rg-backup-spaincentral.*create_resource_group") as caught:
        _ = run.plan

    assert 2 == caught.value.exit_code
    assert [] == writes(contoso)


def test_an_unknown_region_is_a_parameter_error(make_run: RunMaker) -> None:
    """
    The regions that are offered are listed.
    """
    with pytest.raises(InvalidParameters, match=r"atlantis.*westeurope"):
        _ = make_run(location="atlantis").plan


def test_no_token_is_in_any_file_of_a_run(make_run: RunMaker) -> None:
    """
    The credential's token never reaches the run folder.
    """
    run = make_run(vm_selector="tag:wave=1")
    run.apply_plan(run.plan, ["01", "04"])
    run.conclude()
    token = run.session._credential.get_token("x").token
    files = [path for path in run.folder.path.rglob("*") if path.is_file()]

    assert len(files) >= 8
    assert not [path for path in files if token in path.read_text(encoding="utf-8") or "Bearer" in path.read_text()]


def test_a_plan_that_was_not_on_screen_is_not_applied(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Ticked, then changed: the approval was for another plan, and nothing is sent.
    """
    run = make_run(vm_selector="name:bi01")
    run.arrive("01_create_vault")
    approval = _seen(run)
    approval.value = True
    form = run.form("vault_name")
    form.controls["vault_name"].value = "rsv-never-shown"
    run.choose(form)
    with pytest.raises(PlanRefused, match="shown last"):
        run.apply(approval)

    assert [] == writes(contoso)


def _approve(run: Run, notebook: str) -> None:
    run.arrive(notebook)
    approval = _seen(run)
    approval.value = True
    run.apply(approval)


def test_the_saved_plan_holds_what_was_applied_even_when_the_choice_changed(make_run: RunMaker) -> None:
    """
    01 applied for one VM, another chosen in 04: the evidence names the one that was enabled.
    """
    run = make_run(vm_selector="name:bi01")
    _approve(run, "01_create_vault")
    form = run.form("vm_selector")
    form.controls["vm_selector"].value = "name:file01"
    run.choose(form)
    _approve(run, "04_select_vms")
    plan = run.folder.plan()

    assert plan is not None
    assert ["file01"] == [change.facts["vm"] for change in plan.changes if change.kind == "protect"]
    assert any(change.kind == "create-vault" for change in plan.changes)
    assert all(each.sha256 in run.folder.ended() for each in plan.changes)
    assert () == run.differences()


def test_after_drift_a_new_plan_is_made_on_the_world_as_it_is(make_run: RunMaker) -> None:
    """
    The refused Apply cell reads again, so that the next plan can be approved.
    """
    late = make_run(vm_selector="name:bi01")
    late.arrive("01_create_vault")
    first = make_run(vm_selector="name:bi01")
    _approve(first, "01_create_vault")
    _approve(late, "01_create_vault")
    late.arrive("04_select_vms")
    approval = _seen(late)
    approval.value = True
    other = make_run(vm_selector="name:bi01", redundancy="ZoneRedundant")
    _approve(other, "02_storage_replication")
    with pytest.raises(Drift):
        late.apply(approval)
    _approve(late, "02_storage_replication")
    _approve(late, "04_select_vms")

    assert "on" == late.inventory.items_of(late.chosen[0].id)[0].protection


def test_another_choice_of_subscriptions_is_read_and_planned(make_run: RunMaker) -> None:
    """
    The form of notebook 00 takes effect at once.
    """
    run = make_run()
    form = run.form("subscription_ids")
    form.controls["subscription_ids"].value = ("b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3",)
    run.choose(form)

    assert {"b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3"} == {vm.subscription for vm in run.chosen}


def test_a_run_belongs_to_one_target(contoso: Sandbox, tmp_path: Path) -> None:
    """
    A folder that was begun on Azure is not gone on with on the sandbox, nor the other way round.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder})
    with pytest.raises(InvalidParameters, match="belongs to target sandbox"):
        open_run("01_create_vault", {"run_dir": folder, "target": "azure"})


def test_an_explicit_default_counts_when_our_engine_was_given_it(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `-p redundancy GeoRedundant` wins over what the run folder holds.
    """
    folder = str(tmp_path / "r")
    open_run("00_start", {"run_dir": folder, "redundancy": "LocallyRedundant"})
    monkeypatch.setenv("RUNBOOK_GIVEN", "redundancy")
    run = open_run("02_storage_replication", {"run_dir": folder, "redundancy": "GeoRedundant"})

    assert "GeoRedundant" == run.asked.redundancy


def test_the_journal_keeps_no_signature_that_a_message_quotes(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The service's own words may hold a signed URL.
    """
    contoso.fault(
        Fault(method="PUT", path="vaults/rsv-", status=400, code="X", message="see https://x.invalid/a?sig=CANARY&b=1")
    )
    run = make_run(vm_selector="name:bi01")
    run.apply_plan(run.plan, ["01"])

    assert "CANARY" not in run.folder.journal.path.read_text()


def test_a_torn_last_line_does_not_make_a_run_unusable(make_run: RunMaker) -> None:
    """
    The process died while writing it: what it was about is read back.
    """
    run = make_run(vm_selector="name:bi01")
    _ = run.plan
    with run.folder.journal.path.open("a") as journal:
        journal.write('{"entry": "int')

    assert {} == run.folder.outcomes()


def test_a_run_that_wrote_nothing_promised_nothing(make_run: RunMaker) -> None:
    """
    After planning, the evidence does not say that the world became what the plan promised.
    """
    run = make_run(vm_selector="name:bi01")
    run.conclude()

    assert "Nothing was written in this run." == run.show_differences().text()


# --- verdicts and what the service then does ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vm", "verdict", "outcomes", "codes"),
    [("frozen01", Verdict.READY, {"done"}, []), ("audit01", Verdict.BLOCKED, {"failed"}, ["ScopeLocked"])],
)
def test_a_read_only_lock_blocks_where_the_service_refuses_and_nowhere_else(
    make_run: RunMaker, vm: str, verdict: Verdict, outcomes: set[str], codes: list[str]
) -> None:
    """
    One on the vault's group refuses the first write, one on the VM's own group none.
    """
    probe = make_run(vm_selector=f"name:{vm}")
    (arm_id,) = (each.id for each in probe.chosen)
    run = make_run(vm_selector=f"name:{vm}", accept_risk={arm_id: "to see what the service does"})
    plan = run.plan
    run.folder.save_plan(plan)
    ended = run.apply_plan(plan, [step.number for step in plan.steps])

    assert verdict is checks.verdicts(probe.findings(probe.inventory))[arm_id][0]
    assert outcomes == {each.outcome for each in ended if each.outcome != "adopted"}
    assert codes == [each.code for each in ended if each.outcome == "failed"][:1]


def test_policies_that_cannot_be_read_keep_back_the_vms_of_their_vault_alone(
    make_run: RunMaker, contoso: Sandbox
) -> None:
    """
    Their VMs are undetermined, with the check that says so; the others are planned as if nothing were.
    """
    whole = {each.target for each in make_run().plan.changes if each.kind == "protect"}
    contoso.fault(Fault(path="rsv-westeurope/backuppolicies$", status=403, code="AuthorizationFailed", message="no"))
    run = make_run()
    found = checks.verdicts(run.findings(run.inventory))
    kept = {each.target for each in run.plan.changes if each.kind == "protect"}

    assert (Verdict.UNDETERMINED, ("policy-fit",)) == next(v for each, v in found.items() if each.endswith("/hr01"))
    assert {each for each in whole if "/rsv-westeurope/" not in each} == kept != set()


# --- what is worked out once, and what is shown of much -----------------------------------------------------------


def test_what_follows_from_an_inventory_is_worked_out_once(make_run: RunMaker) -> None:
    """
    Until it is read again, or something else is asked for.
    """
    run = make_run(vm_selector="tag:wave=1")
    plan, found = run.plan, run.findings(run.inventory)

    assert plan is run.plan
    assert found is run.findings(run.inventory)
    assert run.projected is run.projected

    form = run.form("policy_name")
    form.controls["policy_name"].value = "weekly-1200"
    run.choose(form)

    assert {"weekly-1200"} == {change.facts["policy"] for change in run.plan.changes if change.kind == "protect"}

    form.controls["policy_name"].value = "DefaultPolicy"
    run.choose(form)
    again = run.read_again()

    assert plan.digest == run.plan.digest
    assert found is not run.findings(again)


def test_a_read_of_a_changed_estate_is_judged_anew(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    What was worked out before does not outlive what it was worked out from.
    """
    run = make_run(vm_selector="name:bi01")
    before = [each.verdict for each in run.verdicts(run.inventory)]
    contoso.fault(Fault(path="recoveryservices/vaults$", status=403, code="AuthorizationFailed"))
    run.read_again()

    assert [Verdict.READY] == before
    assert [Verdict.UNDETERMINED] == [each.verdict for each in run.verdicts(run.inventory)]


def test_the_same_process_does_not_decode_what_it_wrote(make_run: RunMaker) -> None:
    """
    The next notebook of a chain gets the same inventory, and a changed file is read.
    """
    run = make_run(vm_selector="name:bi01")
    kept = run.before
    path = run.folder.path / "inventory-before.json"

    assert kept is run.folder.inventory("before")

    document = evidence.read_json(path)
    document["target"]["caller"] = "somebody@else"
    evidence.write_json(path, document)
    changed = run.folder.inventory("before")

    assert changed is not None
    assert "somebody@else" == changed.target.caller


def test_what_is_too_long_for_a_notebook_is_whole_beside_it(
    make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The output names a file of the run folder with all rows; a later table of the same name gets a file of its own.
    """
    monkeypatch.setattr("runbook_lib.render.sinks.MOST_ROWS", 5)
    run = make_run()
    run.notebook = "04_select_vms"
    readiness, again = run.readiness(), run.readiness()
    listed, whole = run.show_findings("agent"), run.show_findings("agent", "region")
    rows = (run.folder.path / "tables" / "04-readiness.csv").read_text(encoding="utf-8").splitlines()

    assert "(the worst 5 of 43 rows; all of them: tables/04-readiness.csv)" in readiness.text()
    assert 44 == len(rows)
    assert ["BLOCKED"] * 5 == [line.split()[3] for line in readiness.text().splitlines()[3:8]]
    assert readiness.text() == again.text()
    assert ("tables/04-findings.csv", "tables/04-findings-2.csv") == (listed.whole, whole.whole)
    assert {"04-readiness.csv", "04-findings.csv", "04-findings-2.csv"} == {
        path.name for path in (run.folder.path / "tables").iterdir()
    }
