"""
Protected items: enabling, changing, stopping, deleting and restoring the protection of virtual machines.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from runbook_lib.sandbox.access import require_linked
from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.backup.eligibility import check_policy, check_vm
from runbook_lib.sandbox.backup.items import (
    asked_words,
    find_item,
    is_soft_deleted,
    item_id,
    item_path,
    named_vm,
    new_item,
    purge_time,
    shown_item,
)
from runbook_lib.sandbox.backup.jobs import start_job
from runbook_lib.sandbox.backup.limits import check_room
from runbook_lib.sandbox.backup.operations import poll_headers
from runbook_lib.sandbox.backup.recoverypoints import extended
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import arm_time
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.resources import require_registration
from runbook_lib.sandbox.state import VM_ITEM_TYPES, Body, State, key_of
from runbook_lib.sandbox.vaults import ITEM_TYPE, VAULT, VAULT_PATH, find_vault, merged, remember, soft_delete

__all__ = ["EFFECTS", "ROUTES", "schedule_purges"]

_CHANGES = ("item.configure", "item.stop", "item.undelete", "item.delete")
_DEFERRED = ("isScheduledForDeferredDelete", "deferredDeleteTimeInUTC", "deferredDeleteTimeRemaining")
_STOPPED = {"protectionState": "ProtectionStopped", "policyId": "", "policyName": ""}


def schedule_purges(state: State, now: datetime, scope: str = "") -> None:
    """
    Let the soft-deleted items under *scope* be purged when their time is over; at once, where it already is.
    """
    for _, item in list(state.scan(ITEM_TYPE, scope)):
        ends = purge_time(item)
        if ends is not None:
            args = {"item": item["id"], "deleted": item["properties"]["deferredDeleteTimeInUTC"]}
            span = (now.timestamp(), max(now, ends).timestamp())
            state.add_operation(str(uuid.uuid4()), "item.purge", item["id"], span, args)


def _put(call: Call) -> Answer:
    vault = find_vault(call)
    group, name = named_vm(call)
    asked = member(call.body, "properties")
    if key_of(str(asked.get("protectedItemType"))) not in VM_ITEM_TYPES:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    item = call.state.get(item_id(vault["id"], group, name))
    if call.state.running(item_id(vault["id"], group, name), _CHANGES) is not None:
        raise refusal("BMSUserErrorConflictingProtectionOperation")
    if asked.get("isRehydrate") is True:
        kind, job, bag, args = "item.undelete", "Undelete", {"Undelete flag": "True"}, _undelete(item)
    elif item is not None and is_soft_deleted(item):
        raise refusal("BMSUserErrorItemInSoftDeletedState")
    elif asked.get("protectionState") == "ProtectionStopped" and not asked.get("policyId"):
        kind, job, bag, args = "item.stop", "DisableBackup", {}, _stop(item)
    else:
        vm, policy = _checked(call, vault, item, group, name)
        kind, job, bag = "item.configure", "ConfigureBackup", {"Policy Name": policy["name"]}
        item = item or new_item(vault, group, vm)
        args = {"item": item, "changes": _configured(item, policy, asked), "vm": vm["id"]}
    return _accepted(call, kind, vault, args, job, bag)


def _checked(call: Call, vault: Body, item: Body | None, group: str, name: str) -> tuple[Body, Body]:
    """
    Return the VM and the policy of a request that enables, resumes or changes protection.
    """
    asked = member(call.body, "properties")
    source = asked.get("sourceResourceId") or (member(item, "properties").get("virtualMachineId") if item else None)
    if not isinstance(source, str):
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    parts = key_of(source).split("/")
    if len(parts) != 9 or parts[5:8] != ["providers", "microsoft.compute", "virtualmachines"]:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    vm = call.state.get(source)
    if vm is None or [parts[4], parts[8]] != [key_of(group), key_of(name)]:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    doing = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/write"
    require_linked(call.state, call.caller, doing, vault["id"], "Microsoft.Compute/virtualMachines/write", vm["id"])
    require_registration(call.tenant, parts[2], "Microsoft.RecoveryServices")
    policy_id = asked.get("policyId")
    policy = call.state.get(policy_id) if isinstance(policy_id, str) else None
    if policy is None or not key_of(policy["id"]).startswith(f"{key_of(vault['id'])}/backuppolicies/"):
        raise refusal("BMSUserErrorPolicyNotFound")
    check_vm(call.tenant, vault, vm)
    old = call.state.get(member(item, "properties").get("policyId") or "") if item else None
    properties = member(policy, "properties")
    check_policy(vm, properties, member(old, "properties") if old else None, call.api_version)
    check_room(call.tenant, vault["id"], policy["id"], item_id(vault["id"], group, name))
    return vm, policy


def _configured(item: Body, policy: Body, asked: Body) -> Body:
    properties = member(item, "properties")
    changed: Body = {"policyId": policy["id"], "policyName": policy["name"]}
    if isinstance(asked.get("extendedProperties"), dict):
        changed["extendedProperties"] = asked["extendedProperties"]
    if properties.get("protectionState") in ("ProtectionStopped", "ProtectionError"):
        changed["protectionState"] = "Protected" if properties.get("lastRecoveryPoint") else "IRPending"
    return changed


def _stop(item: Body | None) -> Body:
    if item is None:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    return {"item": item, "changes": dict(_STOPPED)}


def _undelete(item: Body | None) -> Body:
    if item is None or not is_soft_deleted(item):
        raise refusal("BMSUserErrorItemNotInSoftDeletedState")
    return {"item": item, "changes": {**_STOPPED, "softDeleteRetentionPeriod": 0}, "dropped": _DEFERRED}


def _accepted(call: Call, kind: str, vault: Body, args: Body, job: str, bag: Body) -> Answer:
    item = args["item"]
    name = start_job(call.tenant, vault, item, job, bag)
    args = {**args, "vault": vault["id"], "job": name, "result": item["id"]}
    operation = call.tenant.begin(kind, item["id"], args)
    if kind == "item.delete":
        place = f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}"
        roads = (f"{place}/backupOperations", f"{place}/backupOperationResults")
    else:
        roads = (f"{item_path(call)}/operationsStatus", f"{item_path(call)}/operationResults")
    return Answer(status=202, headers=poll_headers(call, *roads, operation))


def _changed(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    if vault is None:
        return
    if "vm" in args:
        _check_again(tenant, vault, args)
        first = not tenant.state.runtime(vault["id"]).get("registered")
        remember(tenant.state, vault, registered=True)
        if first:
            tenant.state.put(merged(vault, {"properties": {"backupStorageVersion": "V2"}}))
    # Backups may have changed the item since the request.
    item = tenant.state.get(args["item"]["id"])
    if item is None:
        item = args["item"]
        # What an earlier item of the VM had is gone with it.
        tenant.state.set_runtime(item["id"], {})
    kept = {name: value for name, value in member(item, "properties").items() if name not in args.get("dropped", ())}
    tenant.state.put({**item, "properties": kept | args["changes"]})
    tenant.begin("item.job", item["id"], {"vault": args["vault"], "job": args["job"]})


def _check_again(tenant: Tenant, vault: Body, args: Body) -> None:
    """
    Refuse what changed while the operation ran: another vault may have been faster.
    """
    vm = tenant.state.get(args["vm"])
    if vm is None:
        raise refusal("BMSUserErrorInvalidConfigureProtectionRequest")
    check_vm(tenant, vault, vm)
    check_room(tenant, vault["id"], args["changes"]["policyId"], args["item"]["id"])


def _get(call: Call) -> Answer:
    _, item = find_item(call)
    if asked_words(call).get("expand") == "extendedinfo":
        item = extended(call.state, item)
    return Answer(status=200, body=_shown(call, item))


def _list(call: Call) -> Answer:
    vault = find_vault(call)
    wanted = call.filter()

    def keep(item: Body) -> bool:
        properties = member(item, "properties")
        own = {
            "backupmanagementtype": properties.get("backupManagementType"),
            "itemtype": properties.get("workloadType"),
            "policyname": properties.get("policyName"),
            "friendlyname": properties.get("friendlyName"),
            "containername": properties.get("containerName"),
        }
        return all(key_of(str(own[name])) == key_of(wanted[name]) for name in own if name in wanted)

    return paged(
        call,
        "backupProtectedItems",
        lambda after: call.state.scan(ITEM_TYPE, vault["id"], after),
        keep=keep,
        shape=lambda item: _shown(call, item),
    )


def _shown(call: Call, item: Body) -> Body:
    return call.echo(shown_item(item, call.now), 8)


def _delete(call: Call) -> Answer:
    vault = find_vault(call)
    item = call.state.get(item_id(vault["id"], *named_vm(call)))
    if item is None:
        return Answer(status=204)
    if is_soft_deleted(item):
        raise refusal("BMSUserErrorItemInSoftDeletedState")
    if call.state.running(item["id"], _CHANGES) is not None:
        raise refusal("BMSUserErrorConflictingProtectionOperation")
    return _accepted(call, "item.delete", vault, {"item": item}, "DeleteBackupData", {})


def _deleted(tenant: Tenant, args: Body) -> None:
    vault = tenant.state.get(args["vault"])
    item = tenant.state.get(args["item"]["id"])
    if vault is None or item is None:
        return
    settings = soft_delete(vault)
    tenant.begin("item.job", item["id"], {"vault": args["vault"], "job": args["job"]})
    if settings["softDeleteState"] == "Disabled":
        tenant.state.delete(item["id"])
        return
    deferred = {
        **_STOPPED,
        # The moment of the deletion, as recorded; the days that are left count from it.
        "deferredDeleteTimeInUTC": arm_time(tenant.now),
        "isScheduledForDeferredDelete": True,
        "softDeleteRetentionPeriod": settings["softDeleteRetentionPeriodInDays"],
    }
    tenant.state.put({**item, "properties": member(item, "properties") | deferred})
    schedule_purges(tenant.state, tenant.now, item["id"].rpartition("/")[0])


def _purged(tenant: Tenant, args: Body) -> None:
    item = tenant.state.get(args["item"])
    # An item that was brought back meanwhile stays, or has a later end.
    if item is not None and member(item, "properties").get("deferredDeleteTimeInUTC") == args["deleted"]:
        tenant.state.delete(item["id"])


_ITEM = f"{VAULT_PATH}/backupFabrics/{{fabric}}/protectionContainers/{{container}}/protectedItems/{{item}}"

ROUTES = (
    Route(method="GET", path=f"{VAULT_PATH}/backupProtectedItems", handler=_list),
    Route(method="GET", path=_ITEM, handler=_get),
    Route(method="PUT", path=_ITEM, handler=_put, writes=True),
    Route(method="DELETE", path=_ITEM, handler=_delete, writes=True),
)
EFFECTS: dict[str, Effect] = {
    "item.configure": _changed,
    "item.delete": _deleted,
    "item.purge": _purged,
    "item.stop": _changed,
    "item.undelete": _changed,
}
