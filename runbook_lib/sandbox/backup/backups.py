"""
Backups on demand: they run as jobs, in two phases, leave recovery points, fail, and can be cancelled.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.backup.eligibility import check_agent, check_extension
from runbook_lib.sandbox.backup.items import find_item, is_soft_deleted, item_id, item_path
from runbook_lib.sandbox.backup.jobs import end_job, find_job, set_tasks, start_job
from runbook_lib.sandbox.backup.limits import spend
from runbook_lib.sandbox.backup.operations import poll_headers
from runbook_lib.sandbox.backup.recoverypoints import add_point
from runbook_lib.sandbox.call import Call, Effect, Failure, Route, Tenant, member
from runbook_lib.sandbox.clock import arm_time, compute_time
from runbook_lib.sandbox.compute import add_extension, is_running, vm_properties
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of
from runbook_lib.sandbox.vaults import VAULT, VAULT_PATH, find_vault

__all__ = ["EFFECTS", "FAILURES", "ROUTES"]

_PHASES = ("backup.snapshot", "backup.transfer")


def _trigger(call: Call) -> Answer:
    vault, item = find_item(call)
    properties = member(item, "properties")
    if properties.get("protectionState") not in ("Protected", "IRPending", "ProtectionError") or is_soft_deleted(item):
        raise refusal("BMSUserErrorProtectionStopped")
    if call.state.running(item["id"], (*_PHASES, "job.cancel")) is not None:
        raise refusal("UserErrorBackupOperationInProgress")
    spend(call.tenant, item["id"], "item_backups")
    expiry = member(call.body, "properties").get("recoveryPointExpiryTimeInUTC")
    bag = {"Recovery Point Expiry Time in UTC": expiry} if isinstance(expiry, str) else {}
    job = start_job(call.tenant, vault, item, "Backup", bag)
    set_tasks(call.tenant, vault["id"], job, "InProgress", "NotStarted")
    args = {"vault": vault["id"], "item": item["id"], "job": job}
    call.tenant.begin("backup.snapshot", item["id"], args)
    operation = call.tenant.begin("backup.trigger", item["id"], args)
    path = item_path(call)
    return Answer(
        status=202, headers=poll_headers(call, f"{path}/operationsStatus", f"{path}/operationResults", operation)
    )


def _triggered(tenant: Tenant, args: Body) -> None:
    """
    Do nothing: the request to back up is done once the job is known.
    """


def _not_started(tenant: Tenant, args: Body, error: ArmError) -> None:
    running = tenant.state.running(args["item"], _PHASES)
    if running is not None:
        tenant.state.end_operation(running["id"], "Canceled", None)
    _conclude(tenant, args, ("Failed", "Skipped"), "Failed", error)


def _snapshot_taken(tenant: Tenant, args: Body) -> None:
    vm = _vm_of(tenant, args)
    try:
        if vm is None:
            raise refusal("ResourceNotFound")
        # A VM that does not run gets a crash-consistent recovery point without its agent.
        if is_running(tenant.state, vm["id"]):
            check_agent(tenant, vm)
            check_extension(tenant, vm)
    except ArmError as error:
        _conclude(tenant, args, ("Failed", "Skipped"), "Failed", error)
        return
    set_tasks(tenant, args["vault"], args["job"], "Completed", "InProgress")
    tenant.begin("backup.transfer", args["item"], {**args, "taken": arm_time(tenant.now)})
    if is_running(tenant.state, vm["id"]):
        _install_extension(tenant, vm)


def _transferred(tenant: Tenant, args: Body) -> None:
    if _vm_of(tenant, args) is None:
        _conclude(tenant, args, ("Completed", "Failed"), "CompletedWithWarnings", refusal("ResourceNotFound"))
    else:
        _conclude(tenant, args, ("Completed", "Completed"), "Completed", None)


def _conclude(tenant: Tenant, args: Body, tasks: tuple[str, str], status: str, error: ArmError | None) -> None:
    """
    End a backup, with its job, and tell the item. A snapshot that was taken is a recovery point.

    Args:
        tasks: how snapshot and transfer ended.
    """
    set_tasks(tenant, args["vault"], args["job"], *tasks)
    end_job(tenant, args["vault"], args["job"], status, error)
    item = tenant.state.get(args["item"])
    if item is None:
        return
    changed: Body = {"lastBackupStatus": status, "lastBackupTime": args.get("taken") or arm_time(tenant.now)}
    if "taken" in args:
        changed["lastRecoveryPoint"] = args["taken"]
        if member(item, "properties").get("protectionState") == "IRPending":
            changed["protectionState"] = "Protected"
        add_point(tenant, item, _vm_of(tenant, args), args["taken"], vaulted=status == "Completed")
    if status == "Completed":
        changed["healthStatus"] = "Passed"
    tenant.state.put({**item, "properties": member(item, "properties") | changed})


def _vm_of(tenant: Tenant, args: Body) -> Body | None:
    item = tenant.state.get(args["item"])
    return None if item is None else tenant.state.get(member(item, "properties").get("virtualMachineId", ""))


def _install_extension(tenant: Tenant, vm: Body) -> None:
    linux = member(member(vm_properties(vm), "storageProfile"), "osDisk").get("osType") == "Linux"
    kind = "VMSnapshotLinux" if linux else "VMSnapshot"
    add_extension(tenant.state, vm, "Microsoft.Azure.RecoveryServices", kind, "1.0", compute_time(tenant.now))


def _cancel(call: Call) -> Answer:
    vault = find_vault(call)
    job = find_job(call, vault)
    properties = job["properties"]
    if (properties.get("operation"), properties.get("status")) != ("Backup", "InProgress"):
        raise refusal("BMSUserErrorJobNotCancellable", job=job["name"])
    item = _item_of(vault, properties)
    target = item or job["id"]
    args: Body = {"vault": vault["id"], "item": item, "cancelled": job["name"]}
    running = call.state.running(target, _PHASES)
    if running is not None and key_of(running["args"]["job"]) == key_of(job["name"]):
        call.state.end_operation(running["id"], "Canceled", None)
        if "taken" in running["args"]:
            args["taken"] = running["args"]["taken"]
    call.state.put({**job, "properties": properties | {"status": "Cancelling"}})
    operation = call.tenant.begin("job.cancel", target, args)
    place = f"{call.group_scope}/providers/{VAULT}/{call.names['vault']}/backupJobs/{call.names['job']}"
    url = call.url(f"{place}/operationResults/{operation}")
    return Answer(status=202, headers={"Location": url, "Retry-After": "60"})


def _cancelled(tenant: Tenant, args: Body) -> None:
    args = {**args, "job": args["cancelled"]}
    error = refusal("UserErrorJobSuccessfullyCancelled")
    if "taken" in args:
        # A snapshot that was taken stays (recorded).
        _conclude(tenant, args, ("Completed", "Cancelled"), "CompletedWithWarnings", error)
    else:
        _conclude(tenant, args, ("Cancelled", "Skipped"), "Cancelled", error)


def _item_of(vault: Body, job: Body) -> str:
    """
    Return the id of the item that a job backs up, by the name of its container; empty when that is not told.
    """
    parts = str(job.get("containerName", "")).rsplit(";", 2)
    return item_id(vault["id"], *parts[1:]) if len(parts) == 3 else ""


_BACKUP = f"{VAULT_PATH}/backupFabrics/{{fabric}}/protectionContainers/{{container}}/protectedItems/{{item}}/backup"

ROUTES = (
    Route(method="POST", path=_BACKUP, handler=_trigger, writes=True),
    Route(method="POST", path=f"{VAULT_PATH}/backupJobs/{{job}}/cancel", handler=_cancel, writes=True),
)
FAILURES: dict[str, Failure] = {"backup.trigger": _not_started}
EFFECTS: dict[str, Effect] = {
    "backup.snapshot": _snapshot_taken,
    "backup.transfer": _transferred,
    "backup.trigger": _triggered,
    "job.cancel": _cancelled,
}
