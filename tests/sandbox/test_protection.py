"""
Protecting virtual machines: enabling, refusing, changing, stopping, deleting and bringing back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_VM_ITEMS = "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"
_INVALID = (400, "BMSUserErrorInvalidConfigureProtectionRequest")


def names(vm: str, group: str = "rg-app") -> tuple[str, str, str, str, str]:
    """
    Return the arguments by which the clients name an item of the old vault.
    """
    unique = f"iaasvmcontainerv2;{group};{vm}"
    return "rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}"


def item(azure: Any, vm: str) -> dict[str, Any]:
    """
    Return the properties of an item by their names on the wire, as the clients lose the type of VM items.
    """
    properties: dict[str, Any] = azure.backup.protected_items.get(*names(vm)).as_dict()["properties"]
    return properties


def put(azure: Any, vm: str, **properties: Any) -> Any:
    """
    Put an item of the old vault with just these properties.
    """
    body = {"properties": {"protectedItemType": "Microsoft.Compute/virtualMachines", **properties}}
    return azure.backup.protected_items.begin_create_or_update(*names(vm), body)


def wanted(ids: Any, vm: str, vault: str = "") -> dict[str, Any]:
    """
    Write the body that protects a VM with the default policy of a vault.
    """
    return {
        "properties": {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "sourceResourceId": ids.vm(vm),
            "policyId": f"{vault or ids.vault}/backupPolicies/DefaultPolicy",
        }
    }


def delete(azure: Any, sandbox: Any, vm: str) -> None:
    """
    Delete the data of an item and let the deletion end.
    """
    azure.backup.protected_items.delete(*names(vm))
    sandbox.advance(114)


def test_enabling_protection_ends_in_an_item_that_waits_for_its_first_backup(
    azure: Any, protect: Any, ids: Any
) -> None:
    """
    The item has the values that the real service gives a new one, and the type that the clients do not know.
    """
    stored = protect(azure, "web").result().as_dict()

    assert (ids.item("web"), "VM;iaasvmcontainerv2;rg-app;web") == (stored["id"], stored["name"])
    expected = {
        "friendlyName": "web",
        "virtualMachineId": ids.vm("web"),
        "sourceResourceId": ids.vm("web"),
        "protectionState": "IRPending",
        "protectionStatus": "Healthy",
        "healthStatus": "Passed",
        "lastBackupStatus": "",
        "lastBackupTime": "2001-01-01T00:00:00Z",
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "backupManagementType": "AzureIaasVM",
        "workloadType": "VM",
        "containerName": "iaasvmcontainerv2;rg-app;web",
        "policyId": f"{ids.vault}/backupPolicies/DefaultPolicy",
        "policyName": "DefaultPolicy",
        "vaultId": f"https://management.azure.com{ids.vault}",
    }
    assert expected == {name: stored["properties"][name] for name in expected}


def test_a_put_is_accepted_with_an_empty_body_and_both_headers(send: Any, sandbox: Any, ids: Any, base: str) -> None:
    """
    202 under the item's own path, asked for every 60 seconds; the result is the item.
    """
    accepted = send("PUT", ids.item("web"), wanted(ids, "web"))
    waiting = send("GET", accepted.headers["Location"])
    sandbox.advance(34)
    result = send("GET", accepted.headers["Location"])

    assert (202, b"", "60") == (accepted.status_code, accepted.content, accepted.headers["Retry-After"])
    assert accepted.headers["Azure-AsyncOperation"].startswith(f"{base}{ids.item('web')}/operationsStatus/")
    assert accepted.headers["Location"].startswith(f"{base}{ids.item('web')}/operationResults/")
    assert (202, "60") == (waiting.status_code, waiting.headers["Retry-After"])
    assert waiting.headers["Azure-AsyncOperation"] == accepted.headers["Azure-AsyncOperation"]
    assert waiting.headers["Location"] == accepted.headers["Location"]
    assert (200, ids.item("web")) == (result.status_code, result.json()["id"])


def test_the_status_is_told_on_every_road(send: Any, sandbox: Any, ids: Any, azure: Any) -> None:
    """
    Under the item and under the vault: InProgress with the end that never was, then Succeeded with the job.
    """
    accepted = send("PUT", ids.item("web"), wanted(ids, "web"))
    operation = accepted.headers["Location"].split("/")[-1].split("?")[0]
    roads = (f"{ids.item('web')}/operationsStatus", f"{ids.vault}/backupOperations")
    running = [send("GET", f"{road}/{operation}").json() for road in roads]
    sandbox.advance(34)
    done = [send("GET", f"{road}/{operation}").json() for road in roads]
    result = send("GET", f"{ids.vault}/backupOperationResults/{operation}")

    assert running[0] == running[1]
    assert ("InProgress", "0001-01-01T00:00:00", operation) == tuple(
        running[0][key] for key in ("status", "endTime", "id")
    )
    assert done[0] == done[1]
    assert ("Succeeded", "OperationStatusJobExtendedInfo") == (done[0]["status"], done[0]["properties"]["objectType"])
    assert done[0]["startTime"] == running[0]["startTime"] < done[0]["endTime"]
    job = azure.backup.job_details.get("rsv-old", "rg-vault", done[0]["properties"]["jobId"])
    assert ("ConfigureBackup", 200) == (job.properties.operation, result.status_code)


def test_an_operation_is_asked_for_in_its_own_vault_only(azure: Any, send: Any, ids: Any) -> None:
    """
    The id of another vault's operation, or of none, is not found.
    """
    assert 404 == send("GET", f"{ids.vault}/backupOperations/nothing").status_code


def test_the_vm_is_found_whatever_the_case_of_its_names(azure: Any, ids: Any) -> None:
    """
    ARM ids and the names made of them are compared without case.
    """
    policy = f"{ids.vault}/backupPolicies/defaultpolicy".upper()
    body = {
        "properties": {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "sourceResourceId": ids.vm("web").upper(),
            "policyId": policy,
        }
    }
    container, name = "iaasvmcontainer;IAASVMCONTAINERV2;RG-APP;WEB", "vm;iaasvmcontainerv2;rg-app;web"
    items = azure.backup.protected_items
    stored = items.begin_create_or_update("RSV-OLD", "RG-VAULT", "azure", container, name, body).result()

    assert (ids.vm("web"), "DefaultPolicy") == (stored.properties["virtualMachineId"], stored.properties["policyName"])
    assert 2 == len(list(azure.backup.backup_protected_items.list("rsv-old", "rg-vault", filter=_VM_ITEMS)))


@pytest.mark.parametrize(
    ("vm", "policy", "more", "expected"),
    [
        ("ghost", "DefaultPolicy", {}, _INVALID),
        ("web", "DefaultPolicy", {"sourceResourceId": "web"}, _INVALID),
        ("web", "DefaultPolicy", {"sourceResourceId": None}, _INVALID),
        ("web", "DefaultPolicy", {"protectedItemType": "AzureFileShareProtectedItem"}, _INVALID),
        ("web", "DefaultPolicy", {"protectedItemType": None}, _INVALID),
        ("web", "Missing", {}, (404, "BMSUserErrorPolicyNotFound")),
        ("web", "DefaultPolicy", {"policyId": ""}, (404, "BMSUserErrorPolicyNotFound")),
        ("web", "DefaultPolicy", {"policyId": 7}, (404, "BMSUserErrorPolicyNotFound")),
        ("web", "HourlyLogBackup", {}, (400, "BMSUserErrorInvalidPolicyForGivenProvider")),
        ("north", "DefaultPolicy", {}, (400, "BMSUserErrorDatasourceRegionMismatch")),
        ("fat", "DefaultPolicy", {}, (400, "BMSUserErrorDataDiskLimitExceeded")),
        ("fast", "DefaultPolicy", {}, (400, "BMSUserErrorEnhancedPolicyRequired")),
        ("web", "DefaultPolicy", {"isRehydrate": True}, (400, "BMSUserErrorItemNotInSoftDeletedState")),
        ("web", "DefaultPolicy", {"protectionState": "ProtectionStopped", "policyId": ""}, _INVALID),
    ],
)
def test_what_cannot_be_protected_is_refused(
    azure: Any, protect: Any, refused: Refused, vm: str, policy: str, more: Any, expected: Any
) -> None:
    """
    Each reason has its code, and neither an item nor a job is left behind.
    """
    assert expected == refused(lambda: protect(azure, vm, policy, **more))
    assert ["kept"] == [
        one.properties["friendlyName"] for one in azure.backup.backup_protected_items.list("rsv-old", "rg-vault")
    ]
    assert [] == list(azure.backup.backup_jobs.list("rsv-old", "rg-vault"))


@pytest.mark.parametrize(
    ("fabric", "container", "name", "expected"),
    [
        ("Azure", "web", "VM;iaasvmcontainerv2;rg-app;web", "BMSUserErrorContainerNameIncorrectFormat"),
        ("Azure", "IaasVMContainer;iaasvmcontainer;rg-app;web", "VM;x", "BMSUserErrorContainerNameIncorrectFormat"),
        (
            "Azure",
            "IaasVMContainer;iaasvmcontainerv2;rg-app;web",
            "web",
            "BMSUserErrorProtectedItemNameIncorrectFormat",
        ),
        ("Azure", "IaasVMContainer;iaasvmcontainerv2;rg-app;web", "VM;iaasvmcontainerv2;rg-app;db", _INVALID[1]),
        ("Other", "IaasVMContainer;iaasvmcontainerv2;rg-app;web", "VM;iaasvmcontainerv2;rg-app;web", _INVALID[1]),
    ],
)
def test_names_have_their_form(
    azure: Any, refused: Refused, fabric: str, container: str, name: str, expected: str
) -> None:
    """
    Container and item name one VM, in the form of VMs, in the fabric Azure.
    """
    items = azure.backup.protected_items

    assert (400, expected) == refused(lambda: items.get("rsv-old", "rg-vault", fabric, container, name))


def test_a_vm_is_protected_in_one_vault_only(azure: Any, protect: Any, refused: Refused) -> None:
    """
    Another vault refuses a VM that has an item, whatever the item's state.
    """
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()

    assert (400, "VirtualMachineAlreadyProtected") == refused(lambda: protect(azure, "kept", vault="rsv-new"))


def test_the_slower_of_two_vaults_fails(azure: Any, sandbox: Any, send: Any, ids: Any) -> None:
    """
    Two requests at once are both accepted; the one that ends later fails, and so does its job.
    """
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()
    new = ids.vault.replace("rsv-old", "rsv-new")
    send("PUT", ids.item("web"), wanted(ids, "web"))
    slower = send("PUT", ids.item("web", vault=new), wanted(ids, "web", new))
    sandbox.advance(40)
    status = send("GET", slower.headers["Azure-AsyncOperation"]).json()
    result = send("GET", slower.headers["Location"])

    assert (202, "Failed", "VirtualMachineAlreadyProtected") == (
        slower.status_code,
        status["status"],
        status["error"]["code"],
    )
    assert (400, "VirtualMachineAlreadyProtected") == (result.status_code, result.json()["error"]["code"])
    assert [] == list(azure.backup.backup_protected_items.list("rsv-new", "rg-vault"))
    (job,) = azure.backup.backup_jobs.list("rsv-new", "rg-vault")
    assert ("Failed", "VirtualMachineAlreadyProtected") == (
        job.properties.status,
        job.properties.error_details[0].error_title,
    )


def test_trusted_launch_needs_an_enhanced_policy_for_old_clients(send: Any, ids: Any) -> None:
    """
    From api-version 2025-01-01 on a standard policy will do.
    """
    old = send("PUT", ids.item("trusted"), wanted(ids, "trusted"), version="2024-04-01")
    new = send("PUT", ids.item("trusted"), wanted(ids, "trusted"), version="2025-01-01")

    assert (400, "BMSUserErrorEnhancedPolicyRequired") == (old.status_code, old.json()["error"]["code"])
    assert 202 == new.status_code


def test_premium_v2_disks_are_taken_by_an_enhanced_policy(azure: Any, protect: Any) -> None:
    """
    What the standard policy refuses the enhanced one protects.
    """
    assert "EnhancedPolicy" == protect(azure, "fast", "EnhancedPolicy").result().properties["policyName"]


def test_a_vm_of_another_subscription_is_protected_when_that_is_registered(
    azure: Any, clients_of: Any, sandbox: Any, ids: Any, refused: Refused
) -> None:
    """
    Vault and VM may be in two subscriptions of one region, both registered for backup.
    """
    source = ids.vm("other", subscription=ids.two)
    policy = f"{ids.vault}/backupPolicies/DefaultPolicy"

    def start() -> Any:
        return put(azure, "other", sourceResourceId=source, policyId=policy)

    assert (409, "MissingSubscriptionRegistration") == refused(start)
    clients_of(sandbox, ids.two).resources.providers.register("Microsoft.RecoveryServices")
    sandbox.advance(11)
    assert source == start().result().properties["virtualMachineId"]


def test_one_change_of_an_item_at_a_time(send: Any, azure: Any, ids: Any, protect: Any, refused: Refused) -> None:
    """
    While protection is being configured, another PUT and a DELETE get 409.
    """
    send("PUT", ids.item("kept"), wanted(ids, "kept"))

    expected = (409, "BMSUserErrorConflictingProtectionOperation")
    assert expected == refused(lambda: protect(azure, "kept"))
    assert expected == refused(lambda: azure.backup.protected_items.delete(*names("kept")))


def test_the_policy_of_an_item_is_changed_by_a_put(azure: Any, protect: Any, refused: Refused) -> None:
    """
    The state of the item stays, and a standard policy is no way back from an enhanced one.
    """
    protect(azure, "kept", "EnhancedPolicy").result()

    assert ("EnhancedPolicy", "Protected") == (
        item(azure, "kept")["policyName"],
        item(azure, "kept")["protectionState"],
    )
    assert (400, "BMSUserErrorPolicyTypeChangeNotAllowed") == refused(lambda: protect(azure, "kept", "DefaultPolicy"))


def test_selected_disks_are_kept(azure: Any, protect: Any) -> None:
    """
    The exclusion of disks is stored with the item.
    """
    excluded = {"diskExclusionProperties": {"diskLunList": [1], "isInclusionList": False}}
    protect(azure, "web", extendedProperties=excluded).result()

    assert excluded == item(azure, "web")["extendedProperties"]


def test_protection_is_stopped_and_resumed(azure: Any, protect: Any, ids: Any) -> None:
    """
    Stopping keeps the data and clears the policy; enabling again brings the item back to where it was.
    """
    put(azure, "kept", sourceResourceId=ids.vm("kept"), policyId="", protectionState="ProtectionStopped").result()
    stopped = item(azure, "kept")
    protect(azure, "kept").result()
    resumed = item(azure, "kept")

    assert ("ProtectionStopped", "", "") == tuple(stopped[key] for key in ("protectionState", "policyId", "policyName"))
    assert ("Protected", "DefaultPolicy") == (resumed["protectionState"], resumed["policyName"])
    assert ["ConfigureBackup", "DisableBackup"] == sorted(
        job.properties.operation for job in azure.backup.backup_jobs.list("rsv-old", "rg-vault")
    )


def test_an_item_that_never_had_a_backup_waits_for_one_again(azure: Any, protect: Any) -> None:
    """
    Resuming an item without a recovery point makes it IRPending.
    """
    protect(azure, "web").result()
    put(azure, "web", policyId="", protectionState="ProtectionStopped").result()
    protect(azure, "web").result()

    assert "IRPending" == item(azure, "web")["protectionState"]


def test_a_deleted_item_stays_listed_for_its_days(azure: Any, sandbox: Any, send: Any, ids: Any) -> None:
    """
    202 with roads under the vault; then the item is scheduled for its final deletion, with the time left.
    """
    accepted = send("DELETE", ids.item("kept"))
    sandbox.advance(114 + 86400)
    (listed,) = azure.backup.backup_protected_items.list("rsv-old", "rg-vault", filter=_VM_ITEMS)
    properties = listed.properties

    assert ("backupOperations", "backupOperationResults") == (
        accepted.headers["Azure-AsyncOperation"].split("/")[-2],
        accepted.headers["Location"].split("/")[-2],
    )
    assert ("ProtectionStopped", "", True) == tuple(
        properties[key] for key in ("protectionState", "policyId", "isScheduledForDeferredDelete")
    )
    assert properties["deferredDeleteTimeInUTC"].startswith("2026-11-01T12:01:5")
    assert properties["deferredDeleteTimeRemaining"].startswith("12.23:59:5")

    sandbox.advance(13 * 86400)
    assert [] == list(azure.backup.backup_protected_items.list("rsv-old", "rg-vault"))


def test_a_longer_retention_keeps_an_item_longer(azure: Any, sandbox: Any) -> None:
    """
    The days of the vault count from the deletion.
    """
    configs = azure.backup.backup_resource_vault_configs
    configs.update("rsv-old", "rg-vault", {"properties": {"softDeleteRetentionPeriodInDays": 30}})
    delete(azure, sandbox, "kept")

    assert item(azure, "kept")["deferredDeleteTimeRemaining"].startswith("29.23:59:5")
    sandbox.advance(29 * 86400)
    assert 1 == len(list(azure.backup.backup_protected_items.list("rsv-old", "rg-vault")))
    sandbox.advance(86400)
    assert [] == list(azure.backup.backup_protected_items.list("rsv-old", "rg-vault"))


def test_a_soft_deleted_item_takes_nothing_but_its_undeletion(
    azure: Any, sandbox: Any, protect: Any, refused: Refused
) -> None:
    """
    Enabling, deleting and backing up are refused until it is brought back.
    """
    delete(azure, sandbox, "kept")

    expected = (400, "BMSUserErrorItemInSoftDeletedState")
    assert expected == refused(lambda: protect(azure, "kept"))
    assert expected == refused(lambda: azure.backup.protected_items.delete(*names("kept")))


def test_a_soft_deleted_item_is_brought_back_stopped(azure: Any, sandbox: Any, ids: Any, protect: Any) -> None:
    """
    After the undeletion the item is stopped, and enabling it resumes; its final deletion does not come.
    """
    delete(azure, sandbox, "kept")
    source = ids.vm("kept")
    put(
        azure, "kept", sourceResourceId=source, policyId="", protectionState="ProtectionStopped", isRehydrate=True
    ).result()
    stopped = item(azure, "kept")
    protect(azure, "kept").result()
    sandbox.advance(20 * 86400)

    assert "ProtectionStopped" == stopped["protectionState"]
    assert set() == {name for name in stopped if "eferredDelete" in name}
    assert "Protected" == item(azure, "kept")["protectionState"]


def test_without_soft_delete_an_item_is_gone_at_once(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    A vault whose soft delete is off keeps nothing.
    """
    configs = azure.backup.backup_resource_vault_configs
    configs.update("rsv-old", "rg-vault", {"properties": {"softDeleteFeatureState": "Disabled"}})
    delete(azure, sandbox, "kept")

    assert (404, "BMSUserErrorDataSourceObjectNotFound") == refused(lambda: item(azure, "kept"))
    azure.backup.protected_items.delete(*names("kept"))


def test_items_are_filtered_and_paged(azure: Any, sandbox: Any, protect: Any) -> None:
    """
    The list takes the workload, the kind of item and the policy as filters.
    """
    for vm in ("web", "db"):
        protect(azure, vm, "EnhancedPolicy").result()
    sandbox.configure(page_sizes={"backupProtectedItems": 1})
    listed = azure.backup.backup_protected_items.list

    def named(text: str) -> list[str]:
        return [one.properties["friendlyName"] for one in listed("rsv-old", "rg-vault", filter=text)]

    assert ["db", "kept", "web"] == named(_VM_ITEMS)
    assert ["db", "web"] == named("policyName eq 'EnhancedPolicy'")
    assert [] == named("backupManagementType eq 'AzureStorage'")


def test_a_missing_vault_is_told_before_its_items(azure: Any, refused: Refused) -> None:
    """
    Everything under a vault that is not there answers ResourceNotFound.
    """
    assert (404, "ResourceNotFound") == refused(
        lambda: list(azure.backup.backup_protected_items.list("rsv-not", "rg-vault"))
    )
