"""
The states of protection against the sandbox: each is read, planned, written and read back as it was promised.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support import RunMaker, writes

from runbook_lib.records import ProtectedItem
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox, read_estate

STEPS = ("01", "02", "03", "04", "06")
SHORT = {"change_policy": True, "policy_name": "Short", "daily_retention_days": 7}
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(name="edited")
def _edited(contoso: Sandbox) -> Callable[[str, Edit], None]:
    """
    An editor of the protected item of a VM in the example estate.
    """

    def edit(name: str, change: Edit) -> None:
        estate = read_estate("contoso")
        resources = copy.deepcopy(list(estate.resources))
        (item,) = (each for each in resources if each["id"].endswith(f";{name}") and "protectedItems" in each["id"])
        change(item["properties"])
        contoso.load(replace(estate, resources=tuple(resources)))

    return edit


def _id(run: Run, group: str, name: str) -> str:
    (found,) = (
        each.id for each in run.before.vms.values() if (each.resource_group.lower(), each.name) == (group, name)
    )
    return found


def _applied(run: Run) -> list[tuple[str, str]]:
    plan = run.plan
    run.folder.save_plan(plan)
    ended = [(each.change.kind, each.outcome) for each in run.apply_plan(plan, STEPS)]
    run.read_again()
    return ended


def _item(run: Run) -> ProtectedItem:
    (found,) = run.inventory.items_of(run.chosen[0].id)
    return found


def test_a_deleted_vm_is_brought_back_and_protected_again(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Two requests, in this order; nothing is left to do then, and what was promised holds.
    """
    run = make_run(vm_selector="name:erp01", undelete=True)
    before = _item(run)
    ended = _applied(run)
    after = _item(run)

    assert [("undelete", "done"), ("resume", "done")] == ended
    assert (True, False, "on") == (before.soft_deleted, after.soft_deleted, after.protection)
    assert before.last_backup_time == after.last_backup_time
    assert 2 == len(writes(contoso))
    assert () == run.differences() == run.plan.changes


def test_a_deleted_vm_stays_deleted_unless_told_otherwise(make_run: RunMaker) -> None:
    """
    It is blocked, and the remedy names the parameter.
    """
    run = make_run(vm_selector="name:erp01")
    shown = run.readiness().text()

    assert () == run.plan.changes
    assert "BLOCKED" in shown
    assert "Set undelete to true" in run.show_findings("protection").text()


def test_what_cannot_be_brought_back_is_not_resumed(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The second request rests on the first.
    """
    contoso.fault(Fault(method="PUT", path="erp01$", status=400, code="UserErrorX"))
    run = make_run(vm_selector="name:erp01", undelete=True)
    ended = run.apply_plan(run.plan, STEPS)

    assert [("undelete", "UserErrorX"), ("resume", "DependencyFailed")] == [
        (each.change.kind, each.code) for each in ended
    ]


def test_a_half_done_undelete_is_finished(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The item is back, with protection stopped: the same plan adopts the one and sends the other.
    """
    run = make_run(vm_selector="name:erp01", undelete=True)
    plan = run.plan
    contoso.fault(Fault(method="PUT", path="erp01$", status=400, code="UserErrorX", skip=1))
    first = [(each.change.kind, each.outcome) for each in run.apply_plan(plan, STEPS)]
    contoso.clear_faults()
    second = [(each.change.kind, each.outcome) for each in run.apply_plan(plan, STEPS)]

    assert [("undelete", "done"), ("resume", "failed")] == first
    assert [("undelete", "adopted"), ("resume", "done")] == second


def test_protection_that_failed_is_enabled_again(
    make_run: RunMaker, contoso: Sandbox, edited: Callable[[str, Edit], None]
) -> None:
    """
    With the same request, under the policy that it has.
    """
    never = {"protectionState": "ProtectionError", "lastBackupTime": "2001-01-01T00:00:00Z", "lastBackupStatus": ""}
    edited("nightly01", lambda item: (item.update(never), item.pop("lastRecoveryPoint")))
    run = make_run(vm_selector="name:nightly01")
    policy = _item(run).policy_id
    (verdict,) = run.verdicts(run.inventory)
    ended = _applied(run)
    (after,) = run.verdicts(run.inventory)

    assert [("protect-again", "done")] == ended
    assert ("READY", "ENABLED") == (verdict.verdict.value, after.verdict.value)
    assert policy.lower() == _item(run).policy_id.lower()
    assert () == run.differences() == run.plan.changes


def test_a_policy_is_changed_after_the_points_that_it_loses_were_counted(
    make_run: RunMaker, contoso: Sandbox, edited: Callable[[str, Edit], None]
) -> None:
    """
    The plan, its sentence and its difference say how many; recovery points are read for this VM alone.
    """
    edited("nightly01", lambda item: item.update(lastRecoveryPoint="2026-11-01T02:33:09.8835204Z"))
    run = make_run(vm_selector="group:rg-platform-prod", **SHORT)
    plan = run.plan
    (moved,) = (each for each in plan.changes if each.kind == "change-policy")

    assert ("nightly01", 1, 1) == tuple(moved.facts[name] for name in ("vm", "lost", "points"))
    assert {"points": 1} == {name: count for name, count in plan.irreversible.items() if name == "points"}
    assert 1 == len([each for each in contoso.requests() if each["path"].lower().endswith("/recoverypoints")])
    run.arrive("04_select_vms")
    assert "recovery points lost: 1 of 1 (2026-11-01/2026-11-01)" in run.show_plan().text()
    assert "recovery_points" in run.show_diff().text()


def test_a_changed_policy_is_read_back_as_promised(make_run: RunMaker) -> None:
    """
    Nothing else of the item changes, and a second plan is empty.
    """
    run = make_run(vm_selector="name:nightly01", **SHORT)
    ended = _applied(run)

    assert [("create-policy", "done"), ("change-policy", "done")] == ended
    assert _item(run).policy_id.lower().endswith("/backuppolicies/short")
    assert () == run.differences() == run.plan.changes


def test_a_policy_stays_where_its_points_cannot_be_counted(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Unknown is never none; the VM stays protected, and finding and note say why.
    """
    contoso.fault(Fault(method="GET", path="/recoverypoints$", status=403, code="AuthorizationFailed"))
    run = make_run(vm_selector="name:nightly01", **SHORT)
    (verdict,) = run.verdicts(run.inventory)

    assert () == run.plan.changes
    assert ["policy_change_unread"] == [note["id"] for note in run.plan.notes]
    assert "could not be read" in run.show_findings("policy-fit").text()
    assert "PROTECTED" == verdict.verdict.value


def test_recovery_points_are_read_once_they_are_needed(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A notebook that is told later reads the estate again; one that is not does not.
    """
    run = make_run(vm_selector="name:nightly01")
    run.arrive("00_start")
    assert () == run.plan.changes
    told = Run(run.folder, replace(run.asked, **SHORT))
    told.arrive("04_select_vms")
    since = len(contoso.requests())
    again = Run(run.folder, told.asked)
    again.arrive("04_select_vms")

    assert ["create-policy", "change-policy"] == [each.kind for each in told.plan.changes]
    assert since == len(contoso.requests())
