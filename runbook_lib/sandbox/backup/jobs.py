"""
The jobs of a vault, and the backups that run as jobs.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.backup.eligibility import check_agent
from runbook_lib.sandbox.backup.items import find_item, is_soft_deleted, item_path
from runbook_lib.sandbox.backup.operations import NEVER, poll_headers
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import arm_time, iso_duration, parse_time
from runbook_lib.sandbox.compute import add_extension, is_running, vm_properties
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of
from runbook_lib.sandbox.vaults import VAULT_PATH, find_vault

__all__ = ["EFFECTS", "ROUTES", "end_job", "start_job"]

_KIND = "Microsoft.RecoveryServices/vaults/backupJobs"
_CLOCK = ("%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %H:%M:%S")
_FILTERS = {
    "backupmanagementtype": "backupManagementType",
    "operation": "operation",
    "status": "status",
}


def start_job(tenant: Tenant, vault: Body, item: Body, operation: str, bag: Body) -> str:
    """
    Add a job that is under way and return its name.

    Args:
        bag: what the job tells about itself beside the name of the VM.
    """
    name = str(uuid.uuid4())
    properties = member(item, "properties")
    tenant.state.put(
        {
            "id": f"{vault['id']}/backupJobs/{name}",
            "name": name,
            "type": _KIND,
            "properties": {
                "jobType": "AzureIaaSVMJob",
                "containerName": properties.get("containerName", ""),
                "virtualMachineVersion": "Compute",
                "extendedInfo": {
                    "tasksList": [],
                    "propertyBag": {"VM Name": properties.get("friendlyName", ""), **bag},
                },
                "entityFriendlyName": properties.get("friendlyName", ""),
                "backupManagementType": "AzureIaasVM",
                "operation": operation,
                "status": "InProgress",
                "startTime": arm_time(tenant.now),
                "activityId": str(uuid.uuid4()),
            },
        }
    )
    return name


def end_job(tenant: Tenant, vault_id: str, name: str, status: str, error: ArmError | None) -> None:
    """
    End a job with its final status, and the error that it met.
    """
    job = tenant.state.get(f"{vault_id}/backupJobs/{name}")
    if job is None:
        return
    properties = job["properties"]
    properties["status"] = status
    properties["endTime"] = arm_time(tenant.now)
    properties["duration"] = _elapsed(properties, tenant.now)
    if error is not None:
        detail = {"errorTitle": error.code, "errorString": error.error["message"], "recommendations": []}
        properties["errorDetails"] = [detail]
    tenant.state.put(job)


def _ended(tenant: Tenant, args: Body) -> None:
    end_job(tenant, args["vault"], args["job"], "Completed", None)


def _trigger(call: Call) -> Answer:
    vault, item = find_item(call)
    properties = member(item, "properties")
    if properties.get("protectionState") not in ("Protected", "IRPending", "ProtectionError") or is_soft_deleted(item):
        raise refusal("BMSUserErrorProtectionStopped")
    if call.state.running(item["id"], ("backup.snapshot", "backup.transfer")) is not None:
        raise refusal("UserErrorBackupOperationInProgress")
    expiry = member(call.body, "properties").get("recoveryPointExpiryTimeInUTC")
    bag = {"Recovery Point Expiry Time in UTC": expiry} if isinstance(expiry, str) else {}
    job = start_job(call.tenant, vault, item, "Backup", bag)
    _set_tasks(call.tenant, vault["id"], job, "InProgress", "NotStarted")
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


def _snapshot_taken(tenant: Tenant, args: Body) -> None:
    item = tenant.state.get(args["item"])
    vm = None if item is None else tenant.state.get(member(item, "properties").get("virtualMachineId", ""))
    try:
        if vm is None:
            raise refusal("ResourceNotFound")
        # A VM that does not run gets a crash-consistent recovery point without its agent.
        if is_running(tenant.state, vm["id"]):
            check_agent(tenant, vm)
    except ArmError as error:
        _set_tasks(tenant, args["vault"], args["job"], "Failed", "Skipped")
        end_job(tenant, args["vault"], args["job"], "Failed", error)
        if item is not None:
            failed = {"lastBackupStatus": "Failed", "lastBackupTime": arm_time(tenant.now)}
            tenant.state.put({**item, "properties": member(item, "properties") | failed})
        return
    _set_tasks(tenant, args["vault"], args["job"], "Completed", "InProgress")
    tenant.begin("backup.transfer", args["item"], {**args, "taken": arm_time(tenant.now)})
    if is_running(tenant.state, vm["id"]):
        _install_extension(tenant, vm)


def _transferred(tenant: Tenant, args: Body) -> None:
    _set_tasks(tenant, args["vault"], args["job"], "Completed", "Completed")
    end_job(tenant, args["vault"], args["job"], "Completed", None)
    item = tenant.state.get(args["item"])
    if item is None:
        return
    done: Body = {
        "lastBackupStatus": "Completed",
        "lastBackupTime": args["taken"],
        "lastRecoveryPoint": args["taken"],
        "healthStatus": "Passed",
    }
    if member(item, "properties").get("protectionState") == "IRPending":
        done["protectionState"] = "Protected"
    tenant.state.put({**item, "properties": member(item, "properties") | done})


def _install_extension(tenant: Tenant, vm: Body) -> None:
    linux = member(member(vm_properties(vm), "storageProfile"), "osDisk").get("osType") == "Linux"
    kind = "VMSnapshotLinux" if linux else "VMSnapshot"
    add_extension(tenant.state, vm, "Microsoft.Azure.RecoveryServices", kind, "1.0", arm_time(tenant.now))


def _set_tasks(tenant: Tenant, vault_id: str, name: str, snapshot: str, transfer: str) -> None:
    job = tenant.state.get(f"{vault_id}/backupJobs/{name}")
    if job is None:
        return
    info = job["properties"]["extendedInfo"]
    before = {task["taskId"]: task for task in info["tasksList"]}
    info["tasksList"] = [
        _task(before.get(title, {"taskId": title, "taskType": "Normal"}), status, tenant.now)
        for title, status in (("Take Snapshot", snapshot), ("Transfer data to vault", transfer))
    ]
    info["internalPropertyBag"] = {"IsInstantRpJob": "True"}
    job["properties"]["actionsInfo"] = ["Cancellable"]
    tenant.state.put(job)


def _task(task: Body, status: str, now: datetime) -> Body:
    if task.get("status") == status:
        return task
    task = {**task, "status": status}
    if status == "InProgress":
        task |= {"startTime": arm_time(now), "endTime": NEVER}
    elif "startTime" in task:
        task |= {"endTime": arm_time(now), "duration": _elapsed(task, now)}
    return task


def _list(call: Call) -> Answer:
    vault = find_vault(call)
    wanted = call.filter()
    since, until = _bound(wanted.get("starttime")), _bound(wanted.get("endtime"))

    def keep(job: Body) -> bool:
        properties = member(job, "properties")
        if any(
            key_of(wanted[name]) != key_of(str(properties.get(field, "")))
            for name, field in _FILTERS.items()
            if name in wanted
        ):
            return False
        if key_of(wanted.get("jobid") or job["name"]) != key_of(job["name"]):
            return False
        start = parse_time(properties.get("startTime", NEVER))
        return (since is None or start >= since) and (until is None or start <= until)

    def shape(job: Body) -> Body:
        job = _shown(call, job)
        job["properties"] = {name: value for name, value in job["properties"].items() if name != "extendedInfo"}
        return job

    return paged(
        call,
        "backupJobs",
        lambda after: call.state.scan(_KIND.lower(), vault["id"], after),
        keep=keep,
        shape=shape,
    )


def _get(call: Call) -> Answer:
    vault = find_vault(call)
    job = call.state.get(f"{vault['id']}/backupJobs/{call.names['job']}")
    if job is None:
        raise refusal("BMSUserErrorJobNotFound", job=call.names["job"])
    return Answer(status=200, body=_shown(call, job))


def _shown(call: Call, job: Body) -> Body:
    properties = member(job, "properties")
    if properties.get("status") == "InProgress":
        properties = properties | {"duration": _elapsed(properties, call.now)}
    return call.echo({**job, "properties": properties}, 8)


def _elapsed(timed: Body, now: datetime) -> str:
    return iso_duration((now - parse_time(timed.get("startTime", arm_time(now)))).total_seconds())


def _bound(text: str | None) -> datetime | None:
    if text is None:
        return None
    for form in _CLOCK:
        try:
            return parse_time(datetime.strptime(text, form).isoformat())
        except ValueError:
            continue
    raise refusal("BMSUserErrorInvalidInput")


_BACKUP = f"{VAULT_PATH}/backupFabrics/{{fabric}}/protectionContainers/{{container}}/protectedItems/{{item}}/backup"

ROUTES = (
    Route(method="GET", path=f"{VAULT_PATH}/backupJobs", handler=_list),
    Route(method="GET", path=f"{VAULT_PATH}/backupJobs/{{job}}", handler=_get),
    Route(method="POST", path=_BACKUP, handler=_trigger, writes=True),
)
EFFECTS: dict[str, Effect] = {
    "backup.snapshot": _snapshot_taken,
    "backup.transfer": _transferred,
    "backup.trigger": _triggered,
    "item.job": _ended,
}
