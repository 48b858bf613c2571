"""
Roles that every tenant has: what each allows of the providers that the sandbox serves, as their public definitions say.

Imports the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["BUILT_IN", "allows"]

_READ_ROLES = "Microsoft.Authorization/*/read"
_READ_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups/read"
_VAULTS = "Microsoft.RecoveryServices/Vaults"
_ITEMS = f"{_VAULTS}/backupFabrics/protectionContainers/protectedItems"
_BACKUP_READS = (
    _READ_ROLES,
    "Microsoft.RecoveryServices/locations/allocatedStamp/read",
    f"{_VAULTS}/backupFabrics/operationResults/read",
    f"{_VAULTS}/backupFabrics/protectionContainers/operationResults/read",
    f"{_VAULTS}/backupFabrics/protectionContainers/read",
    f"{_ITEMS}/operationResults/read",
    f"{_ITEMS}/operationsStatus/read",
    f"{_ITEMS}/read",
    f"{_ITEMS}/recoveryPoints/read",
    f"{_VAULTS}/backupJobs/operationResults/read",
    f"{_VAULTS}/backupJobs/read",
    f"{_VAULTS}/backupOperationResults/read",
    f"{_VAULTS}/backupOperations/read",
    f"{_VAULTS}/backupPolicies/operationResults/read",
    f"{_VAULTS}/backupPolicies/operations/read",
    f"{_VAULTS}/backupPolicies/read",
    f"{_VAULTS}/backupProtectedItems/read",
    f"{_VAULTS}/backupProtectionContainers/read",
    f"{_VAULTS}/backupProtectionIntents/read",
    f"{_VAULTS}/backupUsageSummaries/read",
    f"{_VAULTS}/backupconfig/read",
    f"{_VAULTS}/backupstorageconfig/read",
    f"{_VAULTS}/operationResults/read",
    f"{_VAULTS}/operationStatus/read",
    f"{_VAULTS}/read",
    f"{_VAULTS}/usages/read",
    "Microsoft.RecoveryServices/locations/backupStatus/action",
    "Microsoft.RecoveryServices/locations/backupValidateFeatures/action",
    "Microsoft.RecoveryServices/operations/read",
)
_BACKUP_OPERATES = (
    "Microsoft.Network/virtualNetworks/read",
    f"{_ITEMS}/backup/action",
    f"{_ITEMS}/write",
    f"{_VAULTS}/backupFabrics/backupProtectionIntent/write",
    f"{_VAULTS}/backupFabrics/protectionContainers/write",
    f"{_VAULTS}/backupFabrics/refreshContainers/action",
    f"{_VAULTS}/backupJobs/*",
    f"{_VAULTS}/backupOperationResults/*",
    f"{_VAULTS}/backupProtectableItems/*",
    f"{_VAULTS}/backupstorageconfig/*",
    "Microsoft.RecoveryServices/locations/backupPreValidateProtection/action",
    _READ_GROUPS,
)
_BACKUP_CONTRIBUTES = (
    _READ_ROLES,
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.RecoveryServices/locations/*",
    f"{_VAULTS}/backupFabrics/backupProtectionIntent/*",
    f"{_VAULTS}/backupFabrics/operationResults/*",
    f"{_VAULTS}/backupFabrics/protectableContainers/read",
    f"{_VAULTS}/backupFabrics/protectionContainers/*",
    f"{_VAULTS}/backupFabrics/refreshContainers/action",
    f"{_VAULTS}/backupJobs/*",
    f"{_VAULTS}/backupOperationResults/*",
    f"{_VAULTS}/backupOperations/read",
    f"{_VAULTS}/backupPolicies/*",
    f"{_VAULTS}/backupProtectableItems/*",
    f"{_VAULTS}/backupProtectedItems/*",
    f"{_VAULTS}/backupProtectionContainers/*",
    f"{_VAULTS}/backupProtectionIntents/read",
    f"{_VAULTS}/backupUsageSummaries/read",
    f"{_VAULTS}/backupconfig/*",
    f"{_VAULTS}/backupstorageconfig/*",
    f"{_VAULTS}/extendedInformation/*",
    f"{_VAULTS}/operationResults/read",
    f"{_VAULTS}/operationStatus/read",
    f"{_VAULTS}/read",
    f"{_VAULTS}/usages/*",
    f"{_VAULTS}/write",
    "Microsoft.RecoveryServices/operations/read",
    _READ_GROUPS,
)
_MACHINES = (
    _READ_ROLES,
    "Microsoft.Compute/availabilitySets/*",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/disks/read",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/locations/*",
    "Microsoft.Compute/virtualMachines/*",
    "Microsoft.Network/loadBalancers/read",
    "Microsoft.Network/locations/*",
    "Microsoft.Network/networkInterfaces/*",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/networkSecurityGroups/read",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/publicIPAddresses/read",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.RecoveryServices/locations/*",
    f"{_VAULTS}/backupFabrics/backupProtectionIntent/write",
    f"{_VAULTS}/backupFabrics/protectionContainers/protectedItems/*/read",
    f"{_ITEMS}/read",
    f"{_ITEMS}/write",
    f"{_VAULTS}/backupPolicies/read",
    f"{_VAULTS}/backupPolicies/write",
    f"{_VAULTS}/read",
    f"{_VAULTS}/usages/read",
    f"{_VAULTS}/write",
    _READ_GROUPS,
)
_NETWORKS = (_READ_ROLES, "Microsoft.Network/*", _READ_GROUPS)
_NOT_ACCESS = (
    "Microsoft.Authorization/*/Delete",
    "Microsoft.Authorization/*/Write",
    "Microsoft.Authorization/elevateAccess/Action",
)


def _role(name: str, actions: tuple[str, ...], not_actions: tuple[str, ...] = ()) -> dict[str, Any]:
    permission = {"actions": [*actions], "notActions": [*not_actions], "dataActions": [], "notDataActions": []}
    return {"roleName": name, "type": "BuiltInRole", "permissions": [permission], "assignableScopes": ["/"]}


# By the name, a GUID, that is the same in every tenant.
BUILT_IN: Mapping[str, dict[str, Any]] = {
    "00c29273-979b-4161-815c-10b084fb9324": _role(
        "Backup Operator", tuple(sorted({*_BACKUP_READS, *_BACKUP_OPERATES}))
    ),
    "4d97b98b-1d4f-4787-a291-c67834d212e7": _role("Network Contributor", _NETWORKS),
    "5e467623-bb1f-42f4-a55d-6e525e11384b": _role("Backup Contributor", _BACKUP_CONTRIBUTES),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": _role("Owner", ("*",)),
    "9980e02c-c2be-4d73-94e8-173b1dc7cf3c": _role("Virtual Machine Contributor", _MACHINES),
    "a795c7a0-d4a2-40c1-ae25-d81f01202912": _role("Backup Reader", _BACKUP_READS),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": _role("Reader", ("*/read",)),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": _role("Contributor", ("*",), _NOT_ACCESS),
}


def allows(permission: Mapping[str, Any], action: str) -> bool:
    """
    Tell whether a permission of a role allows *action*; `*` stands for anything, and case does not count.
    """
    return _names(permission.get("actions"), action) and not _names(permission.get("notActions"), action)


def _names(patterns: Any, action: str) -> bool:
    # A role of an estate may hold anything in place of its patterns: that allows nothing.
    known = [each for each in patterns if isinstance(each, str)] if isinstance(patterns, list) else []
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in known)
