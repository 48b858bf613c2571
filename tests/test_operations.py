"""
The operations guide: its commands are commands, its roles are enough and no more, and nothing is left out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from runbook_lib.cli import main
from runbook_lib.errors import RunbookError
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import build
from runbook_lib.plan import EFFECTS
from runbook_lib.rights import NEEDS, VM_NEEDS, allowed
from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox, read_estate
from runbook_lib.sandbox.access import action_of
from runbook_lib.sandbox.app import ROUTES
from runbook_lib.sandbox.router import Router
from runbook_lib.text.service_errors import service_errors

pytestmark = pytest.mark.commands

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "operations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line for kind, block in BLOCKS if kind != "json" for line in block.splitlines() if line.startswith("runbook ")
]
READING, APPLYING = (json.loads(block) for kind, block in BLOCKS if kind == "json")
NOBODY = "00000000-0000-0000-0000-000000000000"
PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
OPERATOR = "11111111-2222-3333-4444-555555555555"
ROLE = "99999999-8888-7777-6666-555555555555"
# Sent when a lost answer is looked up, or an operation tells how far it is in a second way only.
NOT_ALWAYS = {
    "Microsoft.Network/networkSecurityGroups/securityRules/read",
    "Microsoft.RecoveryServices/vaults/backupFabrics/operationResults/read",
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/read",
}


def test_every_command_of_the_guide_can_be_given() -> None:
    """
    Names, options and their values are those that there are.
    """
    assert len(COMMANDS) > 8
    for line in COMMANDS:
        _, *words = shlex.split(line, comments=True)
        command: Any = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        with command.make_context(command.name, words) as context:
            pairs = dict(context.params.get("pairs", ()))
        assert set(pairs) <= {"subscription_ids", "vm_selector"}


def test_first_use_goes_through_as_the_guide_has_it(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Copy, rehearsal, plan, one VM, a wave: command by command, with the example estate in Azure's place.
    """
    monkeypatch.chdir(tmp_path)
    ended = []
    for line in COMMANDS:
        if " resume " in line:
            # What it goes on with is a run that stopped; this one did not.
            continue
        words = shlex.split(line.replace(NOBODY, PRODUCTION).replace("--target azure", "--target sandbox"))
        result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        ended.append((line, result.exit_code, result.stderr if result.exit_code else ""))

    assert [] == [each for each in ended if each[1]]
    items = {each["id"].lower() for each in contoso.resources() if "/protecteditems/" in each["id"].lower()}
    assert {True} == {any(item.endswith(f";{vm}") for item in items) for vm in ("hr01", "file01", "bi01")}


def _held(contoso: Sandbox, *roles: dict[str, Any]) -> None:
    """
    Load the example estate with an operator who has these custom roles, and no other, at both subscriptions.
    """
    estate = read_estate("contoso")
    scopes = [body["id"] for body in estate.resources if body["id"].count("/") == 2]
    more = []
    for number, role in enumerate(roles):
        name = f"{ROLE[:-1]}{number}"
        for scope in scopes:
            definition = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{name}"
            permission = {"actions": role["Actions"], "notActions": role["NotActions"]}
            more += [
                {
                    "id": definition,
                    "type": "Microsoft.Authorization/roleDefinitions",
                    "properties": {"roleName": role["Name"], "type": "CustomRole", "permissions": [permission]},
                },
                {
                    "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
                    "type": "Microsoft.Authorization/roleAssignments",
                    "properties": {"principalId": OPERATOR, "scope": scope, "roleDefinitionId": definition},
                },
            ]
    profile = estate.profile | {"caller": OPERATOR}
    contoso.load(replace(estate, resources=(*estate.resources, *more), profile=profile))


def _asked_of(contoso: Sandbox) -> set[str]:
    """
    Name what the requests of a sandbox ask to do.
    """
    router = Router(ROUTES)
    found = set()
    for each in contoso.requests():
        match = router.match(each["path"])
        assert match is not None
        action = action_of(match.routes[each["method"]])
        found.add(action.replace("{namespace}", "Microsoft.RecoveryServices"))
    return found


def _denied(contoso: Sandbox) -> list[str]:
    return [each["path"] for each in contoso.requests() if each["status"] in (401, 403)]


def _runs(applies: bool) -> Iterator[list[str]]:
    applied = ["--apply"] if applies else []
    yield ["run", *applied, "-p", "network_option", "service_tags", "-p", "service_precheck", "all"]
    more = {"network_option": "ip_ranges", "change_policy": "true", "policy_name": "Nightly", "undelete": "true"}
    more["redundancy"] = "LocallyRedundant"
    yield ["run", *applied, *(word for pair in more.items() for word in ("-p", *pair))]


def _ran(contoso: Sandbox, tmp_path: Path, *, applies: bool) -> None:
    for number, words in enumerate(_runs(applies)):
        result = CliRunner().invoke(main, [*words, "--out", str(tmp_path / f"run-{number}")], catch_exceptions=False)
        assert 3 == result.exit_code, result.output
        assert "Could not be read" not in result.stdout


def test_the_role_for_reading_is_what_planning_and_copying_ask_for(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Nothing is refused with it, and nothing of it is for nothing.
    """
    _held(contoso, READING)
    _ran(contoso, tmp_path, applies=False)
    copy = ["snapshot", str(tmp_path / "copy.json"), "-p", "change_policy", "true"]
    copied = CliRunner().invoke(main, copy, catch_exceptions=False)
    asked = _asked_of(contoso)

    assert 0 == copied.exit_code, copied.output
    assert [] == _denied(contoso)
    assert set() == {each for each in READING["Actions"] if each not in asked} - {
        "Microsoft.RecoveryServices/vaults/backupstorageconfig/read"
    }
    assert sorted(READING["Actions"]) == READING["Actions"]


def test_the_role_for_applying_is_what_a_plan_needs_and_writes(contoso: Sandbox, tmp_path: Path) -> None:
    """
    It has what the plan says that it needs, the service refuses nothing, and nothing is in it for nothing.
    """
    _held(contoso, READING, APPLYING)
    _ran(contoso, tmp_path, applies=True)
    needed = {action for actions in NEEDS.values() for action in actions} | set(VM_NEEDS)
    asked = _asked_of(contoso)
    permission = {"actions": READING["Actions"] + APPLYING["Actions"], "notActions": []}

    assert [] == _denied(contoso)
    assert {*EFFECTS} == {*NEEDS}
    assert set() == {each for each in needed | asked if not allowed(permission, each)}
    assert set() == set(APPLYING["Actions"]) - needed - asked - NOT_ALWAYS
    assert NOT_ALWAYS <= set(APPLYING["Actions"])
    assert sorted(APPLYING["Actions"]) == APPLYING["Actions"]


@pytest.mark.parametrize("action", [each for each in APPLYING["Actions"] if each.endswith(("/write", "/action"))])
def test_without_one_of_its_actions_something_is_refused(contoso: Sandbox, tmp_path: Path, action: str) -> None:
    """
    The role is the least: the simulator holds its callers to what their roles say.
    """
    _held(contoso, READING, APPLYING | {"Actions": [each for each in APPLYING["Actions"] if each != action]})
    asked = {"network_option": "service_tags", "policy_name": "Nightly", "redundancy": "LocallyRedundant"}
    run = Run(RunFolder(tmp_path / "run"), build(asked | {"max_errors": 1000}))
    plan = run.plan
    run.folder.save_plan(plan)
    try:
        run.apply_plan(plan, [step.number for step in plan.steps])
    except RunbookError as error:
        assert "moved" in str(error)  # noqa: PT017 - what an earlier step did not do, a later one finds missing

    assert [] != _denied(contoso)


def test_every_kind_of_change_can_be_undone_or_says_why_not() -> None:
    """
    The table of undoing has each kind that a plan can hold.
    """
    section = GUIDE.partition("## How to undo each step")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert {*EFFECTS} == {kind for row in rows for kind in re.findall(r"`([\w-]+)`", row)}
    for words in ("soft delete", "14 days", "**Enhanced**", "**locked**", "backup vault delete"):
        assert words in section


def test_every_error_code_has_its_row() -> None:
    """
    The page of codes has each one that the package explains, and the guide leads to it.
    """
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    known = service_errors("en").values()

    assert {each.code for each in known} == set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert all(each.remedy in page for each in known)
    assert "](errors.md)" in GUIDE


def test_the_first_backup_has_its_cost_and_its_command() -> None:
    """
    How it is started, what it costs, and where the guide's own reading is.
    """
    section = GUIDE.partition("## The first backup")[2].partition("\n## ")[0]

    for words in ("az backup protection backup-now", "**What it costs**", "protectedItems/backup/action"):
        assert words in section
    for page in ("backup-azure-vms-first-look-arm", "backup-azure-vms-introduction", "backup-azure-manage-vms"):
        assert page in section


def test_links_of_the_guide_lead_somewhere() -> None:
    """
    Headings and pages that it names are there.
    """
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in GUIDE.splitlines()
        if line.startswith("#")
    }
    for link in re.findall(r"\]\((?!http)([^)]+)\)", GUIDE):
        page, _, heading = link.partition("#")
        assert not page or (DOCS / page).is_file(), link
        assert not heading or heading in headings, link
