"""
Head to head: what other tools were read to get wrong about VM backup, each as a case that is right here.

By their code: Prowler and the Proactive Resiliency Library compare names, Azure MCP Server passes over vaults that it
cannot read, the Azure CLI fails on an empty policy name, lists every VM again for each and polls without an end, Azure
Policy knows a VM by its image, Ansible's collection writes in check mode, Terraform's provider meets a wrong region or
policy only when the service refuses it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support import RunMaker, writes

from runbook_lib import checks, cli
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.opening import open_session
from runbook_lib.errors import InvalidParameters
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.records import Finding, Verdict
from runbook_lib.sandbox import Fault, Sandbox, read_estate

PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
Edit = Callable[[list[dict[str, Any]], dict[str, Any]], None]


@pytest.fixture(name="judged")
def _judged(contoso: Sandbox, tmp_path: Path) -> Callable[..., tuple[Verdict, dict[str, Finding]]]:
    """
    A judge of one VM of the example estate, which may be edited before it is read.
    """

    def judge(group: str, name: str, edit: Edit | None = None) -> tuple[Verdict, dict[str, Finding]]:
        if edit:
            estate = read_estate("contoso")
            resources, status = copy.deepcopy(list(estate.resources)), copy.deepcopy(estate.status)
            edit(resources, status)
            contoso.load(replace(estate, resources=tuple(resources), status=status))
        world = read_inventory(open_session("sandbox", Journal(tmp_path / "journal.jsonl")), Parameters())
        (vm,) = (
            each for each in world.vms.values() if (each.resource_group.lower(), each.name) == (group.lower(), name)
        )
        found = checks.judge(world, [vm])
        return checks.verdict(found)[0], {each.check: each for each in found}

    return judge


def _of(resources: list[dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
    (found,) = (each for each in resources if each["name"] == name and each["type"].lower().endswith(kind))
    return found


Judge = Callable[..., tuple[Verdict, dict[str, Finding]]]


# --- two VMs of one name (Prowler, Proactive Resiliency Library) ---------------------------------------------------


def test_the_unprotected_one_of_two_vms_of_one_name_does_not_pass(judged: Judge) -> None:
    """
    Both are called web01; only the one whose full id is in a vault is protected.
    """
    assert Verdict.PROTECTED is judged("rg-shop-prod", "web01")[0]
    verdict, found = judged("rg-shop-staging", "web01")

    assert (Verdict.READY, "none") == (verdict, found["protection"].case)


@pytest.mark.parametrize(("name", "case"), [("sql02", "stopped"), ("erp01", "soft_deleted"), ("report01", "")])
def test_an_entry_in_a_vault_is_no_protection_by_itself(judged: Judge, name: str, case: str) -> None:
    """
    Neither one that was stopped, nor one that was deleted, nor one whose last backup failed.
    """
    group = "rg-platform-prod" if name == "report01" else "rg-data-prod"
    verdict, found = judged(group, name)

    assert verdict not in (Verdict.PROTECTED, Verdict.ENABLED)
    assert (case or "last_failed") == found["protection"].case


def test_every_vm_gets_an_answer_also_an_unprotected_one(judged: Judge) -> None:
    """
    A check that says nothing of VMs without an entry would read as a pass.
    """
    _, found = judged("rg-data-prod", "file01")

    assert {check.id for check in checks.CATALOGUE} == set(found)


# --- vaults that cannot be read, and vaults elsewhere (Azure MCP Server) -------------------------------------------


def test_a_vault_that_cannot_be_read_leaves_its_vms_undetermined(judged: Judge, contoso: Sandbox) -> None:
    """
    To pass over it would call them unprotected.
    """
    contoso.fault(
        Fault(path="vaults/rsv-westeurope/backupprotecteditems", status=403, code="AuthorizationFailed", message="no")
    )
    verdict, found = judged("rg-data-prod", "file01")

    assert (Verdict.UNDETERMINED, "unread", "rsv-westeurope") == (
        verdict,
        found["protection"].case,
        found["protection"].facts["vaults"],
    )


def test_a_vm_that_a_vault_of_another_subscription_protects_is_protected(judged: Judge) -> None:
    """
    Possible since 2026; the finding names that subscription.
    """

    def protect(resources: list[dict[str, Any]], _: dict[str, Any]) -> None:
        vm = _of(resources, "dev-web01", "/virtualmachines")
        entry = copy.deepcopy(_of(resources, "VM;iaasvmcontainerv2;rg-crm-prod;crm01", "/protecteditems"))
        container = "iaasvmcontainerv2;rg-dev-apps;dev-web01"
        entry["id"] = entry["id"].replace("iaasvmcontainerv2;rg-crm-prod;crm01", container)
        entry["name"] = f"VM;{container}"
        entry["properties"] |= {
            "friendlyName": "dev-web01",
            "containerName": container,
            "virtualMachineId": vm["id"],
            "sourceResourceId": vm["id"],
        }
        resources.append(entry)

    verdict, found = judged("rg-dev-apps", "dev-web01", protect)

    assert (Verdict.PROTECTED, "rsv-legacy (Contoso Production)") == (verdict, found["protection"].facts["vault"])


# --- policy names and calls (Azure CLI) ----------------------------------------------------------------------------


def test_an_empty_policy_name_is_a_parameter_error() -> None:
    """
    It names the parameter and the rule, before anything is sent.
    """
    with pytest.raises(InvalidParameters, match="policy_name"):
        build({"policy_name": ""})


def test_no_call_is_made_for_each_vm(judged: Judge, contoso: Sandbox) -> None:
    """
    Lists of subscriptions and vaults tell all of a VM but for the two that run without an agent; what a vault could
    protect is not listed at all.
    """
    since = len(contoso.requests())
    judged("rg-data-prod", "file01")
    calls = [each["path"].lower() for each in contoso.requests(since)]

    assert [] == [path for path in calls if "backupprotectableitems" in path]
    assert ["image01", "print01"] == sorted(
        path.split("/")[-2] for path in calls if "/microsoft.compute/virtualmachines/" in path
    )


# --- images (Azure Policy) -----------------------------------------------------------------------------------------


def test_a_vm_of_an_image_of_its_own_is_not_left_out(judged: Judge) -> None:
    """
    What no list of images knows stays unknown, and keeps the VM from nothing.
    """

    def reimage(resources: list[dict[str, Any]], status: dict[str, Any]) -> None:
        vm = _of(resources, "bi01", "/virtualmachines")
        group = vm["id"].partition("/providers/")[0]
        vm["properties"]["storageProfile"]["imageReference"] = {"id": f"{group}/providers/Microsoft.Compute/images/own"}
        for reported in ("osName", "osVersion"):
            del status[vm["id"].lower()][reported]

    verdict, found = judged("rg-bi-málaga", "bi01", reimage)

    assert (Verdict.READY, "guest") == (verdict, found["os-version"].case)


@pytest.mark.parametrize("sku", ["9_6", "10-lvm-gen2"])
def test_a_younger_release_than_any_list_has_is_supported(judged: Judge, sku: str) -> None:
    """
    The built-in policies end at RHEL 8.
    """

    def upgrade(resources: list[dict[str, Any]], status: dict[str, Any]) -> None:
        vm = _of(resources, "pay01", "/virtualmachines")
        vm["properties"]["storageProfile"]["imageReference"]["sku"] = sku
        status[vm["id"].lower()] |= {"osName": "", "osVersion": ""}

    _, found = judged("rg-shop-prod", "pay01", upgrade)

    assert "supported" == found["os-version"].case


# --- what only plans writes nothing (Ansible) ----------------------------------------------------------------------


@pytest.mark.commands
def test_a_run_that_only_plans_sends_no_write(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Every notebook, with the default of `apply`; the same run with it does write.
    """
    one = ["run", "-p", "vm_selector", "name:bi01", "--out"]
    dry = CliRunner().invoke(cli.main, [*one, str(tmp_path / "dry")])
    sent = writes(contoso)
    wet = CliRunner().invoke(cli.main, [*one, str(tmp_path / "wet"), "--apply"])

    assert [] == sent != writes(contoso)
    assert (0, 0) == (dry.exit_code, wet.exit_code), dry.output


# --- waiting has an end (Azure CLI) --------------------------------------------------------------------------------


def test_an_operation_that_never_ends_is_given_up(contoso: Sandbox, make_run: RunMaker) -> None:
    """
    By a deadline on the service's clock; what became of the change is in doubt, never a success.
    """
    contoso.fault(Fault(does="hold_operation", method="POST", path="/refreshcontainers$"))
    run = make_run(vm_selector="name:file01", subscription_ids=[PRODUCTION])
    plan = run.plan
    run.folder.save_plan(plan)
    ended = run.apply_plan(plan, ["04"])

    assert {("discover", "in_doubt"), ("protect", "done")} == {(each.change.kind, each.outcome) for each in ended}


# --- region and policy are looked at before anything is sent (Terraform) --------------------------------------------


def test_a_vault_of_another_region_is_a_parameter_error(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Not a refusal by the service in the middle of the work.
    """
    run = make_run(vm_selector="name:dc02", vault_name="rsv-westeurope", resource_group="rg-backup-westeurope")

    with pytest.raises(InvalidParameters, match="rsv-westeurope is in westeurope"):
        _ = run.plan
    assert [] == writes(contoso)


def test_a_policy_that_does_not_take_the_vm_blocks_it(judged: Judge) -> None:
    """
    Ultra Disks need an Enhanced policy, and the finding says so with the remedy.
    """
    verdict, found = judged("rg-platform-prod", "trading01")

    assert (Verdict.BLOCKED, "needs_enhanced") == (verdict, found["policy-fit"].case)
