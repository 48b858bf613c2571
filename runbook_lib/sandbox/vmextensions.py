"""
Extensions of virtual machines, as they are written; `compute` reads them.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from typing import Any

from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error
from runbook_lib.sandbox.call import Call, Effect, Failure, Route, Tenant, member
from runbook_lib.sandbox.clock import compute_time
from runbook_lib.sandbox.compute import agent_ready, is_running, view_extension
from runbook_lib.sandbox.computeoperations import start
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["EFFECTS", "FAILURES", "ROUTES"]

_VM = "Microsoft.Compute/virtualMachines"
_REQUIRED = ("publisher", "type", "typeHandlerVersion")
# What a client may set, with the types that it may have; `protectedSettings` are for the VM only and never told.
_SETTABLE: dict[str, type | tuple[type, ...]] = {
    "autoUpgradeMinorVersion": bool,
    "enableAutomaticUpgrade": bool,
    "forceUpdateTag": str,
    "protectedSettingsFromKeyVault": dict,
    "provisionAfterExtensions": list,
    "publisher": str,
    "settings": (dict, str),
    "suppressFailures": bool,
    "type": str,
    "typeHandlerVersion": str,
}


def _put(call: Call) -> Answer:
    vm = _running_vm(call)
    old = call.state.get(_extension_id(call, vm))
    location = call.body.get("location")
    if not isinstance(location, str) or not location:
        raise gateway_error(400, "LocationRequired", "The location property is required for this definition.")
    body: Body = {
        "name": call.names["extension"] if old is None else old["name"],
        "id": _extension_id(call, vm) if old is None else old["id"],
        "type": f"{_VM}/extensions",
        "location": normal_location(location),
    }
    if isinstance(call.body.get("tags"), dict):
        body["tags"] = call.body["tags"]
    state = "Creating" if old is None else "Updating"
    body["properties"] = {
        "provisioningState": state,
        **_checked(member(call.body, "properties"), member(old or {}, "properties")),
    }
    call.state.put(body)
    # A VM without a working agent is waited for in vain.
    seconds = None if agent_ready(call.state, vm["id"]) else call.tenant.profile.durations["extension.unanswered"]
    headers = start(call, vm, "extension.put", {"vm": vm["id"], "extension": body["id"]}, seconds=seconds)
    del headers["Location"]
    return Answer(status=201 if old is None else 200, body=call.echo(body), headers=headers)


def _stored(tenant: Tenant, args: Body) -> None:
    body = tenant.state.get(args["extension"])
    if body is None:
        return
    ready = agent_ready(tenant.state, args["vm"])
    properties = body["properties"] | {"provisioningState": "Succeeded" if ready else "Failed"}
    tenant.state.put(body | {"properties": properties})
    if not ready:
        name = args["vm"].rpartition("/")[2]
        raise ArmError(
            409,
            "VMAgentStatusCommunicationError",
            f"VM '{name}' has not reported status for VM agent or extensions. Verify that the OS is up and healthy, the"
            " VM has a running VM agent, and that it can establish outbound connections to Azure storage.",
        )
    handler = f"{properties['publisher']}.{properties['type']}"
    version = properties["typeHandlerVersion"]
    view_extension(tenant.state, args["vm"], body["name"], handler, version, compute_time(tenant.now))


def _delete(call: Call) -> Answer:
    vm = call.resource(_VM, call.names["vm"])
    body = call.state.get(_extension_id(call, vm))
    if body is None:
        return Answer(status=204)
    _running_vm(call)
    call.state.put(body | {"properties": member(body, "properties") | {"provisioningState": "Deleting"}})
    headers = start(call, vm, "extension.delete", {"vm": vm["id"], "extension": body["id"], "name": body["name"]})
    return Answer(status=202, headers=headers)


def _deleted(tenant: Tenant, args: Body) -> None:
    tenant.state.delete(args["extension"])
    view = tenant.state.runtime(args["vm"])
    left = [one for one in view.get("extensions") or [] if key_of(one.get("name", "")) != key_of(args["name"])]
    if "extensions" in view:
        tenant.state.set_runtime(args["vm"], view | {"extensions": left})


def _unchanged(tenant: Tenant, args: Body, error: ArmError) -> None:
    body = tenant.state.get(args["extension"])
    if body is not None:
        tenant.state.put(body | {"properties": member(body, "properties") | {"provisioningState": "Failed"}})


def _running_vm(call: Call) -> Body:
    vm = call.resource(_VM, call.names["vm"])
    if not is_running(call.state, vm["id"]):
        # Told in public reports.
        raise ArmError(409, "OperationNotAllowed", "Cannot modify extensions in the VM when the VM is not running.")
    return vm


def _extension_id(call: Call, vm: Body) -> str:
    return f"{vm['id']}/extensions/{call.names['extension']}"


def _checked(asked: Body, old: Body) -> Body:
    for name in _REQUIRED:
        # What is there already need not be said again.
        if not (asked.get(name) or old.get(name)):
            raise _bad_parameter(name, f"Required parameter '{name}' is missing (null).")
    given = {name: asked[name] for name in _SETTABLE if asked.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, _SETTABLE[name]):
            raise _bad_parameter(name, f"The value of parameter {name} is invalid.")
    kept = {name: value for name, value in old.items() if name in _SETTABLE}
    defaults: dict[str, Any] = {"autoUpgradeMinorVersion": False}
    return defaults | kept | given


def _bad_parameter(name: str, message: str) -> ArmError:
    return ArmError(400, "InvalidParameter", message, extra={"target": name})


_PATH = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{_VM}/{{vm}}/extensions/{{extension}}"

ROUTES = (
    Route(method="PUT", path=_PATH, handler=_put, writes=True),
    Route(method="DELETE", path=_PATH, handler=_delete, writes=True),
)
FAILURES: dict[str, Failure] = {"extension.put": _unchanged, "extension.delete": _unchanged}
EFFECTS: dict[str, Effect] = {"extension.put": _stored, "extension.delete": _deleted}
