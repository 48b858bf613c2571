"""
What a vault can protect, and what a VM says about its protection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_VMS = "backupManagementType eq 'AzureIaasVM'"


def new_vault(azure: Any, name: str = "rsv-new", location: str = "westeurope") -> None:
    """
    Create a vault.
    """
    body = {"location": location, "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", name, body).result()


def found(azure: Any, vault: str, wanted: str = _VMS) -> list[str]:
    """
    List the names of the VMs that a vault can protect.
    """
    items = azure.backup.backup_protectable_items.list(vault, "rg-vault", filter=wanted)
    return [one.properties["friendlyName"] for one in items]


def ask(azure: Any, vm_id: str) -> Any:
    """
    Ask for the backup status of a VM.
    """
    return azure.backup.backup_status.get("westeurope", {"resourceType": "VM", "resourceId": vm_id})


def test_a_new_vault_has_found_nothing_before_its_refresh(azure: Any, sandbox: Any, send: Any, ids: Any) -> None:
    """
    202 until 204, never 200; then the VMs of the region and subscription that nothing protects are there.
    """
    new_vault(azure)
    path = ids.vault.replace("rsv-old", "rsv-new")
    before = found(azure, "rsv-new")
    accepted = send("POST", f"{path}/backupFabrics/Azure/refreshContainers?$filter={_VMS}")
    waiting = send("GET", accepted.headers["Location"])
    sandbox.advance(13)
    done = send("GET", accepted.headers["Location"])
    status = send("GET", accepted.headers["Azure-AsyncOperation"])

    assert [] == before
    assert (202, b"", "60") == (accepted.status_code, accepted.content, accepted.headers["Retry-After"])
    assert [202, 204] == [waiting.status_code, done.status_code]
    assert "Succeeded" == status.json()["status"]
    assert ["db", "deaf", "fast", "fat", "trusted", "web"] == found(azure, "rsv-new")


def test_the_clients_can_refresh(azure: Any, sandbox: Any) -> None:
    """
    The polling call of the client takes the end, which has no body.
    """
    new_vault(azure)
    headers = azure.backup.protection_containers.refresh(
        "rsv-new", "rg-vault", "Azure", filter=_VMS, cls=lambda response, body, _: response.http_response.headers
    )
    operation = headers["Location"].split("/")[-1].split("?")[0]
    sandbox.advance(13)
    azure.backup.protection_container_refresh_operation_results.get("rsv-new", "rg-vault", "Azure", operation)

    assert 6 == len(found(azure, "rsv-new"))


def test_a_fabric_is_called_azure(send: Any, ids: Any) -> None:
    """
    There is no other fabric for VMs.
    """
    assert 400 == send("POST", f"{ids.vault}/backupFabrics/Other/refreshContainers").status_code


def test_a_protectable_item_has_the_shape_of_the_service(azure: Any, ids: Any) -> None:
    """
    Its name has no `VM;`, and its type is one that the clients do not know.
    """
    items = azure.backup.backup_protectable_items.list(
        "rsv-old", "rg-vault", filter=f"{_VMS} and friendlyName eq 'web'"
    )
    (item,) = [one.as_dict() for one in items]

    unique = "iaasvmcontainerv2;rg-app;web"
    assert (
        f"{ids.vault}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{unique}/protectableItems/vm;{unique}",
        unique,
    ) == (item["id"], item["name"])
    assert {
        "virtualMachineId": ids.vm("web"),
        "virtualMachineVersion": "Compute",
        "resourceGroup": "rg-app",
        "backupManagementType": "AzureIaasVM",
        "protectableItemType": "Microsoft.Compute/virtualMachines",
        "friendlyName": "web",
        "protectionState": "NotProtected",
    } == item["properties"]


def test_protectable_items_are_those_of_the_vaults_region(azure: Any, sandbox: Any, ids: Any) -> None:
    """
    A vault of another region finds the VMs there, over pages, and a protected VM is in no list.
    """
    new_vault(azure, "rsv-north", "northeurope")
    azure.backup.protection_containers.refresh("rsv-north", "rg-vault", "Azure")
    sandbox.advance(13)
    sandbox.configure(page_sizes={"backupProtectableItems": 2})

    assert ["north"] == found(azure, "rsv-north")
    assert ["db", "deaf", "fast", "fat", "trusted", "web"] == found(azure, "rsv-old")
    assert [] == found(azure, "rsv-old", "backupManagementType eq 'AzureStorage'")


def test_a_protected_vm_leaves_the_list(azure: Any, protect: Any) -> None:
    """
    Even a soft-deleted item keeps its VM out.
    """
    protect(azure, "web").result()

    assert "web" not in found(azure, "rsv-old")


def test_containers_need_a_filter(azure: Any, refused: Refused) -> None:
    """
    Without one the service answers BMSUserErrorInvalidInput.
    """
    containers = azure.backup.backup_protection_containers

    assert (400, "BMSUserErrorInvalidInput") == refused(lambda: list(containers.list("rsv-old", "rg-vault")))
    assert (400, "BadRequest") == refused(lambda: list(containers.list("rsv-old", "rg-vault", filter="all of them")))


def test_containers_are_told_by_their_state(azure: Any, sandbox: Any) -> None:
    """
    A container is registered while its item is there, and soft-deleted with it.
    """
    containers = azure.backup.backup_protection_containers

    def listed(status: str) -> list[Any]:
        return list(containers.list("rsv-old", "rg-vault", filter=f"{_VMS} and status eq '{status}'"))

    (container,) = listed("Registered")
    unique = "iaasvmcontainerv2;rg-app;kept"
    assert (f"IaasVMContainer;{unique}", "rg-app") == (container.name, container.properties["resourceGroup"])
    azure.backup.protected_items.delete("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}")
    sandbox.advance(114)
    assert ([], 1) == (listed("Registered"), len(listed("SoftDeleted")))


def test_a_container_is_told_alone(azure: Any, send: Any, ids: Any, refused: Refused) -> None:
    """
    It is the row of the list; a VM that is not protected has none.
    """
    containers = azure.backup.backup_protection_containers
    (row,) = containers.list("rsv-old", "rg-vault", filter=_VMS)
    get = azure.backup.protection_containers.get
    unique = "iaasvmcontainerv2;rg-app"

    assert row.as_dict() == get("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique};kept").as_dict()
    assert (404, "BMSUserErrorContainerNotFound") == refused(
        lambda: get("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique};web")
    )


def test_a_container_of_another_workload_is_told_when_its_estate_holds_it(
    azure: Any, sandbox: Any, estate: Any, ids: Any
) -> None:
    """
    The list asks for one workload at a time, so it is apart from those of VMs; alone it is told as it is held.
    """
    error = {"code": "Success", "message": "", "recommendations": [""]}
    validation = {"status": "Success", "errorDetail": error, "additionalDetail": ""}
    details = [{"type": "SQL", "itemCount": 8, "inquiryValidation": validation}]
    name = "VMAppContainer;Compute;rg-app;sql"
    container = {
        "id": f"{ids.vault}/backupFabrics/Azure/protectionContainers/{name}",
        "name": name,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers",
        "properties": {
            "sourceResourceId": ids.vm("sql"),
            "lastUpdatedTime": "2026-10-01T12:00:00Z",
            "extendedInfo": {
                "hostServerName": "sql",
                "inquiryInfo": {"status": "Success", "errorDetail": error, "inquiryDetails": details},
            },
            "friendlyName": "sql",
            "backupManagementType": "AzureWorkload",
            "registrationStatus": "Registered",
            "healthStatus": "Healthy",
            "containerType": "VMAppContainer",
            "protectableObjectType": "VMAppContainer",
        },
    }
    sandbox.load(replace(estate, resources=(*estate.resources, container)))

    def listed(wanted: str) -> list[str]:
        rows = azure.backup.backup_protection_containers.list("rsv-old", "rg-vault", filter=wanted)
        return [row.properties["friendlyName"] for row in rows]

    workload = "backupManagementType eq 'AzureWorkload'"
    alone = azure.backup.protection_containers.get("rsv-old", "rg-vault", "Azure", name)
    assert (["kept"], ["sql"], []) == (
        listed(_VMS),
        listed(f"{workload} and status eq 'Registered'"),
        listed(f"{workload} and status eq 'SoftDeleted'"),
    )
    assert container == alone.as_dict()


def test_deleted_containers_have_a_list_of_their_own(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    A container is in it while its item is soft-deleted; the filter is needed here too.
    """
    deleted, unique = azure.backup.deleted_protection_containers, "iaasvmcontainerv2;rg-app;kept"
    before = list(deleted.list("rg-vault", "rsv-old", filter=_VMS))
    azure.backup.protected_items.delete("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}")
    sandbox.advance(114)
    (container,) = deleted.list("rg-vault", "rsv-old", filter=_VMS)

    assert [] == before
    assert ("SoftDeleted", "kept") == (
        container.properties["registrationStatus"],
        container.properties["friendlyName"],
    )
    assert (400, "BMSUserErrorInvalidInput") == refused(lambda: list(deleted.list("rg-vault", "rsv-old")))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"featureType": "AzureVMResourceBackup", "vmSize": "Standard_D2s_v5"}, "Supported"),
        ({"featureType": "AzureVMResourceBackup", "vmSize": "Basic_A0", "vmSku": "Premium"}, "DefaultOFF"),
        ({"featureType": "AzureBackupGoals"}, "Invalid"),
    ],
)
def test_support_of_a_size_is_told(azure: Any, asked: Any, expected: str) -> None:
    """
    The official example has a Basic size as one that is off by default; the question is always answered.
    """
    assert expected == azure.backup.feature_support.validate("westeurope", asked).support_status


def test_backup_status_tells_the_vault_of_a_protected_vm(azure: Any, ids: Any) -> None:
    """
    Container and item come in lower case, and the count of items is 0 whatever is protected.
    """
    assert {
        "protectionStatus": "Protected",
        "fabricName": "Azure",
        "containerName": "iaasvmcontainer;iaasvmcontainerv2;rg-app;kept",
        "protectedItemName": "vm;iaasvmcontainerv2;rg-app;kept",
        "protectedItemsCount": 0,
        "objectType": "BackupStatusResponse",
        "vaultId": ids.vault,
        "policyName": "DefaultPolicy",
    } == ask(azure, ids.vm("kept")).as_dict()


def test_backup_status_tells_names_of_an_unprotected_vm_too(azure: Any, ids: Any) -> None:
    """
    NotProtected comes with container and item, but without a vault.
    """
    status = ask(azure, ids.vm("WEB", "RG-APP")).as_dict()

    assert ("NotProtected", "vm;iaasvmcontainerv2;rg-app;web", False) == (
        status["protectionStatus"],
        status["protectedItemName"],
        "vaultId" in status,
    )


def test_backup_status_tells_that_protection_is_under_way(azure: Any, sandbox: Any, send: Any, ids: Any) -> None:
    """
    Protecting until the operation is done, Protected from then on although no backup has run.
    """
    properties = {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "sourceResourceId": ids.vm("web"),
        "policyId": f"{ids.vault}/backupPolicies/DefaultPolicy",
    }
    send("PUT", ids.item("web"), {"properties": properties})
    before = ask(azure, ids.vm("web")).protection_status
    sandbox.advance(34)

    assert ["Protecting", "Protected"] == [before, ask(azure, ids.vm("web")).protection_status]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"resourceType": "SQLDataBase", "resourceId": "x"}, "BMSUserErrorInvalidInput"),
        ({"resourceType": "VM", "resourceId": "x"}, "BMSUserErrorInvalidInput"),
        ({"resourceType": "VM"}, "BMSUserErrorInvalidInput"),
        ({"resourceType": "VM", "resourceId": "ghost"}, "ResourceNotFound"),
    ],
)
def test_questions_about_no_vm_answer_200_with_the_error_inside(azure: Any, ids: Any, body: Any, expected: str) -> None:
    """
    The specs have no error status for the two questions: the code stands in the body.
    """
    if body.get("resourceId") == "ghost":
        body = body | {"resourceId": ids.vm("ghost")}
    status = azure.backup.backup_status.get("westeurope", body)
    validated = azure.backup.protection_intent.validate("westeurope", body | {"vaultId": ids.vault})

    assert ("Invalid", expected) == (status.protection_status, status.error_code)
    assert ("Failed", expected) == (validated.status, validated.error_code)


@pytest.mark.parametrize(
    ("vm", "expected"),
    [
        ("web", ("Succeeded", "")),
        ("kept", ("Failed", "VirtualMachineAlreadyProtected")),
        ("north", ("Failed", "BMSUserErrorDatasourceRegionMismatch")),
        ("fat", ("Failed", "BMSUserErrorDataDiskLimitExceeded")),
        ("ghost", ("Failed", "ResourceNotFound")),
    ],
)
def test_pre_validation_always_answers_200(azure: Any, ids: Any, vm: str, expected: tuple[str, str]) -> None:
    """
    The refusal is in the body, with the code that enabling protection would give.
    """
    body = {"resourceType": "VM", "resourceId": ids.vm(vm), "vaultId": ids.vault, "properties": ""}
    answer = azure.backup.protection_intent.validate("westeurope", body)

    assert expected == (answer.status, answer.error_code)
    assert f"vm;iaasvmcontainerv2;rg-app;{vm}" == answer.protected_item_name


def test_pre_validation_needs_a_vault(azure: Any, ids: Any) -> None:
    """
    A vault that does not exist fails the validation.
    """
    body = {"resourceType": "VM", "resourceId": ids.vm("web"), "vaultId": f"{ids.vault}-not", "properties": ""}

    assert "ResourceNotFound" == azure.backup.protection_intent.validate("westeurope", body).error_code


def test_questions_are_no_writes(azure: Any, sandbox: Any, ids: Any) -> None:
    """
    The two POSTs that only ask are logged as reads.
    """
    since = len(sandbox.requests())
    ask(azure, ids.vm("web"))
    azure.backup.protection_intent.validate(
        "westeurope", {"resourceType": "VM", "resourceId": ids.vm("web"), "vaultId": ids.vault}
    )

    assert [("POST", False)] * 2 == [(one["method"], one["writes"]) for one in sandbox.requests(since)]
