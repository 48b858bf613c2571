"""
Head to head: what other tools were read to get wrong about VM backup, each as a case that is right here.

By their code: Prowler and the Proactive Resiliency Library compare names, Azure MCP Server passes over vaults that it
cannot read, the Azure CLI fails on an empty policy name and lists every VM again for each, Azure Policy knows a VM by
its image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook_lib import checks
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import open_session
from runbook_lib.errors import InvalidParameters
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.records import Finding, Verdict
from runbook_lib.sandbox import Fault, Sandbox, read_estate

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
