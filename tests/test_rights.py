"""
What a plan needs and what the caller may do: named per step, never guessed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import RunMaker

from runbook_lib import views
from runbook_lib.plan import EFFECTS
from runbook_lib.records import Change, Plan, Step
from runbook_lib.render import ending
from runbook_lib.rights import NEEDS, Right, allowed, custom_role, needed, roles_for
from runbook_lib.sandbox import Fault, Sandbox, read_estate

PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
SCOPE = f"/subscriptions/{PRODUCTION}"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
OPERATOR = "aaaaaaaa-0000-0000-0000-000000000001"


def _assignment(role: str, scope: str = SCOPE) -> dict[str, Any]:
    return {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{role}",
        "name": role,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {"principalId": OPERATOR, "scope": scope, "roleDefinitionId": f"{scope}/x/{role}"},
    }


def _as(contoso: Sandbox, *roles: str) -> None:
    """
    Let the caller of the runs have these roles in the production subscription, and no others.
    """
    estate = read_estate("contoso")
    contoso.load(
        replace(
            estate,
            resources=(*estate.resources, *map(_assignment, roles)),
            profile={**estate.profile, "caller": OPERATOR},
        )
    )


def test_every_kind_of_change_says_what_it_needs() -> None:
    """
    No change can be planned whose rights nobody knows.
    """
    assert set(EFFECTS) == set(NEEDS)


@pytest.mark.parametrize(
    ("actions", "without", "action", "expected"),
    [
        (["*"], [], "Microsoft.X/a/write", True),
        (["*/read"], [], "Microsoft.X/a/read", True),
        (["*/read"], [], "Microsoft.X/a/write", False),
        (["MICROSOFT.x/A/*"], [], "Microsoft.X/a/b/write", True),
        (["*"], ["Microsoft.X/*/write"], "Microsoft.X/a/write", False),
        (["Microsoft.X/a/write"], [], "Microsoft.X/a/write/action", False),
        ([], [], "Microsoft.X/a/read", False),
    ],
)
def test_patterns_are_read_as_azure_reads_them(
    actions: list[str], without: list[str], action: str, expected: bool
) -> None:
    """
    A star stands for anything, case does not count, and what is taken away is taken away.
    """
    assert expected == allowed({"actions": actions, "notActions": without}, action)


def test_a_scope_that_could_not_be_read_is_unknown() -> None:
    """
    Neither granted nor missing; a group that the plan makes is asked about at its subscription.
    """
    group = f"{SCOPE}/resourceGroups/rg"
    vault = f"{group}/providers/Microsoft.RecoveryServices/vaults/v"
    plan = Plan(
        target="t",
        parameters={},
        steps=(
            Step(
                number="01",
                changes=(
                    Change(kind="create-resource-group", step="01", target=group),
                    Change(kind="create-vault", step="01", target=vault),
                ),
            ),
        ),
    )
    unknown, known = needed(plan, {}), needed(plan, {SCOPE.lower(): [{"actions": ["*/write"]}]})

    assert {None} == {right.granted for right in unknown}
    assert {SCOPE} == {right.scope for right in unknown}
    assert [True, True, False] == [right.granted for right in known]


def test_the_smallest_role_holds_what_is_missing_and_nothing_else() -> None:
    """
    Each action once, assignable where it is needed.
    """
    rights = [
        Right(step="01", action="a/write", scope=f"{SCOPE}/resourceGroups/x", granted=False),
        Right(step="04", action="a/write", scope=f"{SCOPE}/resourceGroups/y", granted=False),
        Right(step="04", action="b/read", scope=SCOPE, granted=True),
        Right(step="04", action="c/read", scope=SCOPE, granted=None),
    ]
    role = custom_role(rights, "n", "d")

    assert (["a/write"], [SCOPE], True) == (role["Actions"], role["AssignableScopes"], role["IsCustom"])


def test_the_role_with_the_fewest_rights_is_named_first() -> None:
    """
    One that allows everything comes last, one that lacks an action not at all.
    """
    roles = [
        {"properties": {"roleName": name, "permissions": [{"actions": actions}]}}
        for name, actions in (("Owner", ["*"]), ("Wide", ["a/*", "b/*"]), ("Narrow", ["a/write"]), ("Other", ["b/*"]))
    ]

    assert ("Narrow", "Wide", "Owner") == roles_for(["a/write"], roles)
    assert ("Wide", "Owner") == roles_for(["a/write", "b/read"], roles)
    assert () == roles_for([], roles)


def test_a_reader_is_told_what_is_missing_step_by_step(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Before anything is written, with the built-in role that has it and the smallest custom role as a file.
    """
    _as(contoso, READER)
    run = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION])
    table = run.rights()
    kept = json.loads((Path(run.folder.name) / "custom-role.json").read_text(encoding="utf-8"))
    protect = next(
        row
        for row in table.frame.to_dict("records")
        if row["step"] == "04" and "protectedItems/write" in row["actions"]
    )

    assert ("no", "Backup Contributor") == (protect["granted"], protect["role"])
    assert (
        "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/write" in kept["Actions"]
    )
    assert [SCOPE] == kept["AssignableScopes"]
    assert not any(each["writes"] for each in contoso.requests())


VAULT = f"{SCOPE}/resourceGroups/rg-backup-westeurope/providers/Microsoft.RecoveryServices/vaults/rsv-westeurope"
VM_CONTRIBUTOR = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"
BACKUP_OPERATOR = "00c29273-979b-4161-815c-10b084fb9324"


def _with_single_roles(contoso: Sandbox, vm: str) -> None:
    """
    Let the caller read all of production, operate the vault alone, and write one VM alone.
    """
    _as(contoso, READER)
    estate = read_estate("contoso")
    own = f"{SCOPE}/resourceGroups/rg-data-prod/providers/Microsoft.Compute/virtualMachines/{vm}"
    more = (_assignment(READER), _assignment(VM_CONTRIBUTOR, own), _assignment(BACKUP_OPERATOR, VAULT))
    contoso.load(replace(estate, resources=(*estate.resources, *more), profile={**estate.profile, "caller": OPERATOR}))


def test_roles_on_the_vault_and_on_the_vm_count(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Their group grants nothing: they are asked about themselves, and what they grant is not called missing.
    """
    _with_single_roles(contoso, "file01")
    table = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION]).rights()
    rows = table.frame.to_dict("records")

    assert {"yes"} == {row["granted"] for row in rows}
    assert {"Contoso Production: rg-backup-westeurope/rsv-westeurope", "Contoso Production: rg-data-prod/file01"} < {
        row["scope"] for row in rows
    }


def test_a_vm_without_a_role_is_named_beside_one_that_has_it(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    By the VM itself, not by its group.
    """
    _with_single_roles(contoso, "file01")
    run = make_run(vm_selector="group:rg-data-prod", subscription_ids=[PRODUCTION])
    rows = run.rights().frame.to_dict("records")

    assert {"Contoso Production: rg-data-prod/hr01", "Contoso Production: rg-data-prod/sql02"} == {
        row["scope"] for row in rows if row["granted"] == "no"
    }


def test_no_more_resources_are_asked_about_than_the_bound(
    make_run: RunMaker, contoso: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The rest is unknown, and the table says how many: never missing, never granted.
    """
    monkeypatch.setattr(views, "MOST", 1)
    _with_single_roles(contoso, "file01")
    since = len(contoso.requests())
    table = make_run(vm_selector="group:rg-data-prod", subscription_ids=[PRODUCTION]).rights()
    asked = [each["path"] for each in contoso.requests(since) if each["path"].endswith("/permissions")]

    assert 1 == sum(path.count("/providers/") == 2 for path in asked)
    assert {"yes", "unknown"} == {row["granted"] for row in table.frame.to_dict("records")}
    assert "3 more were not" in table.text()


def test_a_contributor_lacks_nothing(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    No file is left, and the table says that it is enough.
    """
    _as(contoso, CONTRIBUTOR)
    run = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION])
    table = run.rights()

    assert {"yes"} == {row["granted"] for row in table.frame.to_dict("records")}
    assert "Nothing that the plan needs is missing" in table.text()
    assert not (Path(run.folder.name) / "custom-role.json").exists()


def test_one_answer_tells_of_all_groups_of_a_subscription(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    What is granted there is inherited, so that the calls do not grow with the groups.
    """
    _as(contoso, CONTRIBUTOR)
    run = make_run(subscription_ids=[PRODUCTION])
    groups = {change.target.split("/")[4] for change in run.plan.changes if "/resourceGroups/" in change.target}
    since = contoso.requests()[-1]["seq"]
    run.rights()

    assert 1 < len(groups)
    assert [f"{SCOPE}/providers/Microsoft.Authorization/permissions"] == [
        each["path"] for each in contoso.requests(since) if each["path"].endswith("/permissions")
    ]


def test_roles_in_groups_alone_are_enough_where_the_subscription_tells_nothing(
    make_run: RunMaker, contoso: Sandbox
) -> None:
    """
    Nothing is called unread that nobody needs.
    """
    _as(contoso, CONTRIBUTOR)
    own = "/subscriptions/[^/]*/providers/Microsoft.Authorization/permissions$"
    contoso.fault(Fault(path=own, status=403, code="AuthorizationFailed", message="no"))
    table = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION]).rights()

    assert {"yes"} == {row["granted"] for row in table.frame.to_dict("records")}
    assert "Could not be read" not in table.text()


def test_permissions_that_cannot_be_read_are_unknown(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The table says so, and why; nothing is called missing.
    """
    contoso.fault(Fault(path="/permissions$", status=403, code="AuthorizationFailed", message="no"))
    run = make_run(vm_selector="name:file01")
    table = run.rights()

    assert {"unknown"} == {row["granted"] for row in table.frame.to_dict("records")}
    assert "Could not be read: Microsoft.Authorization/permissions" in table.text()
    assert not (Path(run.folder.name) / "custom-role.json").exists()


def test_what_a_caller_lacks_is_what_the_service_refuses(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The first write of a reader ends with the action that the table named.
    """
    _as(contoso, READER)
    run = make_run(vm_selector="name:bi01", subscription_ids=[PRODUCTION])
    plan = run.plan
    run.folder.save_plan(plan)
    ended = run.apply_plan(plan, ["01"])
    first = next(each for each in ended if each.outcome == "failed")
    missing = {
        row["actions"]
        for row in run.rights().frame.to_dict("records")
        if row["granted"] == "no" and row["step"] == "01"
    }

    assert "AuthorizationFailed" == first.code
    assert any(action in first.message for actions in missing for action in actions.split(", "))


def test_missing_rights_are_in_the_outcome(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Each with its step and scope, whatever notebook a reader opens; the last line of a run is made of it.
    """
    _as(contoso, READER)
    run = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION])
    run.conclude()
    outcome = json.loads((run.folder.path / "outcome.json").read_text(encoding="utf-8"))
    said = "\n".join(ending(outcome, [], 120, "en"))

    assert {"04"} == {each["step"] for each in outcome["rights"]["missing"]}
    assert 0 == outcome["rights"]["unknown"]
    assert f"The caller lacks {len(outcome['rights']['missing'])} rights that the plan needs (steps 04)" in said
    assert (run.folder.path / "custom-role.json").exists()


def test_a_role_that_is_missing_no_longer_leaves_no_file(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Rights that were granted meanwhile are read again.
    """
    _as(contoso, READER)
    run = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION])
    run.rights()
    _as(contoso, CONTRIBUTOR)
    run.rights()

    assert not (run.folder.path / "custom-role.json").exists()
