"""
Writing: each change once, an intent before it, nothing on a world that moved.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from urllib.parse import unquote

import pytest
from support import RunMaker, writes

from runbook_lib.errors import Drift, PlanRefused, RunbookError
from runbook_lib.plan import plan_digest
from runbook_lib.records import key
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox

ALL = ("01", "02", "03", "04", "06")


def _apply(run: Run) -> list[tuple[str, str, str]]:
    return [(each.change.kind, each.outcome, each.code) for each in run.apply_plan(run.plan, ALL)]


def test_what_is_planned_is_written_once_and_read_back(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    After apply the world is what the plan promised, and a second plan is empty.
    """
    run = make_run(
        vm_selector="tag:wave=2",
        redundancy="LocallyRedundant",
        policy_name="daily-19",
        time_zone="Romance Standard Time",
        network_option="http_proxy",
        proxy_host="10.0.0.5",
    )
    plan = run.plan
    run.folder.save_plan(plan)
    ended = run.apply_plan(plan, ALL)
    run.read_again()

    assert {"done"} == {each.outcome for each in ended}
    assert {
        "register-provider",
        "create-resource-group",
        "create-vault",
        "set-redundancy",
        "create-policy",
        "discover",
        "protect",
        "add-security-rule",
    } == {each.change.kind for each in ended}
    assert () == run.differences()
    assert () == run.plan.changes
    assert len(set(writes(contoso))) == len(writes(contoso))


def test_a_second_apply_sends_no_write_at_all(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The same request on the same state is a run that only reads.
    """
    _apply(make_run(vm_selector="tag:wave=1"))
    since = len(contoso.requests())
    again = make_run(vm_selector="tag:wave=1")

    assert [] == _apply(again)
    assert [] == writes(contoso, since)


def test_an_intent_is_on_disk_before_each_write(make_run: RunMaker) -> None:
    """
    The journal has an intent before each call that writes, and a result for each intent.
    """
    run = make_run(vm_selector="tag:wave=1")
    _apply(run)
    intended: list[str] = []
    for entry in run.folder.journal.entries():
        if entry["entry"] == "intent":
            intended.append(key(entry["target"]))
        elif entry["entry"] == "call" and entry["method"] in ("PUT", "PATCH", "POST", "DELETE"):
            assert any(key(unquote(entry["url"])).startswith(target) for target in intended)
        elif entry["entry"] == "result":
            intended.remove(key(entry["target"]))

    assert [] == intended


def test_an_interrupted_apply_is_taken_up_where_it_stopped(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The same saved plan, applied again, adopts what is done and sends the rest.
    """
    run = make_run(vm_selector="tag:wave=1")
    plan = run.plan
    run.apply_plan(plan, ["01"])
    since = len(contoso.requests())
    ended = run.apply_plan(plan, ALL)

    assert {"adopted"} == {each.outcome for each in ended if each.change.step == "01"}
    assert {"done"} == {each.outcome for each in ended if each.change.step == "04"}
    assert not [each for each in writes(contoso, since) if "/backupfabrics/" not in each.lower()]


def test_a_world_that_moved_is_refused_before_anything_is_sent(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Somebody changed the vault's replication after the plan was made: the step says what moved, and sends nothing.
    """
    first = make_run(vm_selector="name:bi01")
    first.apply_plan(first.plan, ["01"])
    late = make_run(vm_selector="name:bi01")
    plan = late.plan
    other = make_run(vm_selector="name:bi01", redundancy="ZoneRedundant")
    other.apply_plan(other.plan, ["02"])
    since = len(contoso.requests())
    with pytest.raises(Drift) as caught:
        late.apply_plan(plan, ["04"])

    assert 4 == caught.value.exit_code
    assert ("redundancy", "GeoRedundant", "ZoneRedundant") == tuple(
        caught.value.facts[name] for name in ("field", "expected", "found")
    )
    assert [] == writes(contoso, since)


def test_an_edited_plan_is_refused(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A plan whose content does not match its digest is not applied.
    """
    run = make_run(vm_selector="name:bi01")
    plan = run.plan
    edited = replace(plan, steps=plan.steps[1:])

    assert plan_digest(edited) != plan.digest
    with pytest.raises(PlanRefused):
        run.apply_plan(edited, ALL)
    assert [] == writes(contoso)


def test_a_plan_for_another_target_is_refused(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    What was planned on Azure is not applied to the sandbox, whether its mark was edited or honestly digested.
    """
    run = make_run(vm_selector="name:bi01")
    mark = "AZURE AzureCloud, tenant x"
    edited = replace(run.plan, target=mark)
    for plan in (edited, replace(edited, digest=plan_digest(edited))):
        with pytest.raises(PlanRefused):
            run.apply_plan(plan, ALL)
    assert [] == writes(contoso)


def test_a_change_that_fails_stops_only_what_rests_on_it(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    One vault is refused; the others are made, and the failure carries the service's code and words.
    """
    contoso.fault(
        Fault(method="PUT", path="vaults/rsv-northeurope$", status=400, code="QuotaExceeded", message="500 vaults")
    )
    run = make_run(vm_selector="tag:wave=1")
    ended = run.apply_plan(run.plan, ["01"])
    failed = [(each.change.kind, each.code, each.message) for each in ended if each.outcome == "failed"]

    assert [("create-vault", "QuotaExceeded", "500 vaults")] == failed
    assert 2 == sum(each.change.kind == "create-vault" and each.outcome == "done" for each in ended)


def test_what_rests_on_a_failed_change_is_not_sent(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A vault whose resource group could not be made is not tried.
    """
    contoso.fault(
        Fault(method="PUT", path="resourcegroups/rg-backup-spaincentral$", status=403, code="RequestDisallowedByPolicy")
    )
    run = make_run(vm_selector="name:bi01")
    ended = run.apply_plan(run.plan, ["01"])

    assert [
        ("create-resource-group", "failed", "RequestDisallowedByPolicy"),
        ("create-vault", "failed", "DependencyFailed"),
    ] == [(each.change.kind, each.outcome, each.code) for each in ended]
    assert not [each for each in writes(contoso) if "/vaults/" in each]


def test_a_stopped_vm_is_resumed_in_its_own_vault(make_run: RunMaker) -> None:
    """
    Its recovery points are there: a second vault would be wrong, and refused.
    """
    run = make_run(vm_selector="name:sql02", vault_name="rsv-other-{location}")
    (before,) = run.before.items_of(run.chosen[0].id)
    _apply(run)
    run.read_again()
    (after,) = run.inventory.items_of(run.chosen[0].id)

    assert (key(before.id), "stopped", "on") == (key(after.id), before.protection, after.protection)


def test_what_failed_in_one_step_holds_back_only_its_own_in_the_next(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A vault that could not be made keeps its VMs from being enabled; all others are, and nothing is called drift.
    """
    contoso.fault(Fault(method="PUT", path="vaults/rsv-northeurope$", status=400, code="QuotaExceeded"))
    run = make_run(vm_selector="tag:wave=1")
    ended = run.apply_plan(run.plan, ALL)
    enabled = {each.change.facts["vm"] for each in ended if each.change.kind == "protect" and each.outcome == "done"}

    assert {"bi01", "file01", "hr01", "web01", "dev-lab01"} == enabled
    assert {"QuotaExceeded", "DependencyFailed"} == {each.code for each in ended if each.outcome == "failed"}


@pytest.mark.parametrize("path", ["backupprotecteditems$", "virtualmachines$|instanceview$"])
def test_a_vm_that_became_undetermined_is_not_enabled(make_run: RunMaker, contoso: Sandbox, path: str) -> None:
    """
    The verdict is drawn again on what is read just before the write: what cannot be read any more is not written.
    """
    run = make_run(vm_selector="name:file01")
    plan = run.plan
    contoso.fault(Fault(method="GET", path=path, status=403, code="AuthorizationFailed", message="no"))
    since = len(contoso.requests())
    with contextlib.suppress(Drift, RunbookError):
        ended = run.apply_plan(plan, ["04"])

        assert {"VerdictChanged"} == {each.code for each in ended if each.change.kind == "protect"}
    assert not [each for each in writes(contoso, since) if "/protecteditems/" in each.lower()]


def test_a_vm_that_was_protected_elsewhere_meanwhile_is_left_alone(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Somebody enabled it in another vault after the plan was made.
    """
    late = make_run(vm_selector="name:bi01", vault_name="rsv-late-{location}")
    plan = late.plan
    other = make_run(vm_selector="name:bi01")
    _apply(other)
    since = len(contoso.requests())
    ended = late.apply_plan(plan, ["01", "04"])

    assert ["VerdictChanged"] == [each.code for each in ended if each.change.kind == "protect"]
    assert not [each for each in writes(contoso, since) if "/protecteditems/" in each.lower()]


def test_a_write_whose_answer_was_lost_is_read_back(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The service did it and the answer was an error: the end says done, and the run can be sealed.
    """
    contoso.fault(Fault(method="PUT", path="/protecteditems/", status=409, code="Conflict", times=1, after_effect=True))
    run = make_run(vm_selector="name:bi01")
    run.folder.save_plan(run.plan)

    assert "failed" in [outcome for _, outcome, _ in _apply(run)]

    contoso.advance(600)
    run.conclude()

    assert 0 == run.folder.outcomes().get("failed", 0)


def test_one_refused_rule_does_not_keep_its_neighbours_from_being_made(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Rules of one security group do not rest on one another.
    """
    contoso.fault(Fault(method="PUT", path="securityrules/allow-backup-azurebackup$", status=400, code="X"))
    run = make_run(network_option="service_tags")
    ended = [each for each in run.apply_plan(run.plan, ["06"]) if each.change.facts["nsg"] == "NSG-lockdown"]

    assert ["failed", "done", "done"] == [each.outcome for each in ended]


def test_the_apply_cell_can_be_run_again_after_the_cause_was_mended(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A failure is not held against the next try in the same kernel.
    """
    contoso.fault(Fault(method="PUT", path="vaults/rsv-", status=400, code="QuotaExceeded", times=1))
    run = make_run(vm_selector="name:bi01")
    first = run.apply_plan(run.plan, ["01"])
    run.read_again()
    second = run.apply_plan(run.plan, ["01"])

    assert ["QuotaExceeded"] == [each.code for each in first if each.outcome == "failed"]
    assert {"done"} == {each.outcome for each in second}
