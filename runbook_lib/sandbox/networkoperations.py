"""
The long operations of Microsoft.Network: how they are started, and what their two roads tell.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import Answer, network_error, raise_failure
from runbook_lib.sandbox.call import Call, Route
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["RESULT_KINDS", "ROUTES", "RULE_KINDS", "start"]

_NAMESPACE = "Microsoft.Network"
RULE_KINDS = ("rule.put", "rule.delete")
# What they are asked for is kept with the operation, under `result`.
RESULT_KINDS = ("nic.effectiveNetworkSecurityGroups", "nic.effectiveRouteTable")
_ENABLED = {"azure-asyncnotification": "Enabled"}
_WAIT = {"Retry-After": "10"}


def start(call: Call, target: Body, kind: str, args: Body) -> dict[str, str]:
    """
    Start an operation on *target* and return the headers that tell of it.
    """
    operation = call.tenant.begin(kind, target["id"], args)
    place = f"{call.subscription_scope}/providers/{_NAMESPACE}/locations/{normal_location(target.get('location', ''))}"
    location = {"Location": call.url(f"{place}/operationResults/{operation}"), **_ENABLED}
    if kind in RESULT_KINDS:
        return location | _WAIT
    return {"Azure-AsyncOperation": call.url(f"{place}/operations/{operation}"), **location, "Retry-After": "3"}


def _status(call: Call) -> Answer:
    operation = _known(call)
    status: Body = {"status": operation["status"]}
    if operation["error"] is not None:
        status["error"] = operation["error"]
    return Answer(status=200, body=status, headers=_WAIT if operation["status"] == "InProgress" else {})


def _result(call: Call) -> Answer:
    operation = _known(call)
    location = {"Location": call.url(call.path)}
    if operation["kind"] in RULE_KINDS:
        if operation["status"] == "InProgress":
            return Answer(status=202, headers=location | _WAIT)
        raise_failure(operation)
        return Answer(status=204)
    if operation["status"] == "InProgress":
        return Answer(status=202, null=True, headers={**location, **_ENABLED, **_WAIT})
    raise_failure(operation)
    return Answer(status=200, body=operation["args"]["result"], headers={**location, **_ENABLED})


def _known(call: Call) -> Body:
    operation = call.state.operation(call.names["operation"])
    own = key_of(call.subscription_scope)
    known = operation is not None and operation["kind"] in (*RULE_KINDS, *RESULT_KINDS)
    if operation is None or not known or not operation["target"].startswith(f"{own}/"):
        raise network_error(
            404, "OperationNotFound", f"The operation {call.names['operation']} was not found in this location."
        )
    return operation


_PLACE = f"/subscriptions/{{subscription}}/providers/{_NAMESPACE}/locations/{{location}}"

ROUTES = (
    Route(method="GET", path=f"{_PLACE}/operations/{{operation}}", handler=_status),
    Route(method="GET", path=f"{_PLACE}/operationResults/{{operation}}", handler=_result),
)
