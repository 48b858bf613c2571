"""
From ARM's JSON to records: pure functions that cope with every shape that Azure was seen to answer (real-shapes).

A member may be absent, null or empty, an id in any case, a list in singular and plural form: each is met here, once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import win_tz

from runbook_lib.arm.wire import (
    Json,
    as_list,
    as_object,
    as_text,
    base,
    located,
    name_of,
    properties_of,
    state_of,
)
from runbook_lib.naming import location_name
from runbook_lib.policy import terms
from runbook_lib.records import (
    BackupJob,
    Location,
    Lock,
    Policy,
    ProtectedItem,
    Provider,
    ResourceGroup,
    Subscription,
    Vault,
)

__all__ = [
    "backup_job",
    "group",
    "location",
    "lock",
    "policy",
    "protected_item",
    "provider",
    "subscription",
    "vault",
    "vault_settings",
]

# The service's word for "never".
NEVER = datetime(2001, 1, 1, tzinfo=UTC)
_PROTECTION = {"irpending": "on", "protected": "on", "protectionstopped": "stopped"}


def subscription(row: Json) -> Subscription:
    """
    Read a subscription; its name is what people call it.
    """
    return Subscription(
        id=as_text(row.get("id")) or f"/subscriptions/{as_text(row.get('subscriptionId'))}",
        name=as_text(row.get("displayName")) or as_text(row.get("subscriptionId")),
        state=as_text(row.get("state")),
        tenant=as_text(row.get("tenantId")),
    )


def location(row: Json) -> Location | None:
    """
    Read a region with its pair; None for what does not say what it is, such as a logical region.
    """
    metadata = as_object(row.get("metadata"))
    if as_text(metadata.get("regionType")).lower() != "physical":
        return None
    pairs = [as_text(as_object(each).get("name")) for each in as_list(metadata.get("pairedRegion"))]
    return Location(id=as_text(row.get("id")), name=name_of(row), pair=next(filter(None, pairs), None))


def provider(row: Json) -> Provider:
    """
    Read a resource provider and where it offers vaults.
    """
    kinds = [as_object(each) for each in as_list(row.get("resourceTypes"))]
    offered = [
        each
        for kind in kinds
        if as_text(kind.get("resourceType")).lower() == "vaults"
        for each in as_list(kind.get("locations"))
    ]
    return Provider(
        id=as_text(row.get("id")),
        name=as_text(row.get("namespace")),
        registration_state=as_text(row.get("registrationState")),
        vault_locations=tuple(sorted({location_name(as_text(each)) for each in offered})),
    )


def group(row: Json) -> ResourceGroup:
    """
    Read a resource group.
    """
    return ResourceGroup(**located(row))


def lock(row: Json) -> Lock:
    """
    Read a management lock; what it holds stands before its own part of its id.
    """
    return Lock(
        **base(row),
        scope=re.split("/providers/Microsoft.Authorization/locks/", as_text(row.get("id")), flags=re.IGNORECASE)[0],
        level=as_text(properties_of(row).get("level")),
    )


def backup_job(row: Json) -> BackupJob:
    """
    Read a job of a vault.
    """
    given = properties_of(row)
    return BackupJob(
        **base(row),
        vault_id=re.split("/backupJobs/", as_text(row.get("id")), flags=re.IGNORECASE)[0],
        container=as_text(given.get("containerName")),
        operation=as_text(given.get("operation")),
    )


def vault(row: Json, *, items_read: bool, policies: list[Json] | None) -> Vault:
    """
    Read a vault as a list shows it: without its settings.

    Args:
        policies: its policies for all workloads, None when they could not be read.
    """
    return Vault(
        **located(row),
        items_read=items_read,
        policies_read=policies is not None,
        other_policies=tuple(name_of(each) for each in policies or () if not _for_vms(each)),
        failed=state_of(properties_of(row)) == "failed",
        # Once its policies are there VMs can be enabled, whatever the operation that makes it says of itself.
        making=state_of(properties_of(row)) in ("accepted", "creating", "provisioning") and not policies,
    )


def vault_settings(body: Json | None, storage: Json | None) -> Json:
    """
    Read the settings of a vault as the fields of a `Vault`.

    Old vaults have no `redundancySettings`: the storage configuration says it then.

    Args:
        body: the vault as a GET shows it; None when it could not be read.
        storage: its storage configuration, likewise.
    """
    properties = properties_of(body or {})
    redundancy = as_object(properties.get("redundancySettings"))
    security = as_object(properties.get("securitySettings"))
    config = properties_of(storage or {})
    locked = {"locked": True, "unlocked": False}.get(as_text(config.get("storageTypeState")).lower())
    crr = (
        as_text(redundancy.get("crossRegionRestore")).lower() == "enabled"
        or config.get("crossRegionRestoreFlag") is True
    )
    return {
        "redundancy": as_text(redundancy.get("standardTierStorageRedundancy"))
        or as_text(config.get("storageType"))
        or as_text(config.get("storageModelType")),
        "cross_region_restore": crr,
        "redundancy_locked": locked,
        "soft_delete": as_text(as_object(security.get("softDeleteSettings")).get("softDeleteState")),
        "immutability": as_text(as_object(security.get("immutabilitySettings")).get("state")),
    }


def policy(row: Json) -> Policy | None:
    """
    Read a policy; None when it is not for Azure VMs: a vault's list mixes all kinds.
    """
    properties = properties_of(row)
    if not _for_vms(row):
        return None
    arm_id = as_text(row.get("id"))
    return Policy(
        id=arm_id,
        name=name_of(row),
        vault_id=re.split("/backupPolicies/", arm_id, flags=re.IGNORECASE)[0],
        terms=terms(properties),
        properties={name: value for name, value in properties.items() if name != "protectedItemsCount"},
    )


def _for_vms(row: Json) -> bool:
    return as_text(properties_of(row).get("backupManagementType")).lower() == "azureiaasvm"


def protected_item(row: Json) -> ProtectedItem | None:
    """
    Read a protected item by wire names (SDK 11.x loses its type); None when it is a classic VM.

    Raises:
        ValueError: it does not name an ARM VM: what it protects cannot be told.
    """
    properties = properties_of(row)
    source = as_text(properties.get("virtualMachineId")) or as_text(properties.get("sourceResourceId"))
    if as_text(properties.get("protectedItemType")).lower() == "microsoft.classiccompute/virtualmachines":
        return None
    if "/providers/microsoft.compute/virtualmachines/" not in source.lower():
        raise ValueError(f"{as_text(row.get('id'))}: a protected item that names no VM")
    arm_id = as_text(row.get("id"))
    state = as_text(properties.get("protectionState"))
    return ProtectedItem(
        id=arm_id,
        name=name_of(row),
        vault_id=re.split("/backupFabrics/", arm_id, flags=re.IGNORECASE)[0],
        source_id=source,
        policy_id=as_text(properties.get("policyId")),
        protection=_PROTECTION.get(state.lower(), state.lower()),
        soft_deleted=properties.get("isScheduledForDeferredDelete") is True,
        protection_state=state,
        protection_status=as_text(properties.get("protectionStatus")),
        health_status=as_text(properties.get("healthStatus")),
        last_backup_status=as_text(properties.get("lastBackupStatus")),
        last_backup_time=_time(properties.get("lastBackupTime")),
    )


def recovery_point(row: Json, zone: str) -> datetime | None:
    """
    Read the time of a recovery point, on the day that it has in a Windows time zone; None where it cannot be told.
    """
    read = _time(properties_of(row).get("recoveryPointTime"))
    if read is None:
        return None
    try:
        return read.astimezone(ZoneInfo(win_tz[zone]))
    except (KeyError, ZoneInfoNotFoundError):
        return read


def _time(value: Any) -> datetime | None:
    """
    Read a time; Azure's fractions have 0 to 7 digits, and 2001 stands for "never".
    """
    if not isinstance(value, str) or not value:
        return None
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", value.replace("Z", "+00:00"))
    try:
        read = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    return aware if aware.date() > NEVER.date() else None
