"""
Microsoft.RecoveryServices: the vaults themselves. What they protect is in `backup`.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import base64
import re
import uuid
from datetime import timedelta

from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error, raise_failure
from runbook_lib.sandbox.backup.defaults import POLICY_KIND, default_policies
from runbook_lib.sandbox.backup.items import is_soft_deleted
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import arm_time, etag_of
from runbook_lib.sandbox.deletedvaults import SINCE, keep_vault
from runbook_lib.sandbox.locations import REGIONS, region
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of, normal_location
from runbook_lib.sandbox.vaults import (
    ITEM_TYPE,
    VAULT,
    VAULT_PATH,
    VAULT_TYPE,
    check_redundancy,
    check_soft_delete,
    find_vault,
    merged,
    redundancy,
    remember,
    soft_delete,
    vault_row,
    vault_view,
)

__all__ = ["EFFECTS", "ROUTES"]

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,49}")
_WRITABLE = (
    "encryption",
    "monitoringSettings",
    "publicNetworkAccess",
    "redundancySettings",
    "restoreSettings",
    "securitySettings",
)
_IDENTITIES = {
    one.replace(" ", "").lower(): one
    for one in ("None", "SystemAssigned", "SystemAssigned, UserAssigned", "UserAssigned")
}
_KINDS = ("vault.create", "vault.update", "vault.delete")
_JOB_TYPE = f"{VAULT_TYPE}/backupjobs"
_JOBS_USED = {"InProgress": ("InProgressJobsCount", "In progress"), "Failed": ("FailedJobsCount", "Failed")}
_MONITORED = (
    "unHealthyVmCount",
    "unHealthyProviderCount",
    "eventsCount",
    "deprecatedProviderCount",
    "supportedProviderCount",
    "unsupportedProviderCount",
)
# From this api-version on the service takes no other state (reported 2026).
_ALWAYS_ON_SINCE = "2026-01-01"


def _list_all(call: Call) -> Answer:
    return paged(
        call,
        "vaults",
        lambda after: call.state.scan(VAULT_TYPE, call.subscription_scope, after),
        shape=vault_row,
    )


def _list_group(call: Call) -> Answer:
    return paged(
        call,
        "vaults",
        lambda after: call.state.scan(VAULT_TYPE, call.group_scope, after),
        shape=lambda vault: call.echo(vault_row(vault)),
    )


def _get(call: Call) -> Answer:
    return Answer(status=200, body=call.echo(vault_view(find_vault(call))))


def _put(call: Call) -> Answer:
    name = call.names["vault"]
    vault = call.state.get(f"{call.group_scope}/providers/{VAULT}/{name}")
    _check_etag(call, vault)
    location = _checked_location(call, vault)
    if member(call.body, "sku").get("name") not in ("Standard", "RS0"):
        raise ArmError(400, "InvalidParameter", "The sku of a vault must be 'Standard' or 'RS0'.")
    changes = _changes(call, vault)
    moment = {"etag": etag_of(call.now)}
    if vault is None:
        if not _NAME.fullmatch(name):
            raise refusal("InvalidResourceName", name=name)
        _check_room(call, location)
        always_on: Body = {
            "securitySettings": {
                "immutabilitySettings": None,
                "softDeleteSettings": {"softDeleteState": "AlwaysON", "enhancedSecurityState": "AlwaysON"},
            }
        }
        fresh: Body = {
            "location": location,
            "name": name,
            "properties": always_on,
            "id": f"{call.group_scope}/providers/{VAULT}/{name}",
            "type": VAULT,
        }
        vault = merged(merged(fresh, changes), {"properties": {"provisioningState": "Provisioning"}}) | moment
        kind = "vault.create"
    else:
        # A vault whose creation failed is created once more.
        fresh_again = next(call.state.scan(POLICY_KIND.lower(), vault["id"]), None) is None
        vault = merged(vault, {"properties": {"provisioningState": "Updating"}}) | moment
        kind = "vault.create" if fresh_again else "vault.update"
    call.state.put(vault)
    _remember_road(call, vault)
    operation = _begin(call, kind, vault, {"changes": changes})
    shown = merged(vault_view(vault), changes)
    headers = {"Azure-AsyncOperation": _status_url(call, operation), "Retry-After": "10"}
    return Answer(status=201, body=call.echo(shown), headers=headers)


def _patch(call: Call) -> Answer:
    vault = find_vault(call)
    _check_etag(call, vault)
    changes = _changes(call, vault)
    vault = merged(vault, {"properties": {"provisioningState": "Updating"}})
    call.state.put(vault)
    _remember_road(call, vault)
    operation = _begin(call, "vault.update", vault, {"changes": changes})
    return Answer(status=202, headers=_poll_headers(call, operation))


def _created(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    if vault is not None:
        ready = {"provisioningState": "Succeeded", "backupStorageVersion": "Unassigned"}
        changed = merged(vault, args["changes"])
        tenant.state.put(merged(changed, {"properties": ready, "etag": etag_of(tenant.now)}))
        tenant.state.put_all(default_policies(vault["id"], tenant.now))


def _updated(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    if vault is not None:
        changes = args["changes"]
        # Tags are replaced, everything else is merged.
        tags = {"tags": changes["tags"]} if "tags" in changes else {}
        ready = {"properties": {"provisioningState": "Succeeded"}, "etag": etag_of(tenant.now)}
        tenant.state.put(merged(merged(vault, changes), ready) | tags)


def _delete(call: Call) -> Answer:
    vault = call.state.get(f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}")
    if vault is None:
        return Answer(status=204)
    _check_etag(call, vault)
    _refuse_while_busy(call, vault)
    kept = call.api_version >= SINCE and soft_delete(vault)["softDeleteState"] == "AlwaysON"
    _refuse_with_items(call, vault, kept=kept)
    operation = _begin(call, "vault.delete", vault, {"kept": kept})
    return Answer(status=202, headers=_poll_headers(call, operation))


def _refuse_with_items(call: Call, vault: Body, *, kept: bool) -> None:
    """
    Refuse to delete a vault that holds items, unless they and it are soft-deleted together.
    """
    items = [item for _, item in call.state.scan(ITEM_TYPE, vault["id"])]
    active = [item for item in items if not is_soft_deleted(item)]
    if not items or (kept and not active):
        return
    state = "in the vault" if active else "in soft deleted state in the vault"
    names = ", ".join(member(item, "properties").get("friendlyName", "") for item in active or items)
    raise refusal("ServiceResourceNotEmptyWithBackendMessage", state=state, items=names)


def _deleted(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    if vault is None:
        return
    tenant.state.cancel_under(vault["id"])
    if args["kept"]:
        keep_vault(tenant, vault)
    else:
        tenant.state.delete(vault["id"])


def _operation_status(call: Call) -> Answer:
    operation = _operation(call)
    body: Body = {"id": call.path, "name": operation["id"], "status": operation["status"]}
    if operation["error"] is not None:
        body["error"] = operation["error"]
    running = operation["status"] == "InProgress"
    return Answer(status=200, body=body, headers=_poll_headers(call, operation["id"]) if running else {})


def _operation_result(call: Call) -> Answer:
    operation = _operation(call)
    if operation["status"] == "InProgress":
        return Answer(status=202, headers=_poll_headers(call, operation["id"]))
    raise_failure(operation)
    # The result lives under the vault, so that of a deletion is gone with it.
    return Answer(status=200, body=call.echo(vault_view(find_vault(call))))


def _operation(call: Call) -> Body:
    operation = call.state.operation(call.names["operation"])
    scope = key_of(f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}")
    if operation is not None and operation["kind"] in _KINDS and operation["target"] == scope:
        return operation
    find_vault(call)
    raise refusal("OperationNotFound", operation=call.names["operation"])


def _usages(call: Call) -> Answer:
    vault = find_vault(call)
    items = [member(item, "properties") for _, item in call.state.scan(ITEM_TYPE, vault["id"])]
    vms = [item for item in items if item.get("backupManagementType") == "AzureIaasVM"]
    critical = [item for item in vms if item.get("protectionStatus") not in (None, "Healthy")]
    counts = {
        "ProtectedItemCount": ("Backup items/Azure virtual machine backup", len(items)),
        "IaaSVMProtectedItemCount": ("Azure Virtual Machines", len(vms)),
        "IaaSVMProtectedItemCriticalCount": ("Critical", len(critical)),
    }
    value: list[Body] = [
        {"unit": "Count", "currentValue": count, "limit": -1, "name": {"value": name, "localizedValue": text}}
        for name, (text, count) in counts.items()
    ]
    today = arm_time(call.now - timedelta(days=1))
    jobs = [member(job, "properties") for _, job in call.state.scan(_JOB_TYPE, vault["id"])]
    for status, (name, text) in _JOBS_USED.items():
        found = [job for job in jobs if job.get("status") == status and (job.get("startTime") or "") >= today]
        usage = {"unit": "Count", "quotaPeriod": "P1D", "currentValue": len(found), "limit": -1}
        value.append({**usage, "name": {"value": name, "localizedValue": text}})
    return Answer(status=200, body={"value": value})


def _replication_usages(call: Call) -> Answer:
    find_vault(call)
    # Site Recovery is not simulated, so nothing is replicated.
    row = {
        "monitoringSummary": dict.fromkeys(_MONITORED, 0),
        "jobsSummary": dict.fromkeys(("failedJobs", "suspendedJobs", "inProgressJobs"), 0),
        "protectedItemCount": 0,
        "registeredServersCount": 0,
        "recoveryPlanCount": 0,
    }
    return Answer(status=200, body={"value": [row]})


def _check_name(call: Call) -> Answer:
    name = call.body.get("name")
    if not isinstance(name, str):
        raise ArmError(400, "InvalidParameter", "The name to check must be given.")
    taken = call.state.get(f"{call.group_scope}/providers/{VAULT}/{name}") is not None
    message = {"reason": "AlreadyExists", "message": "Resource already exists with the same name."} if taken else {}
    return Answer(status=200, body={"nameAvailable": not taken, **message})


def _checked_location(call: Call, vault: Body | None) -> str:
    location = call.body.get("location")
    if not isinstance(location, str) or not location:
        raise gateway_error(400, "LocationRequired", "The location property is required for this definition.")
    if vault is not None:
        old = str(vault.get("location", ""))
        if normal_location(old) != normal_location(location):
            raise gateway_error(
                409,
                "InvalidResourceLocation",
                f"The resource '{call.names['vault']}' already exists in location '{old}' in resource group"
                f" '{call.names['group']}'. A resource with the same name cannot be created in location '{location}'."
                " Please select a new resource name.",
            )
        return old
    found = region(location)
    if found is None:
        available = ",".join(one.name for one in REGIONS.values() if one.physical)
        raise gateway_error(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type '{VAULT}'."
            f" List of available regions for the resource type is '{available}'.",
        )
    return found.name


def _check_etag(call: Call, vault: Body | None) -> None:
    """
    Refuse a change of a vault that is not the one the caller has read.
    """
    asked = call.headers.get("if-match", "*")
    if asked != "*" and (vault is None or asked != vault.get("etag")):
        raise refusal("PreconditionFailed", etag=asked)


def _check_room(call: Call, location: str) -> None:
    """
    Refuse one vault too many in a region of a subscription.
    """
    limit = call.tenant.profile.limits["vaults"]
    others = (other for _, other in call.state.scan(VAULT_TYPE, call.subscription_scope))
    if sum(normal_location(other.get("location") or "") == location for other in others) >= limit:
        raise refusal("VaultLimitReached", limit=limit, location=location)


def _changes(call: Call, vault: Body | None) -> Body:
    properties = member(call.body, "properties")
    encryption = member(properties, "encryption")
    member(encryption, "keyVaultProperties")
    member(encryption, "kekIdentity")
    changes: Body = {"properties": {name: properties[name] for name in _WRITABLE if properties.get(name) is not None}}
    for name in ("tags", "sku", "identity"):
        if isinstance(call.body.get(name), dict):
            changes[name] = call.body[name]
    kind = member(call.body, "identity").get("type")
    if isinstance(kind, str):
        # Clients write it in several ways (recorded), the service in one.
        changes["identity"] = {**call.body["identity"], "type": _IDENTITIES.get(kind.replace(" ", "").lower(), kind)}
    if vault is not None:
        _refuse_while_busy(call, vault)
    check_redundancy(call.state, vault, member(properties, "redundancySettings"))
    security = member(properties, "securitySettings")
    asked = member(security, "softDeleteSettings")
    states = [asked[name] for name in ("softDeleteState", "enhancedSecurityState") if asked.get(name) is not None]
    if call.api_version >= _ALWAYS_ON_SINCE and any(state != "AlwaysON" for state in states):
        raise refusal("BMSUserErrorSoftDeleteStateNotSetToAlwaysON")
    check_soft_delete(soft_delete(vault or {}), asked)
    # What nobody knows is not kept.
    if "redundancySettings" in changes["properties"]:
        changes["properties"]["redundancySettings"] = _only(member(properties, "redundancySettings"), redundancy({}))
    if asked:
        soft = {"softDeleteSettings": _only(asked, soft_delete({}))}
        changes["properties"]["securitySettings"] = security | soft
    return changes


def _only(asked: Body, known: Body) -> Body:
    return {name: value for name, value in asked.items() if name in known}


def _remember_road(call: Call, vault: Body) -> None:
    properties = member(call.body, "properties")
    if member(properties, "redundancySettings"):
        remember(call.state, vault, redundancy_by_vault=True)
    if member(member(properties, "securitySettings"), "softDeleteSettings"):
        remember(call.state, vault, soft_delete_by_vault=True)


def _refuse_while_busy(call: Call, vault: Body) -> None:
    if call.state.running(vault["id"], _KINDS) is not None:
        raise refusal("RSVaultUpdateErrorConflictingOperationInProgress")


def _begin(call: Call, kind: str, vault: Body, args: Body) -> str:
    # The service's own ids look like this.
    operation = base64.urlsafe_b64encode(f"2047;{uuid.uuid4()}".encode()).decode()
    return call.tenant.begin(kind, vault["id"], {"vault": vault["id"], **args}, operation_id=operation)


def _status_url(call: Call, operation: str) -> str:
    return call.url(f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}/operationStatus/{operation}")


def _poll_headers(call: Call, operation: str) -> dict[str, str]:
    result = call.url(f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}/operationResults/{operation}")
    return {"Azure-AsyncOperation": _status_url(call, operation), "Location": result, "Retry-After": "10"}


_ALL = "/subscriptions/{subscription}/providers/Microsoft.RecoveryServices"
_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices"

ROUTES = (
    Route(method="GET", path=f"{_ALL}/vaults", handler=_list_all),
    Route(method="GET", path=f"{_GROUP}/vaults", handler=_list_group),
    Route(method="GET", path=VAULT_PATH, handler=_get),
    Route(method="PUT", path=VAULT_PATH, handler=_put, writes=True),
    Route(method="PATCH", path=VAULT_PATH, handler=_patch, writes=True),
    Route(method="DELETE", path=VAULT_PATH, handler=_delete, writes=True),
    Route(method="GET", path=f"{VAULT_PATH}/operationStatus/{{operation}}", handler=_operation_status),
    Route(method="GET", path=f"{VAULT_PATH}/operationResults/{{operation}}", handler=_operation_result),
    Route(method="GET", path=f"{VAULT_PATH}/usages", handler=_usages),
    Route(method="GET", path=f"{VAULT_PATH}/replicationUsages", handler=_replication_usages),
    Route(method="POST", path=f"{_GROUP}/locations/{{location}}/checkNameAvailability", handler=_check_name),
)
EFFECTS: dict[str, Effect] = {"vault.create": _created, "vault.update": _updated, "vault.delete": _deleted}
