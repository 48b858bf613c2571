"""
Between two audits: what changed is told, what is unknown is never told as gone, and broken evidence is named.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import everything, gap, item, policies_of, rule, vault, vm, with_records
from click.testing import CliRunner, Result
from sealed import made
from support import RunMaker

from runbook_lib.checks.kinds import ITEMS, NSGS, VAULTS
from runbook_lib.cli import main
from runbook_lib.comparison import ABSENT, UNKNOWN, Audit, compare_audits
from runbook_lib.records import Inventory, key
from runbook_lib.sandbox import Sandbox
from runbook_lib.selection import VMS

WEB = vm("web")
HOLDER = vault(soft_delete="Enabled")
WORLD = with_records(everything(), HOLDER, *policies_of(HOLDER))
ITEM = item(WEB, HOLDER)


def _audit(inventory: Inventory, **verdicts: str) -> Audit:
    ids = {vm(name).id: verdict for name, verdict in verdicts.items()}
    return Audit(mark="SANDBOX (simulated)", asked={"vm_selector": "all"}, verdicts=ids, unread=(), inventory=inventory)


def _told(first: Audit, second: Audit) -> list[tuple[str, str, Any, Any]]:
    return [(each.what, each.field, each.before, each.after) for each in compare_audits(first, second)]


def _without(inventory: Inventory, kind: str) -> Inventory:
    return replace(inventory, **{kind: {}})


def test_nothing_changed_between_a_run_and_itself() -> None:
    """
    Times of backups and of reading are no difference.
    """
    first = with_records(WORLD, ITEM)
    later = replace(with_records(WORLD, replace(ITEM, last_backup_time=None)), read_at=WORLD.read_at + timedelta(1))

    assert [] == _told(_audit(first, web="READY"), _audit(later, web="READY"))


@pytest.mark.parametrize(("languages", "said"), [(("es", "es"), "Nada ha cambiado"), (("es", "en"), "Nothing changed")])
def test_compare_speaks_the_language_of_the_runs(tmp_path: Path, languages: tuple[str, str], said: str) -> None:
    """
    English where they differ.
    """
    folders = [made(tmp_path / f"{number}", language=each) for number, each in enumerate(languages)]
    compared = CliRunner().invoke(main, ["compare", *map(str, folders)], catch_exceptions=False)

    assert said in compared.stdout


def test_verdicts_and_vms_are_compared_by_id() -> None:
    """
    Whatever the case of an id; a VM that appeared or is gone is told as such.
    """
    first = _audit(WORLD, web="READY", old="ENABLED")
    second = replace(_audit(WORLD, new="BLOCKED"), verdicts={WEB.id.upper(): "ENABLED", vm("new").id: "BLOCKED"})
    told = [
        (each.what, key(each.resource).rsplit("/", 1)[-1], each.before, each.after)
        for each in compare_audits(first, second)
    ]

    assert [
        ("vm", "new", ABSENT, "BLOCKED"),
        ("vm", "old", "ENABLED", ABSENT),
        ("verdict", "web", "READY", "ENABLED"),
    ] == told


def test_another_target_or_selection_is_told_first() -> None:
    """
    What is in one run alone need not have changed then.
    """
    first = _audit(WORLD)
    second = replace(first, mark="AZURE AzureCloud, tenant x", asked={"vm_selector": "tag:wave=1"})

    assert [
        ("run", "mark", "SANDBOX (simulated)", "AZURE AzureCloud, tenant x"),
        ("run", "vm_selector", "all", "tag:wave=1"),
    ] == _told(first, second)


def test_protection_is_compared_by_vm_and_vault() -> None:
    """
    Field by field where both runs have it; else it is there or not.
    """
    held, stopped = with_records(WORLD, ITEM), with_records(WORLD, replace(ITEM, protection="stopped"))

    assert [("protection", "", ABSENT, key(HOLDER.id))] == _told(_audit(WORLD), _audit(held))
    assert [("protection", "protection", "on", "stopped")] == _told(_audit(held), _audit(stopped))


def test_settings_of_vaults_and_terms_of_policies_are_compared() -> None:
    """
    A setting that the service does not tell is unknown, and so is its change.
    """
    (policy, _) = policies_of(HOLDER)
    vault_then = replace(HOLDER, redundancy="LocallyRedundant", soft_delete="")
    policy_then = replace(policy, terms=policy.terms | {"backup_time": "03:30"})

    assert [
        ("vault", "redundancy", "GeoRedundant", "LocallyRedundant"),
        ("vault", "soft_delete", "Enabled", UNKNOWN),
        ("policy", "backup_time", policy.terms["backup_time"], "03:30"),
    ] == _told(_audit(WORLD), _audit(with_records(WORLD, vault_then, policy_then)))


def test_nsg_rules_are_compared_by_name() -> None:
    """
    One that is new, one that is gone, and one that allows what it denied.
    """
    (place, group), *_ = WORLD.nsgs.items()
    first = replace(WORLD, nsgs={place: replace(group, rules=(rule("a", 200), rule("b", 300)))})
    second = replace(WORLD, nsgs={place: replace(group, rules=(rule("A", 200, "Allow"), rule("c", 300)))})

    assert [
        ("rule", "access", "Deny", "Allow"),
        ("rule", "", "present", ABSENT),
        ("rule", "", ABSENT, "present"),
    ] == _told(_audit(first), _audit(second))


@pytest.mark.parametrize(
    ("kind", "type_"), [("vaults", VAULTS), ("policies", VAULTS), ("items", ITEMS), ("nsgs", NSGS)], ids=str
)
def test_what_could_not_be_read_is_unknown_and_not_gone(kind: str, type_: str) -> None:
    """
    In whichever of the two runs.
    """
    full = with_records(WORLD, ITEM)
    blind = replace(_without(full, kind), unread=(gap(type_),))

    there = {(each.what, each.after) for each in compare_audits(_audit(full), _audit(blind)) if not each.field}
    back = {(each.what, each.before) for each in compare_audits(_audit(blind), _audit(full)) if not each.field}

    assert {UNKNOWN} == {after for _, after in there} == {before for _, before in back}


def test_a_vm_that_could_not_be_read_is_unknown() -> None:
    """
    Whether the outcome names it, or its subscription alone was not read.
    """
    first = _audit(WORLD, web="READY")
    named = replace(_audit(WORLD), unread=(WEB.id,))
    blind = _audit(replace(WORLD, unread=(gap(VMS),)))

    assert [("verdict", "", "READY", UNKNOWN)] == _told(first, named) == _told(first, blind)


def test_policies_of_a_vault_that_did_not_list_them_are_unknown() -> None:
    """
    The vault itself was read, its policies were not.
    """
    full = WORLD
    dark = replace(
        full, policies={}, vaults={each: replace(one, policies_read=False) for each, one in full.vaults.items()}
    )
    told = {each.after for each in compare_audits(_audit(full), _audit(dark)) if each.what == "policy"}

    assert {UNKNOWN} == told


# --- the command --------------------------------------------------------------------------------------------------


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.mark.commands
def test_the_command_compares_two_run_folders(contoso: Sandbox, tmp_path: Path, make_run: RunMaker) -> None:
    """
    A plan-only run before and an applied one after: what came to be is told, exit code 0.
    """
    for name, options in (("a", ()), ("b", ("--apply",))):
        _runbook("run", *options, "--out", str(tmp_path / name), "-p", "vm_selector", "name:bi01")
    _runbook("run", "--out", str(tmp_path / "c"), "-p", "vm_selector", "name:bi01")
    changed = _runbook("compare", str(tmp_path / "a"), str(tmp_path / "b"))
    same = _runbook("compare", str(tmp_path / "b"), str(tmp_path / "c"))
    told = json.loads(_runbook("compare", "--json", str(tmp_path / "a"), str(tmp_path / "b")).stdout)

    assert (0, 0) == (changed.exit_code, same.exit_code), changed.output
    assert [True, True] == [each["verified"] for each in told["runs"]]
    assert ("verdict", "READY", "ENABLED") in [
        (each["what"], each["before"], each["after"]) for each in told["changed"]
    ]
    assert {"verdict", "protection", "vault", "policy"} == {each["what"] for each in told["changed"]}
    assert "target: SANDBOX (simulated)" == changed.stdout.splitlines()[0]
    # Both policies that a vault is made with are in the vault's own row, and full ids are for machines alone.
    assert f"What changed from the first run to the second: {len(told['changed']) - 2}" in changed.stdout
    assert {"DefaultPolicy,", "EnhancedPolicy"} <= set(changed.stdout.split())
    assert "VM bi01 (" in changed.stdout
    assert "/subscriptions/" not in changed.stdout.lower()
    assert all(each["resource"].startswith("/subscriptions/") for each in told["changed"])
    assert "Nothing changed" in same.stdout


def test_evidence_that_does_not_verify_is_named(sealed_run: Path) -> None:
    """
    The comparison is shown, with a warning and exit code 1.
    """
    (sealed_run / "environment.json").write_text("{}")
    result = _runbook("compare", str(sealed_run), str(sealed_run))

    assert 1 == result.exit_code
    assert f"The evidence of {sealed_run} does not verify" in result.stdout


def test_a_folder_that_is_no_run_is_refused(sealed_run: Path, tmp_path: Path) -> None:
    """
    Exit code 1 and what is missing.
    """
    empty = tmp_path / "empty"
    empty.mkdir()
    results = [_runbook("compare", str(sealed_run), str(each)) for each in (empty, tmp_path / "nowhere")]

    assert [1, 1] == [each.exit_code for each in results]
    assert "outcome.json" in results[0].stderr
    assert "no run folder" in results[1].stderr
