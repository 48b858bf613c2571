"""
The service's own check before enabling: asked within a budget, shown beside our verdict.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support import RunMaker

from runbook_lib import render
from runbook_lib.arm import precheck as module
from runbook_lib.records import Change, key
from runbook_lib.sandbox import Fault, Sandbox


def _posts(contoso: Sandbox, kind: str) -> list[dict[str, Any]]:
    return [each for each in contoso.requests() if each["path"].lower().endswith(kind)]


def test_the_service_is_asked_about_vms_about_to_be_enabled(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Where the vault exists; its answer stands beside our verdict. Nothing is written.
    """
    probe = make_run(location="westeurope")
    vault = next(each for each in probe.inventory.vaults.values() if each.location == "westeurope")
    run = make_run(location="westeurope", vault_name=vault.name, resource_group=vault.resource_group)
    before = contoso.state_digest()
    table = run.precheck()
    said = {row["service"] for row in table.frame.to_dict("records")}

    assert "Succeeded" in said
    asked = [service for service in table.frame["service"] if service in ("Succeeded", "Failed")]
    assert len(asked) == len(_posts(contoso, "backupprevalidateprotection"))
    assert before == contoso.state_digest()


def test_a_vault_that_is_still_to_be_made_cannot_be_asked_about(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The table says so; whether another vault holds the VM is asked all the same.
    """
    table = make_run(vm_selector="name:bi01").precheck()

    assert ["not asked: the vault is still to be made"] == [row["service"] for row in table.frame.to_dict("records")]
    assert [] == _posts(contoso, "backupprevalidateprotection")
    assert 1 == len(_posts(contoso, "backupstatus"))


def test_a_vault_that_the_caller_cannot_see_is_told_by_the_service(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The lists do not show it, so our verdict is READY; the service knows that the VM is protected there.
    """
    probe = make_run(vm_selector="name:crm01")
    vault = next(each for each in probe.inventory.vaults.values() if each.name == "rsv-legacy")
    world = replace(probe.inventory, items={}, vaults={})
    change = Change(
        kind="protect",
        step="04",
        target=f"{vault.id}-new/backupFabrics/Azure/x",
        body={"properties": {"sourceResourceId": probe.chosen[0].id}},
    )
    (found,) = module.precheck(probe.session, world, [change], "sample")

    assert ("no_vault", key(vault.id)) == (found.status, key(found.held_in))
    row = (found.vm, found.status, found.code, found.message, found.feature, found.held_in)
    assert (
        "Vault rsv-legacy holds the VM already, as the service says"
        in render.precheck([row], {}, probe.inventory, "en").text()
    )


def test_the_budget_is_kept(make_run: RunMaker, contoso: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One of each size and vault first; the rest is not asked, and says so. Sizes are asked about once.
    """
    monkeypatch.setitem(module.BUDGET, "sample", 2)
    probe = make_run(location="westeurope")
    vault = next(each for each in probe.inventory.vaults.values() if each.location == "westeurope")
    run = make_run(location="westeurope", vault_name=vault.name, resource_group=vault.resource_group)
    table = run.precheck()

    assert 2 == len(_posts(contoso, "backupprevalidateprotection"))
    assert len(_posts(contoso, "backupvalidatefeatures")) <= 2
    assert "not asked (parameter service_precheck)" in {row["service"] for row in table.frame.to_dict("records")}


def test_with_none_the_service_is_not_asked(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Parameter `service_precheck` is heeded.
    """
    probe = make_run(location="westeurope")
    vault = next(each for each in probe.inventory.vaults.values() if each.location == "westeurope")
    options = {"location": "westeurope", "vault_name": vault.name, "resource_group": vault.resource_group}
    table = make_run(**options, service_precheck="none").precheck()

    assert {"not asked (parameter service_precheck)"} == {row["service"] for row in table.frame.to_dict("records")}
    kinds = ("backupprevalidateprotection", "backupvalidatefeatures", "backupstatus")
    assert [] == [each for kind in kinds for each in _posts(contoso, kind)]


def test_an_answer_that_cannot_be_had_is_no_success(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    403 is shown as what it is.
    """
    contoso.fault(Fault(method="POST", path="/locations/", status=403, code="AuthorizationFailed", message="no"))
    probe = make_run(location="westeurope")
    vault = next(each for each in probe.inventory.vaults.values() if each.location == "westeurope")
    table = make_run(location="westeurope", vault_name=vault.name, resource_group=vault.resource_group).precheck()

    assert ("could not be asked", "AuthorizationFailed: no", "unread") in {
        (row["service"], row["detail"], row["feature"]) for row in table.frame.to_dict("records")
    }


def test_a_stopped_item_that_is_resumed_is_expected_to_be_there(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The service says that a vault has the VM already; the table says that this is right.
    """
    (row,) = make_run(vm_selector="name:sql02").precheck().frame.to_dict("records")

    assert row["detail"].startswith("VirtualMachineAlreadyProtected: ")
    assert row["detail"].endswith("the plan resumes it where the recovery points are.")
