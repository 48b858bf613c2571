"""
The jobs of a vault.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.backup.items import asked_moment
from runbook_lib.sandbox.backup.operations import NEVER
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import arm_time, iso_duration, parse_time
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of
from runbook_lib.sandbox.vaults import VAULT_PATH, find_vault

__all__ = ["EFFECTS", "ROUTES", "end_job", "find_job", "set_tasks", "start_job"]

_KIND = "Microsoft.RecoveryServices/vaults/backupJobs"
_FILTERS = {
    "backupmanagementtype": "backupManagementType",
    "operation": "operation",
    "status": "status",
}
_RUNNING = ("InProgress", "Cancelling")
# The number, the text and the advice of an error in a job, as recorded; the numbers of other errors are not known.
_RECORDED: dict[str, tuple[int, str, list[str]]] = {
    "ResourceNotFound": (
        320001,
        "Could not perform the operation as VM no longer exists.",
        [
            "Stop protecting virtual machine without deleting backup data. More details at"
            " http://go.microsoft.com/fwlink/?LinkId=808124 "
        ],
    ),
    "UserErrorJobSuccessfullyCancelled": (400158, "Job is cancelled.", []),
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
        properties["errorDetails"] = [_detail(error)]
    tenant.state.put(job)


def _detail(error: ArmError) -> Body:
    if error.code not in _RECORDED:
        return {"errorTitle": error.code, "errorString": error.error["message"], "recommendations": []}
    number, text, advice = _RECORDED[error.code]
    return {"errorCode": number, "errorTitle": error.code, "errorString": text, "recommendations": advice}


def _ended(tenant: Tenant, args: Body) -> None:
    end_job(tenant, args["vault"], args["job"], "Completed", None)


def set_tasks(tenant: Tenant, vault_id: str, name: str, snapshot: str, transfer: str) -> None:
    """
    Tell in a backup's job how far its snapshot and its transfer are.
    """
    job = tenant.state.get(f"{vault_id}/backupJobs/{name}")
    if job is None:
        return
    info = member(job["properties"], "extendedInfo")
    before = {task["taskId"]: task for task in info.get("tasksList") or []}
    info["tasksList"] = [
        _task(before.get(title, {"taskId": title, "taskType": "Normal"}), status, tenant.now)
        for title, status in (("Take Snapshot", snapshot), ("Transfer data to vault", transfer))
    ]
    info["internalPropertyBag"] = {"IsInstantRpJob": "True"}
    job["properties"] |= {"extendedInfo": info, "actionsInfo": ["Cancellable"]}
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
    since, until = asked_moment(wanted.get("starttime")), asked_moment(wanted.get("endtime"))

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


def find_job(call: Call, vault: Body) -> Body:
    """
    Return the job of a vault that the call's path names.

    Raises:
        ArmError: there is none.
    """
    job = call.state.get(f"{vault['id']}/backupJobs/{call.names['job']}")
    if job is None:
        raise refusal("BMSUserErrorJobNotFound", job=call.names["job"])
    return job


def _get(call: Call) -> Answer:
    return Answer(status=200, body=_shown(call, find_job(call, find_vault(call))))


def _shown(call: Call, job: Body) -> Body:
    properties = member(job, "properties")
    if properties.get("status") in _RUNNING:
        properties = properties | {"duration": _elapsed(properties, call.now)}
    return call.echo({**job, "properties": properties}, 8)


def _elapsed(timed: Body, now: datetime) -> str:
    return iso_duration((now - parse_time(timed.get("startTime", arm_time(now)))).total_seconds())


ROUTES = (
    Route(method="GET", path=f"{VAULT_PATH}/backupJobs", handler=_list),
    Route(method="GET", path=f"{VAULT_PATH}/backupJobs/{{job}}", handler=_get),
)
EFFECTS: dict[str, Effect] = {"item.job": _ended}
