"""
The containers of a vault: each holds one protected virtual machine. Those of other workloads an estate may hold.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.backup.items import asked_words, is_soft_deleted, is_vm_item
from runbook_lib.sandbox.call import Call, Route, member, paged
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of
from runbook_lib.sandbox.vaults import ITEM_TYPE, VAULT, VAULT_PATH, find_vault

__all__ = ["ROUTES"]

_KIND = f"{VAULT}/backupFabrics/protectionContainers"
_FILTERS = {
    "backupmanagementtype": "backupManagementType",
    "status": "registrationStatus",
    "friendlyname": "friendlyName",
}


def _list(call: Call) -> Answer:
    return _listed(call, deleted=False)


def _list_deleted(call: Call) -> Answer:
    return _listed(call, deleted=True)


def _listed(call: Call, *, deleted: bool) -> Answer:
    vault = find_vault(call)
    wanted = asked_words(call)
    if "backupmanagementtype" not in wanted:
        raise refusal("BMSUserErrorInvalidInput")
    of_vms = wanted["backupmanagementtype"] == "azureiaasvm"

    def keep(row: Body) -> bool:
        if of_vms and not is_vm_item(row):
            return False
        container = _container(row) if of_vms else row
        return (not deleted or _word(container, "registrationStatus") == "softdeleted") and all(
            _word(container, field) == wanted[name] for name, field in _FILTERS.items() if name in wanted
        )

    return paged(
        call,
        "backupProtectionContainers",
        lambda after: call.state.scan(ITEM_TYPE if of_vms else _KIND.lower(), vault["id"], after),
        keep=keep,
        shape=lambda row: call.echo(_container(row) if of_vms else row, 8),
    )


def _word(container: Body, field: str) -> str:
    return key_of(str(member(container, "properties").get(field, "")))


def _get(call: Call) -> Answer:
    vault = find_vault(call)
    scope = f"{vault['id']}/backupFabrics/{call.names['fabric']}/protectionContainers/{call.names['container']}"
    for _, item in call.state.scan(ITEM_TYPE, scope):
        if is_vm_item(item):
            return Answer(status=200, body=call.echo(_container(item), 8))
    held = call.state.get(scope)
    if held is None:
        raise refusal("BMSUserErrorContainerNotFound", container=call.names["container"])
    return Answer(status=200, body=call.echo(held, 8))


def _container(item: Body) -> Body:
    properties = member(item, "properties")
    container_id = item["id"].rpartition("/protectedItems/")[0]
    vm_id = properties.get("virtualMachineId") or properties.get("sourceResourceId", "")
    return {
        "id": container_id,
        "name": container_id.rpartition("/")[2],
        "type": _KIND,
        "properties": {
            "virtualMachineId": vm_id,
            "virtualMachineVersion": "Compute",
            "resourceGroup": vm_id.split("/")[4] if vm_id.count("/") > 4 else "",
            "friendlyName": properties.get("friendlyName", ""),
            "backupManagementType": "AzureIaasVM",
            "registrationStatus": "SoftDeleted" if is_soft_deleted(item) else "Registered",
            "healthStatus": "Healthy",
            "containerType": "Microsoft.Compute/virtualMachines",
            "protectableObjectType": "Microsoft.Compute/virtualMachines",
        },
    }


_CONTAINER = f"{VAULT_PATH}/backupFabrics/{{fabric}}/protectionContainers/{{container}}"

ROUTES = (
    Route(method="GET", path=f"{VAULT_PATH}/backupProtectionContainers", handler=_list),
    Route(method="GET", path=f"{VAULT_PATH}/backupDeletedProtectionContainers", handler=_list_deleted),
    Route(method="GET", path=_CONTAINER, handler=_get),
)
