"""
What a Recovery Services vault is made of: its defaults, its replication and its soft delete, and who may change them.

Two APIs lead to one state here: the vault's own and the older one of Azure Backup. Imports the standard library and
other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook_lib.sandbox.call import Call, member
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, State

__all__ = [
    "ITEM_TYPE",
    "VAULT",
    "VAULT_PATH",
    "VAULT_TYPE",
    "check_redundancy",
    "check_soft_delete",
    "find_vault",
    "is_locked",
    "merged",
    "redundancy",
    "remember",
    "soft_delete",
    "vault_row",
    "vault_view",
]

VAULT = "Microsoft.RecoveryServices/vaults"
VAULT_PATH = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{VAULT}/{{vault}}"
VAULT_TYPE = "microsoft.recoveryservices/vaults"
ITEM_TYPE = "microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems"

_REDUNDANCIES = ("GeoRedundant", "LocallyRedundant", "ZoneRedundant")
_SOFT_DELETE_STATES = ("Enabled", "Disabled", "AlwaysON")
_DEFAULTS: Body = {
    "provisioningState": "Succeeded",
    "privateEndpointStateForBackup": "None",
    "privateEndpointStateForSiteRecovery": "None",
    "monitoringSettings": {
        "azureMonitorAlertSettings": {
            "alertsForAllJobFailures": "Enabled",
            "alertsForAllReplicationIssues": "Enabled",
            "alertsForAllFailoverIssues": "Enabled",
        },
        "classicAlertSettings": {
            "alertsForCriticalOperations": "Enabled",
            "emailNotificationsForSiteRecovery": "Enabled",
        },
    },
    "redundancySettings": {"standardTierStorageRedundancy": "GeoRedundant", "crossRegionRestore": "Disabled"},
    "restoreSettings": {"crossSubscriptionRestoreSettings": {"crossSubscriptionRestoreState": "Enabled"}},
    "securitySettings": {
        "softDeleteSettings": {
            "softDeleteRetentionPeriodInDays": 14,
            "softDeleteState": "Enabled",
            "enhancedSecurityState": "Enabled",
        },
        "multiUserAuthorization": "Disabled",
    },
    "secureScore": "None",
    "bcdrSecurityLevel": "Poor",
    "publicNetworkAccess": "Enabled",
}
# What no list was recorded with, at any api-version; alert settings stand in the rows of vaults that were given some.
_NOT_LISTED = ("backupStorageVersion", "redundancySettings", "securitySettings")
_ROW_DEFAULTS: Body = {
    name: value for name, value in _DEFAULTS.items() if name not in (*_NOT_LISTED, "monitoringSettings")
}


def find_vault(call: Call) -> Body:
    """
    Return the vault that the call's path names.

    Raises:
        ArmError: there is none.
    """
    return call.resource(VAULT, call.names["vault"])


def vault_view(vault: Body) -> Body:
    """
    Return a vault as a GET shows it: with the settings that an older body leaves out.
    """
    return {**vault, "properties": merged(_DEFAULTS, member(vault, "properties"))}


def vault_row(vault: Body) -> Body:
    """
    Return a vault as a list shows it: thinner than a GET.
    """
    own = member(vault, "properties")
    listed = {name: value for name, value in own.items() if name not in _NOT_LISTED}
    return {**vault, "properties": merged(_ROW_DEFAULTS, listed)}


def redundancy(vault: Body) -> Body:
    """
    Return the replication settings of a vault.
    """
    return member(vault_view(vault)["properties"], "redundancySettings")


def soft_delete(vault: Body) -> Body:
    """
    Return the soft delete settings of a vault.
    """
    return member(member(vault_view(vault)["properties"], "securitySettings"), "softDeleteSettings")


def is_locked(state: State, vault: Body) -> bool:
    """
    Tell whether an item was ever registered with a vault, after which its replication is fixed.
    """
    return bool(state.runtime(vault["id"]).get("registered"))


def remember(state: State, vault: Body, **facts: bool) -> None:
    """
    Keep *facts* about a vault that no body shows.
    """
    state.set_runtime(vault["id"], state.runtime(vault["id"]) | facts)


def check_redundancy(state: State, vault: Body | None, asked: Mapping[str, Any]) -> None:
    """
    Refuse replication settings that a vault cannot take.

    Args:
        vault: None for one that is being created.
        asked: in the words of the vault API; members may be missing.

    Raises:
        ArmError: a value is unknown, the replication is locked, or cross-region restore does not go with it.
    """
    old = _DEFAULTS["redundancySettings"] if vault is None else redundancy(vault)
    new = merged(old, asked)
    kind, restore = new["standardTierStorageRedundancy"], new["crossRegionRestore"]
    if kind not in _REDUNDANCIES or restore not in ("Enabled", "Disabled"):
        raise refusal("BMSUserErrorInvalidInput")
    if vault is not None and is_locked(state, vault) and kind != old["standardTierStorageRedundancy"]:
        raise refusal("StorageModelModifyError")
    if restore == "Enabled" and kind != "GeoRedundant":
        raise refusal("BMSUserErrorCrossRegionRestoreNotSupported")
    if vault is not None and restore == "Disabled" and old["crossRegionRestore"] == "Enabled":
        raise refusal("BMSUserErrorCrossRegionRestoreCannotBeDisabled")


def check_soft_delete(old: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """
    Refuse soft delete settings that a vault cannot take.

    Raises:
        ArmError: it would be switched off where it is always on, or its retention is out of range.
    """
    new = merged(old, asked)
    days, state, security = (
        new[name] for name in ("softDeleteRetentionPeriodInDays", "softDeleteState", "enhancedSecurityState")
    )
    whole = isinstance(days, int) and not isinstance(days, bool)
    if not whole or not 14 <= days <= 180 or state not in _SOFT_DELETE_STATES or security not in _SOFT_DELETE_STATES:
        raise refusal("BMSUserErrorInvalidInput")
    if old["softDeleteState"] == "AlwaysON" and state != "AlwaysON":
        raise refusal("BMSUserErrorDisablingSoftDeleteStateNotAllowed")
    if security == "Disabled" and old["enhancedSecurityState"] != "Disabled":
        raise refusal("UserErrorChangeEnhancedSecurityStateNotAllowed")


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Body:
    """
    Return *old* with the members of *new*, objects within objects; a null in *new* changes nothing.
    """
    result = dict(old)
    for name, value in new.items():
        before = result.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[name] = merged(before, value)
        elif value is not None or name not in result:
            result[name] = value
    return result
