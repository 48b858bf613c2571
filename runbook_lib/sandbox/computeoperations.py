"""
The long operations of Microsoft.Compute: how they are started, and what their two roads tell.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from datetime import UTC, datetime

from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.call import Call, Route
from runbook_lib.sandbox.clock import compute_time
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["EXTENSION_KINDS", "POWER_KINDS", "ROUTES", "RUN_COMMAND", "start"]

EXTENSION_KINDS = ("extension.put", "extension.delete")
POWER_KINDS = ("vm.start", "vm.deallocate", "vm.powerOff", "vm.restart")
# What it put out is kept with the operation, under `output`.
RUN_COMMAND = "vm.runCommand"
_KINDS = (*EXTENSION_KINDS, *POWER_KINDS, RUN_COMMAND)
_WAIT = {"Retry-After": "10"}


def start(call: Call, vm: Body, kind: str, args: Body, *, seconds: float | None = None) -> dict[str, str]:
    """
    Start an operation on *vm* and return the headers that tell of it.

    Args:
        seconds: how long it runs; None takes the profile's duration for *kind*.
    """
    operation = call.tenant.begin(kind, vm["id"], args, seconds=seconds)
    place = f"{call.subscription_scope}/providers/Microsoft.Compute/locations/{normal_location(vm.get('location', ''))}"
    url = call.url(f"{place}/operations/{operation}")
    return {
        "Azure-AsyncOperation": url,
        "Location": _monitor(url),
        "azure-asyncnotification": "Enabled",
        **_WAIT,
    }


def _tell(call: Call) -> Answer:
    operation = call.state.operation(call.names["operation"])
    known = operation is not None and operation["kind"] in _KINDS
    if operation is None or not known or not operation["target"].startswith(f"{key_of(call.subscription_scope)}/"):
        raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")
    return _result(call, operation) if key_of(call.query.get("monitor", "")) == "true" else _status(operation)


def _status(operation: Body) -> Answer:
    running = operation["status"] == "InProgress"
    body: Body = {"startTime": _moment(operation["started"])}
    if not running:
        body["endTime"] = _moment(operation["ready_at"])
    body["status"] = operation["status"]
    if operation["status"] == "Succeeded" and "output" in operation["args"]:
        body["properties"] = {"output": operation["args"]["output"]}
    if operation["error"] is not None:
        body["error"] = operation["error"]
    body["name"] = operation["id"]
    return Answer(status=200, body=body, headers=_WAIT if running else {})


def _result(call: Call, operation: Body) -> Answer:
    if operation["status"] == "InProgress":
        return Answer(status=202, headers={"Location": _monitor(call.url(call.path)), **_WAIT})
    if operation["error"] is not None:
        # With which status, no source tells.
        raise ArmError(409, operation["error"]["code"], operation["error"]["message"])
    return Answer(status=200, body=operation["args"].get("output"))


def _monitor(url: str) -> str:
    return url.replace("?", "?monitor=true&", 1)


def _moment(timestamp: float) -> str:
    return compute_time(datetime.fromtimestamp(timestamp, UTC))


ROUTES = (
    Route(
        method="GET",
        path="/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/operations/{operation}",
        handler=_tell,
    ),
)
