"""
Deleted vaults: what soft delete keeps of a vault, for how long, and its way back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_DAY = 86400
_BEFORE = "2024-04-01"


def create(azure: Any, name: str = "rsv-new", group: str = "rg-vault") -> Any:
    """
    Create a vault, whose soft delete is always on.
    """
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    return azure.vaults.vaults.begin_create_or_update(group, name, body).result()


def delete(azure: Any, name: str = "rsv-new", group: str = "rg-vault") -> None:
    """
    Delete a vault.
    """
    azure.vaults.vaults.begin_delete(group, name).result()


def undelete(azure: Any, ids: Any, group: str = "rg-vault", name: str = "rsv-new") -> Any:
    """
    Start to bring a vault back into a group.
    """
    body = {"properties": {"recoveryResourceGroupId": f"/subscriptions/{ids.one}/resourceGroups/{group}"}}
    return azure.vaults.deleted_vaults.begin_undelete("westeurope", name, body)


def deleted(azure: Any) -> list[str]:
    """
    List the names of the deleted vaults.
    """
    return [one.name for one in azure.vaults.deleted_vaults.list_by_subscription_id("West Europe")]


def names(vm: str, vault: str = "rsv-new") -> tuple[str, str, str, str, str]:
    """
    Return the arguments by which the clients name an item.
    """
    unique = f"iaasvmcontainerv2;rg-app;{vm}"
    return vault, "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}"


def delete_item(azure: Any, sandbox: Any, vault: str = "rsv-new", vm: str = "web") -> None:
    """
    Soft-delete an item.
    """
    azure.backup.protected_items.delete(*names(vm, vault))
    sandbox.advance(120)


def test_a_deleted_vault_is_kept_for_its_days(azure: Any, sandbox: Any, ids: Any) -> None:
    """
    It leaves all lists of vaults, is told by its region with the day of its end, and is purged then.
    """
    create(azure)
    delete(azure)
    vault = azure.vaults.deleted_vaults.get("westeurope", "rsv-new")

    assert ["rsv-old"] == [one.name for one in azure.vaults.vaults.list_by_subscription_id()]
    assert (["rsv-new"], []) == (
        deleted(azure),
        list(azure.vaults.deleted_vaults.list_by_subscription_id("northeurope")),
    )
    assert ("Microsoft.RecoveryServices/locations/deletedVaults", ids.vault.replace("rsv-old", "rsv-new")) == (
        vault.type,
        vault.properties.vault_id,
    )
    assert timedelta(days=14) == vault.properties.purge_at - vault.properties.vault_deletion_time
    sandbox.advance(14 * _DAY)
    assert [] == deleted(azure)
    with pytest.raises(ResourceNotFoundError):
        azure.vaults.deleted_vaults.get("westeurope", "rsv-new")


def test_a_longer_retention_keeps_a_vault_longer(azure: Any) -> None:
    """
    The days are those of the vault's soft delete.
    """
    create(azure)
    configs = azure.backup.backup_resource_vault_configs
    configs.update("rsv-new", "rg-vault", {"properties": {"softDeleteRetentionPeriodInDays": 30}})
    delete(azure)
    vault = azure.vaults.deleted_vaults.get("westeurope", "rsv-new").properties

    assert timedelta(days=30) == vault.purge_at - vault.vault_deletion_time


def test_a_vault_comes_back_as_it_was(azure: Any, ids: Any, sandbox: Any, protect: Any) -> None:
    """
    With its settings, its policies, its soft-deleted items, and the time that those have left.
    """
    create(azure)
    protect(azure, "web", vault="rsv-new").result()
    delete_item(azure, sandbox)
    before = azure.vaults.vaults.get("rg-vault", "rsv-new").as_dict()
    delete(azure)
    undelete(azure, ids).result()
    after = azure.vaults.vaults.get("rg-vault", "rsv-new").as_dict()
    (item,) = azure.backup.backup_protected_items.list("rsv-new", "rg-vault")

    assert before | {"etag": after["etag"]} == after
    assert ([], True) == (deleted(azure), item.properties["isScheduledForDeferredDelete"])
    assert 3 == len(list(azure.backup.backup_policies.list("rsv-new", "rg-vault")))
    assert "Locked" == (
        azure.backup.backup_resource_storage_configs_non_crr.get("rsv-new", "rg-vault").properties.storage_type_state
    )
    sandbox.advance(14 * _DAY)
    assert [] == list(azure.backup.backup_protected_items.list("rsv-new", "rg-vault"))
    assert "rsv-new" == azure.vaults.vaults.get("rg-vault", "rsv-new").name


def test_an_item_whose_time_was_over_meanwhile_does_not_come_back(
    azure: Any, ids: Any, sandbox: Any, protect: Any
) -> None:
    """
    Its days run on while its vault is deleted.
    """
    create(azure)
    protect(azure, "web", vault="rsv-new").result()
    delete_item(azure, sandbox)
    sandbox.advance(10 * _DAY)
    delete(azure)
    sandbox.advance(5 * _DAY)
    undelete(azure, ids).result()

    assert [] == list(azure.backup.backup_protected_items.list("rsv-new", "rg-vault"))


def test_an_undeletion_is_a_long_operation(azure: Any, send: Any, sandbox: Any, ids: Any, refused: Refused) -> None:
    """
    202 with Azure-AsyncOperation alone; the status is told where the vault was, also when it is there no more.
    """
    create(azure)
    delete(azure)
    place = f"/subscriptions/{ids.one}/providers/Microsoft.RecoveryServices/locations/westeurope/deletedVaults/rsv-new"
    body = {"properties": {"recoveryResourceGroupId": f"/subscriptions/{ids.one}/resourceGroups/rg-vault"}}
    accepted = send("POST", f"{place}/undelete", body)
    running = send("GET", accepted.headers["Azure-AsyncOperation"])
    conflict = refused(lambda: undelete(azure, ids))
    sandbox.advance(30)
    operation = running.json()["name"]
    done = azure.vaults.deleted_vaults.get_operation_status("westeurope", "rsv-new", operation)

    assert (202, b"", "30", False) == (
        accepted.status_code,
        accepted.content,
        accepted.headers["Retry-After"],
        "Location" in accepted.headers,
    )
    assert ("InProgress", False, "30") == (
        running.json()["status"],
        "endTime" in running.json(),
        running.headers["Retry-After"],
    )
    assert (409, "RSVaultUpdateErrorConflictingOperationInProgress") == conflict
    assert "Succeeded" == done.status
    assert 404 == send("GET", f"{place}/operations/{operation}-none").status_code


def test_the_status_of_an_unknown_undeletion_is_not_found(azure: Any, refused: Refused) -> None:
    """
    While the deleted vault is there, it is the operation that is missing.
    """
    create(azure)
    delete(azure)
    get = azure.vaults.deleted_vaults.get_operation_status

    assert (404, "OperationNotFound") == refused(lambda: get("westeurope", "rsv-new", "none"))
    assert (404, "ResourceNotFound") == refused(lambda: get("westeurope", "rsv-none", "none"))


def test_a_vault_may_come_back_into_another_group(azure: Any, ids: Any, sandbox: Any, protect: Any) -> None:
    """
    Everything in it is named by the new group.
    """
    create(azure)
    protect(azure, "web", vault="rsv-new").result()
    delete_item(azure, sandbox)
    delete(azure)
    undelete(azure, ids, "rg-app").result()
    (item,) = azure.backup.backup_protected_items.list("rsv-new", "rg-app")

    assert "rsv-new" == azure.vaults.vaults.get("rg-app", "rsv-new").name
    assert "/resourceGroups/rg-app/providers/Microsoft.RecoveryServices/vaults/rsv-new/" in item.id
    assert item.properties["vaultId"].endswith(
        "/resourceGroups/rg-app/providers/Microsoft.RecoveryServices/vaults/rsv-new"
    )
    assert [] == [one["id"] for one in sandbox.resources() if "/rg-vault/" in one["id"] and "/rsv-new" in one["id"]]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, (400, "InvalidRecoveryResourceGroup")),
        ("rg-vault", (400, "InvalidRecoveryResourceGroup")),
        (
            "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg",
            (400, "InvalidRecoveryResourceGroup"),
        ),
        ("/subscriptions/{one}/resourceGroups/rg-none", (404, "ResourceGroupNotFound")),
    ],
)
def test_an_undeletion_names_a_group_of_the_subscription(
    azure: Any, ids: Any, refused: Refused, asked: str | None, expected: Any
) -> None:
    """
    By its id, and it must be there.
    """
    create(azure)
    delete(azure)
    group = asked and asked.format(one=ids.one)
    body = {"properties": {"recoveryResourceGroupId": group}}

    assert expected == refused(lambda: azure.vaults.deleted_vaults.begin_undelete("westeurope", "rsv-new", body))


def test_a_name_that_is_taken_stands_in_the_way(azure: Any, ids: Any, refused: Refused) -> None:
    """
    A name is free as soon as its vault is deleted; the second of a name is kept under another.
    """
    create(azure)
    delete(azure)
    create(azure)

    assert (409, "UserErrorDeletedVaultUndeleteConflictingVaultPresent") == refused(lambda: undelete(azure, ids))
    delete(azure)
    first, second = sorted(deleted(azure))
    assert ("rsv-new", True) == (first, second.startswith("rsv-new-"))
    undelete(azure, ids, name=second).result()
    assert (["rsv-new"], "rsv-new") == (deleted(azure), azure.vaults.vaults.get("rg-vault", "rsv-new").name)


def test_a_name_that_was_taken_meanwhile_fails_the_operation(azure: Any, send: Any, ids: Any, sandbox: Any) -> None:
    """
    What was free when the undeletion began is looked at again when it ends.
    """
    create(azure)
    delete(azure)
    sandbox.configure(durations={"vault.undelete": 600})
    place = f"/subscriptions/{ids.one}/providers/Microsoft.RecoveryServices/locations/westeurope/deletedVaults/rsv-new"
    body = {"properties": {"recoveryResourceGroupId": f"/subscriptions/{ids.one}/resourceGroups/rg-vault"}}
    accepted = send("POST", f"{place}/undelete", body)
    create(azure)
    sandbox.advance(600)
    status = send("GET", accepted.headers["Azure-AsyncOperation"]).json()

    assert ("Failed", "UserErrorDeletedVaultUndeleteConflictingVaultPresent") == (
        status["status"],
        status["error"]["code"],
    )
    assert ["rsv-new"] == deleted(azure)


def test_an_active_item_keeps_its_vault(azure: Any, sandbox: Any, protect: Any, send: Any, ids: Any) -> None:
    """
    Only soft-deleted items go with the vault; the refusal names the active ones.
    """
    create(azure)
    for vm in ("web", "db"):
        protect(azure, vm, vault="rsv-new").result()
    delete_item(azure, sandbox)
    answer = send("DELETE", ids.vault.replace("rsv-old", "rsv-new"))

    assert (400, "ServiceResourceNotEmptyWithBackendMessage") == (
        answer.status_code,
        answer.json()["error"]["code"],
    )
    assert "in the vault. The registered items are : db\n" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("name", "version"), [("rsv-old", "2026-11-01"), ("rsv-new", _BEFORE)])
def test_older_vaults_and_clients_cannot_delete_a_vault_with_soft_deleted_items(
    azure: Any, sandbox: Any, protect: Any, send: Any, ids: Any, name: str, version: str
) -> None:
    """
    A vault whose soft delete can be switched off, or an api-version from before deleted vaults.
    """
    create(azure)
    protect(azure, "web", vault="rsv-new").result()
    delete_item(azure, sandbox, name, {"rsv-old": "kept", "rsv-new": "web"}[name])
    answer = send("DELETE", ids.vault.replace("rsv-old", name), version=version)

    assert (400, "ServiceResourceNotEmptyWithBackendMessage") == (
        answer.status_code,
        answer.json()["error"]["code"],
    )
    assert "in soft deleted state" in answer.json()["error"]["message"]


def test_a_vm_is_free_when_the_vault_of_its_item_is_deleted(azure: Any, sandbox: Any, protect: Any) -> None:
    """
    Another vault may protect it then.
    """
    create(azure)
    protect(azure, "web", vault="rsv-new").result()
    delete_item(azure, sandbox)
    delete(azure)

    assert "IRPending" == protect(azure, "web").result().properties["protectionState"]
