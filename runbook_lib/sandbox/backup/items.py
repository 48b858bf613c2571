"""
Protected items: their names, their bodies, and the VMs behind them.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

from runbook_lib.sandbox.call import Call, member
from runbook_lib.sandbox.clock import parse_time, span
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import VM_ITEM_TYPES, Body, key_of
from runbook_lib.sandbox.vaults import VAULT, find_vault

__all__ = [
    "ITEM_KIND",
    "asked_moment",
    "asked_words",
    "find_item",
    "is_soft_deleted",
    "is_vm_item",
    "item_id",
    "item_path",
    "lower_names",
    "moment_of",
    "named_vm",
    "new_item",
    "purge_time",
    "short_name",
    "shown_item",
]

ITEM_KIND = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems"

# Days that soft delete keeps an item whose body does not tell them.
_KEPT_DAYS = 14
# The last is the official example's: midnight as 00 AM.
_CLOCK = ("%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S %p")
_CONTAINER = re.compile(r"IaasVMContainer;iaasvmcontainerv2;(?P<group>[^;]+);(?P<vm>[^;]+)", re.IGNORECASE)
_ITEM = re.compile(r"VM;iaasvmcontainerv2;(?P<group>[^;]+);(?P<vm>[^;]+)", re.IGNORECASE)


def named_vm(call: Call) -> tuple[str, str]:
    """
    Return the resource group and the name of the VM that the container and the item of the call's path name.

    Raises:
        ArmError: a name has not the form of a VM's, or the two name different VMs.
    """
    container, item = _CONTAINER.fullmatch(call.names["container"]), _ITEM.fullmatch(call.names["item"])
    if container is None:
        raise refusal("BMSUserErrorContainerNameIncorrectFormat")
    if item is None:
        raise refusal("BMSUserErrorProtectedItemNameIncorrectFormat")
    names = (container["group"], container["vm"])
    if key_of(call.names["fabric"]) != "azure" or [key_of(name) for name in names] != [
        key_of(item["group"]),
        key_of(item["vm"]),
    ]:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    return names


def item_id(vault_id: str, group: str, vm: str) -> str:
    """
    Return the id of the item that protects a VM in a vault.
    """
    name = short_name(group, vm)
    return f"{vault_id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}/protectedItems/VM;{name}"


def short_name(group: str, vm: str) -> str:
    """
    Return what containers, items and jobs call a VM.
    """
    return f"iaasvmcontainerv2;{group};{vm}"


def lower_names(vm_id: str) -> Body:
    """
    Return the names of a VM's container and item as the backup status tells them, which is in lower case.
    """
    parts = key_of(vm_id).split("/")
    name = short_name(parts[4], parts[-1])
    return {"containerName": f"iaasvmcontainer;{name}", "protectedItemName": f"vm;{name}"}


def item_path(call: Call) -> str:
    """
    Return the path of the call's item as the caller wrote it.
    """
    vault = f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}"
    container = f"backupFabrics/{call.names['fabric']}/protectionContainers/{call.names['container']}"
    return f"{vault}/{container}/protectedItems/{call.names['item']}"


def find_item(call: Call) -> tuple[Body, Body]:
    """
    Return the vault and the item that the call's path names.

    Raises:
        ArmError: one of them does not exist.
    """
    vault = find_vault(call)
    item = call.state.get(item_id(vault["id"], *named_vm(call)))
    if item is None:
        raise refusal("BMSUserErrorDataSourceObjectNotFound")
    return vault, item


def new_item(vault: Body, group: str, vm: Body) -> Body:
    """
    Return the item of a VM whose protection was just enabled; it waits for its first backup.
    """
    name = vm["id"].rpartition("/")[2]
    return {
        "id": item_id(vault["id"], group, name),
        "name": f"VM;{short_name(group, name)}",
        "type": ITEM_KIND,
        "properties": {
            "friendlyName": name,
            "virtualMachineId": vm["id"],
            "protectionStatus": "Healthy",
            "protectionState": "IRPending",
            "healthStatus": "Passed",
            "lastBackupStatus": "",
            "lastBackupTime": "2001-01-01T00:00:00Z",
            "protectedItemDataId": str(uuid.uuid4().int >> 66),
            "sourceSideScanning": 0,
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "backupManagementType": "AzureIaasVM",
            "workloadType": "VM",
            "containerName": short_name(group, name),
            "sourceResourceId": vm["id"],
            "policyId": "",
            "policyName": "",
            "vaultId": f"https://management.azure.com{vault['id']}",
            "isArchiveEnabled": False,
            "softDeleteRetentionPeriod": 0,
        },
    }


def is_vm_item(item: Body) -> bool:
    """
    Tell whether an item protects a virtual machine.
    """
    return key_of(member(item, "properties").get("protectedItemType", "")) in VM_ITEM_TYPES


def is_soft_deleted(item: Body) -> bool:
    """
    Tell whether an item waits for its final deletion.
    """
    return bool(member(item, "properties").get("isScheduledForDeferredDelete"))


def purge_time(item: Body) -> datetime | None:
    """
    Return when a soft-deleted item is purged; None for an item that is not, or does not tell when it was deleted.
    """
    properties = member(item, "properties")
    deleted = properties.get("deferredDeleteTimeInUTC")
    if not is_soft_deleted(item) or not deleted:
        return None
    try:
        began = parse_time(deleted)
    except (TypeError, ValueError):
        # What an estate says that nobody can read.
        return None
    return began + timedelta(days=properties.get("softDeleteRetentionPeriod") or _KEPT_DAYS)


def shown_item(item: Body, now: datetime) -> Body:
    """
    Return an item as a GET shows it: a soft-deleted one with the time that it has left.
    """
    ends = purge_time(item)
    if ends is None:
        return item
    return {**item, "properties": member(item, "properties") | {"deferredDeleteTimeRemaining": span(ends - now)}}


def asked_words(call: Call) -> dict[str, str]:
    """
    Return the values that the call's `$filter` asks for, in lower case.
    """
    return {name: key_of(value) for name, value in call.filter().items()}


def asked_moment(text: str | None) -> datetime | None:
    """
    Return the moment that a `$filter` gives as `2026-11-01 02:00:00 PM`; None when it gives none.

    Raises:
        ArmError: *text* is no such moment.
    """
    if text is None:
        return None
    for form in _CLOCK:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise refusal("BMSUserErrorInvalidInput")


def moment_of(seconds: float) -> datetime:
    """
    Return the moment of a number of seconds since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC)
