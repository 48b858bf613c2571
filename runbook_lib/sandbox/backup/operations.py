"""
The roads on which the progress of a backup operation is told.

Every operation of a vault can be asked for under the resource that it changes and under the vault itself.
Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import Answer, backup_error
from runbook_lib.sandbox.backup.items import is_vm_item, moment_of, shown_item
from runbook_lib.sandbox.backup.recoverypoints import extended
from runbook_lib.sandbox.call import Call, Route
from runbook_lib.sandbox.clock import arm_time
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body
from runbook_lib.sandbox.vaults import VAULT_PATH, find_vault

__all__ = ["NEVER", "ROUTES", "poll_headers"]

# What the service writes where there is no moment; it has no zone.
NEVER = "0001-01-01T00:00:00"


def poll_headers(call: Call, status_road: str, result_road: str, operation: str) -> dict[str, str]:
    """
    Return the headers of an accepted request: where its status and its result are told, and how often to ask.
    """
    return {
        "Azure-AsyncOperation": call.url(f"{status_road}/{operation}"),
        "Location": call.url(f"{result_road}/{operation}"),
        "Retry-After": "60",
    }


def _status(call: Call) -> Answer:
    operation = _find(call)
    started = arm_time(moment_of(operation["started"]))
    running = operation["status"] == "InProgress"
    body: Body = {
        "id": operation["id"],
        "name": operation["id"],
        "status": operation["status"],
        "startTime": started,
        "endTime": NEVER if running else arm_time(moment_of(operation["ready_at"])),
    }
    job = operation["args"].get("job")
    if job and not running:
        body["properties"] = {"objectType": "OperationStatusJobExtendedInfo", "jobId": job}
    if operation["error"] is not None:
        body["error"] = operation["error"]
    return Answer(status=200, body=body, headers={"Retry-After": "60"} if running else {})


def _result(call: Call) -> Answer:
    operation = _find(call)
    # The result of a policy is the policy at any time; the specs have no other answer for it.
    if operation["status"] == "InProgress" and operation["kind"] != "policy.update":
        headers = {"Location": call.url(call.path), "Retry-After": "60"}
        if "item" in call.names:
            item = call.path.rsplit("/", 2)[0]
            headers["Azure-AsyncOperation"] = call.url(f"{item}/operationsStatus/{operation['id']}")
        return Answer(status=202, headers=headers)
    if operation["error"] is not None:
        raise backup_error(400, operation["error"]["code"], operation["error"]["message"])
    resource = operation["args"].get("result")
    body = call.state.get(resource) if resource else None
    if body is None:
        return Answer(status=204)
    if is_vm_item(body):
        body = extended(call.state, shown_item(body, call.now))
    return Answer(status=200, body=call.echo(body, 8))


def _find(call: Call) -> Body:
    vault = find_vault(call)
    operation = call.state.operation(call.names["operation"])
    if operation is None or not (operation["target"] + "/").startswith(vault["id"].lower() + "/"):
        raise refusal("BMSUserErrorOperationNotFound", operation=call.names["operation"])
    return operation


_FABRIC = f"{VAULT_PATH}/backupFabrics/{{fabric}}"
_ITEM = f"{_FABRIC}/protectionContainers/{{container}}/protectedItems/{{item}}"
_POLICY = f"{VAULT_PATH}/backupPolicies/{{policy}}"

ROUTES = (
    *(
        Route(method="GET", path=f"{road}/{{operation}}", handler=_status)
        for road in (
            f"{_ITEM}/operationsStatus",
            f"{_FABRIC}/operationsStatus",
            f"{_POLICY}/operations",
            f"{VAULT_PATH}/backupOperations",
        )
    ),
    *(
        Route(method="GET", path=f"{road}/{{operation}}", handler=_result)
        for road in (
            f"{_ITEM}/operationResults",
            f"{_FABRIC}/operationResults",
            f"{_POLICY}/operationResults",
            f"{VAULT_PATH}/backupOperationResults",
            f"{VAULT_PATH}/backupJobs/{{job}}/operationResults",
        )
    ),
)
