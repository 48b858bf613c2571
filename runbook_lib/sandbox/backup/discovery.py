"""
What a vault can protect: discovery, protectable items, and the questions that a VM answers.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error
from runbook_lib.sandbox.backup.eligibility import check_vm
from runbook_lib.sandbox.backup.items import asked_words, is_soft_deleted, lower_names, short_name
from runbook_lib.sandbox.backup.operations import poll_headers
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.compute import VM_TYPE
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.resources import require_registration
from runbook_lib.sandbox.state import Body, key_of, normal_location
from runbook_lib.sandbox.vaults import VAULT, VAULT_PATH, VAULT_TYPE, find_vault, remember

__all__ = ["EFFECTS", "ROUTES"]

_FABRICS = f"{VAULT}/backupFabrics/protectionContainers"
_BUSY = ("item.configure",)


def _refresh(call: Call) -> Answer:
    vault = find_vault(call)
    if key_of(call.names["fabric"]) != "azure":
        raise refusal("BMSUserErrorInvalidInput")
    operation = call.tenant.begin("container.refresh", vault["id"], {"vault": vault["id"]})
    place = f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}/backupFabrics/{call.names['fabric']}"
    return Answer(
        status=202, headers=poll_headers(call, f"{place}/operationsStatus", f"{place}/operationResults", operation)
    )


def _refreshed(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    if vault is not None:
        remember(tenant.state, vault, discovered=True)


def _protectable(call: Call) -> Answer:
    vault = find_vault(call)
    wanted = asked_words(call)
    discovered = call.state.runtime(vault["id"]).get("discovered")
    place = normal_location(vault.get("location", ""))

    def rows(after: str) -> Iterator[tuple[str, Body]]:
        return call.state.unprotected(VM_TYPE, f"/subscriptions/{call.names['subscription']}", place, after)

    if not discovered or wanted.get("backupmanagementtype", "azureiaasvm") != "azureiaasvm":
        return Answer(status=200, body={"value": []})

    def keep(vm: Body) -> bool:
        name = key_of(vm["id"].rpartition("/")[2])
        return wanted.get("friendlyname", name) == name

    return paged(call, "backupProtectableItems", rows, keep=keep, shape=lambda vm: _protectable_item(call, vault, vm))


def _protectable_item(call: Call, vault: Body, vm: Body) -> Body:
    parts = vm["id"].split("/")
    group, vm_name = parts[4], parts[-1]
    name = short_name(group, vm_name)
    container = f"{vault['id']}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}"
    body: Body = {
        "id": f"{container}/protectableItems/vm;{name}",
        "name": name,
        "type": f"{_FABRICS}/protectableItems",
        "properties": {
            "virtualMachineId": vm["id"],
            "virtualMachineVersion": "Compute",
            "resourceGroup": group,
            "backupManagementType": "AzureIaasVM",
            "protectableItemType": "Microsoft.Compute/virtualMachines",
            "friendlyName": vm_name,
            "protectionState": "NotProtected",
        },
    }
    return call.echo(body, 8)


def _backup_status(call: Call) -> Answer:
    try:
        vm_id = _existing_vm(call)
    except ArmError as error:
        # The specs have no error for this operation: what is wrong stands in the body.
        refusal = {"errorCode": error.code, "errorMessage": error.error["message"]}
        return Answer(status=200, body={"protectionStatus": "Invalid", **refusal, "objectType": "BackupStatusResponse"})
    body: Body = {
        "protectionStatus": "NotProtected",
        "fabricName": "Azure",
        **lower_names(vm_id),
        "protectedItemsCount": 0,
        "objectType": "BackupStatusResponse",
    }
    for item in call.state.protecting(vm_id):
        if not is_soft_deleted(item):
            properties = member(item, "properties")
            body["protectionStatus"] = "Protected"
            body["vaultId"] = item["id"].partition("/backupFabrics/")[0]
            if properties.get("policyName"):
                body["policyName"] = properties["policyName"]
    if body["protectionStatus"] == "NotProtected" and call.state.configuring(vm_id):
        body["protectionStatus"] = "Protecting"
    return Answer(status=200, body=body)


def _pre_validate(call: Call) -> Answer:
    names: Body = {}
    try:
        vm_id = _asked_vm(call)
        names = lower_names(vm_id)
        _check_both(call, vm_id)
    except ArmError as error:
        refusal = {
            "status": "Failed",
            "errorCode": error.code,
            "errorMessage": error.error["message"],
            "recommendation": "Please do not enable protection again."
            if error.code == "VirtualMachineAlreadyProtected"
            else "Put right what the message tells, then try again.",
        }
        return Answer(status=200, body=refusal | names)
    return Answer(status=200, body={"status": "Succeeded", "errorCode": "", "errorMessage": "", **names})


def _check_both(call: Call, vm_id: str) -> None:
    vm = call.state.get(vm_id)
    if vm is None:
        raise _no_vm(vm_id)
    vault_id = call.body.get("vaultId")
    vault = call.state.get(vault_id) if isinstance(vault_id, str) else None
    if vault is None or f"/{VAULT_TYPE}/" not in key_of(vault["id"]):
        raise gateway_error(404, "ResourceNotFound", f"The vault '{vault_id}' was not found.")
    if call.state.protecting(vm_id):
        raise refusal("VirtualMachineAlreadyProtected")
    require_registration(call.tenant, key_of(vm_id).split("/")[2], "Microsoft.RecoveryServices")
    check_vm(call.tenant, vault, vm)


def _validate_features(call: Call) -> Answer:
    size = call.body.get("vmSize")
    # The specs have no error for this operation. The official example has a Basic size as one that is off by default.
    if key_of(str(call.body.get("featureType"))) != "azurevmresourcebackup":
        status = "Invalid"
    elif isinstance(size, str) and size.startswith("Basic_"):
        status = "DefaultOFF"
    else:
        status = "Supported"
    return Answer(status=200, body={"supportStatus": status})


def _asked_vm(call: Call) -> str:
    vm_id = call.body.get("resourceId")
    if call.body.get("resourceType") != "VM" or not isinstance(vm_id, str) or f"/{VM_TYPE}/" not in key_of(vm_id):
        raise refusal("BMSUserErrorInvalidInput")
    return vm_id


def _existing_vm(call: Call) -> str:
    vm_id = _asked_vm(call)
    if call.state.get(vm_id) is None:
        raise _no_vm(vm_id)
    return vm_id


def _no_vm(vm_id: str) -> ArmError:
    return gateway_error(404, "ResourceNotFound", f"The virtual machine '{vm_id}' was not found.")


_PLACE = "/subscriptions/{subscription}/providers/Microsoft.RecoveryServices/locations/{location}"

ROUTES = (
    Route(
        method="POST", path=f"{VAULT_PATH}/backupFabrics/{{fabric}}/refreshContainers", handler=_refresh, writes=True
    ),
    Route(method="GET", path=f"{VAULT_PATH}/backupProtectableItems", handler=_protectable),
    Route(method="POST", path=f"{_PLACE}/backupStatus", handler=_backup_status),
    Route(method="POST", path=f"{_PLACE}/backupPreValidateProtection", handler=_pre_validate),
    Route(method="POST", path=f"{_PLACE}/backupValidateFeatures", handler=_validate_features),
)
EFFECTS: dict[str, Effect] = {"container.refresh": _refreshed}
