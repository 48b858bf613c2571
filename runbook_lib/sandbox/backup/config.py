"""
The older roads to a vault's settings: its storage, vault and encryption configuration, and its resource guards.

All show the state of the vault itself. Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.call import Call, Route, member
from runbook_lib.sandbox.clock import etag_of
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body
from runbook_lib.sandbox.vaults import (
    VAULT,
    VAULT_PATH,
    VAULT_TYPE,
    check_redundancy,
    check_soft_delete,
    find_vault,
    is_locked,
    merged,
    redundancy,
    soft_delete,
)

__all__ = ["ROUTES"]


def _get_storage(call: Call) -> Answer:
    return Answer(status=200, body=_storage(call, find_vault(call)))


def _put_storage(call: Call) -> Answer:
    return Answer(status=200, body=_storage(call, _change_storage(call)))


def _patch_storage(call: Call) -> Answer:
    _change_storage(call)
    return Answer(status=204)


def _change_storage(call: Call) -> Body:
    vault = find_vault(call)
    if call.state.runtime(vault["id"]).get("redundancy_by_vault"):
        raise refusal("BMSUserErrorRedundancySettingsUseVaultApi")
    asked = member(call.body, "properties")
    changes: Body = {}
    if asked.get("storageModelType") is not None:
        changes["standardTierStorageRedundancy"] = asked["storageModelType"]
    if asked.get("crossRegionRestoreFlag") is not None:
        changes["crossRegionRestore"] = "Enabled" if asked["crossRegionRestoreFlag"] is True else "Disabled"
    check_redundancy(call.state, vault, changes)
    settings = merged(redundancy(vault), changes)
    vault = merged(vault, {"properties": {"redundancySettings": settings}, "etag": etag_of(call.now)})
    call.state.put(vault)
    return vault


def _storage(call: Call, vault: Body) -> Body:
    settings = redundancy(vault)
    kind = settings["standardTierStorageRedundancy"]
    return _config(
        call,
        vault,
        ("backupstorageconfig", "vaultstorageconfig"),
        {
            "storageModelType": kind,
            "storageType": kind,
            "dedupState": "Disabled",
            "xcoolState": "Disabled",
            "storageTypeState": "Locked" if is_locked(call.state, vault) else "Unlocked",
            "crossRegionRestoreFlag": settings["crossRegionRestore"] == "Enabled",
        },
    )


def _get_config(call: Call) -> Answer:
    return Answer(status=200, body=_vault_config(call, find_vault(call)))


def _change_config(call: Call) -> Answer:
    vault = find_vault(call)
    asked = member(call.body, "properties")
    words = {
        "softDeleteFeatureState": "softDeleteState",
        "enhancedSecurityState": "enhancedSecurityState",
        "softDeleteRetentionPeriodInDays": "softDeleteRetentionPeriodInDays",
    }
    old = soft_delete(vault)
    changes = {
        words[name]: asked[name]
        for name in words
        if asked.get(name) is not None and asked[name] != old.get(words[name])
    }
    if changes and call.state.runtime(vault["id"]).get("soft_delete_by_vault"):
        raise refusal("BMSUserErrorSoftDeleteUseVaultApi")
    check_soft_delete(old, changes)
    settings = {"properties": {"securitySettings": {"softDeleteSettings": merged(old, changes)}}}
    vault = merged(vault, settings | {"etag": etag_of(call.now)})
    call.state.put(vault)
    return Answer(status=200, body=_vault_config(call, vault))


def _vault_config(call: Call, vault: Body) -> Body:
    settings = soft_delete(vault)
    return _config(
        call,
        vault,
        ("backupconfig", "vaultconfig"),
        {
            "enhancedSecurityState": settings["enhancedSecurityState"],
            "softDeleteFeatureState": settings["softDeleteState"],
            "softDeleteRetentionPeriodInDays": settings["softDeleteRetentionPeriodInDays"],
            "isSoftDeleteFeatureStateEditable": settings["softDeleteState"] != "AlwaysON",
        },
    )


def _get_encryption(call: Call) -> Answer:
    vault = find_vault(call)
    asked = member(member(vault, "properties"), "encryption")
    identity, key = member(asked, "kekIdentity"), member(asked, "keyVaultProperties").get("keyUri")
    shown: Body = {
        "useSystemAssignedIdentity": identity.get("useSystemAssignedIdentity", True),
        "encryptionAtRestType": "CustomerManaged" if key else "MicrosoftManaged",
        "lastUpdateStatus": "Succeeded" if key else "NotEnabled",
        "infrastructureEncryptionState": asked.get("infrastructureEncryption") or "Disabled",
    }
    if key:
        shown |= {"keyUri": key, "subscriptionId": ""}
    if identity.get("userAssignedIdentity"):
        shown["userAssignedIdentity"] = identity["userAssignedIdentity"]
    kind = ("backupEncryptionConfigs", "backupResourceEncryptionConfig")
    return Answer(status=200, body=_config(call, vault, kind, shown))


def _guards(call: Call) -> Answer:
    vault = find_vault(call)
    # Only an estate puts a vault under multi-user authorization.
    held = call.state.scan(f"{VAULT_TYPE}/backupresourceguardproxies", vault["id"])
    return Answer(status=200, body={"value": [call.echo(proxy, 8) for _, proxy in held]})


def _config(call: Call, vault: Body, kind: tuple[str, str], properties: Body) -> Body:
    body = {
        "id": f"{vault['id']}/{'/'.join(kind)}",
        "name": kind[1],
        "type": f"{VAULT}/{kind[0]}",
        "properties": properties,
    }
    return call.echo(body, 8)


_STORAGE = f"{VAULT_PATH}/backupstorageconfig/vaultstorageconfig"
_CONFIG = f"{VAULT_PATH}/backupconfig/vaultconfig"

ROUTES = (
    Route(method="GET", path=_STORAGE, handler=_get_storage),
    Route(method="PUT", path=_STORAGE, handler=_put_storage, writes=True),
    Route(method="PATCH", path=_STORAGE, handler=_patch_storage, writes=True),
    Route(method="GET", path=_CONFIG, handler=_get_config),
    Route(method="PUT", path=_CONFIG, handler=_change_config, writes=True),
    Route(method="PATCH", path=_CONFIG, handler=_change_config, writes=True),
    Route(
        method="GET",
        path=f"{VAULT_PATH}/backupEncryptionConfigs/backupResourceEncryptionConfig",
        handler=_get_encryption,
    ),
    Route(method="GET", path=f"{VAULT_PATH}/backupResourceGuardProxies", handler=_guards),
)
