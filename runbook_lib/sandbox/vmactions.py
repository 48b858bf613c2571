"""
What can be done to a virtual machine: start it, stop it in its several ways, run a command in it.

Nothing is ever executed; a command answers as one that prints nothing. Imports the standard library and other modules
of the sandbox only.
"""

from __future__ import annotations

from functools import partial

from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.call import Call, Effect, Failure, Handler, Route, Tenant, member
from runbook_lib.sandbox.clock import compute_time
from runbook_lib.sandbox.compute import agent_ready, is_running, os_type, statuses, vm_properties
from runbook_lib.sandbox.computeoperations import RUN_COMMAND, start
from runbook_lib.sandbox.state import Body, State

__all__ = ["EFFECTS", "FAILURES", "ROUTES"]

_VM = "Microsoft.Compute/virtualMachines"
# What a VM is while it is on its way, and when it is there. A restarted one says that it runs all the time.
_POWER = {"start": ("starting", "running"), "deallocate": ("deallocating", "deallocated")}
_POWER |= {"powerOff": ("stopping", "stopped"), "restart": ("running", "running")}
# The operating system that each of the two commands for scripts of one's own is for.
_COMMANDS = {"RunPowerShellScript": "Windows", "RunShellScript": "Linux"}
# What a VM reports that has an agent, of which nothing but that is known; both are recorded ones.
_AGENT_VERSIONS = {"Linux": "2.12.0.2", "Windows": "2.7.41491.1095"}


def _act(action: str) -> Handler:
    def handler(call: Call) -> Answer:
        vm = call.resource(_VM, call.names["vm"])
        if action == "restart" and not is_running(call.state, vm["id"]):
            raise _not_running()
        passing, there = _POWER[action]
        before = _power(call.state, vm["id"])
        if before not in (there, "deallocated" if action == "powerOff" else there):
            _set_power(call.state, vm["id"], passing)
        args = {"vm": vm["id"], "before": before}
        return Answer(status=202, headers=start(call, vm, f"vm.{action}", args))

    return handler


def _acted(action: str, tenant: Tenant, args: Body) -> None:
    # Switching off does not take back what has been given back already.
    if not (action == "powerOff" and _power(tenant.state, args["vm"]) == "deallocated"):
        _set_power(tenant.state, args["vm"], _POWER[action][1])
    if action == "start":
        _wake_agent(tenant, args["vm"])


def _stayed(tenant: Tenant, args: Body, error: ArmError) -> None:
    if args["before"]:
        _set_power(tenant.state, args["vm"], args["before"])


def _wake_agent(tenant: Tenant, vm_id: str) -> None:
    vm, view = tenant.state.get(vm_id) or {}, tenant.state.runtime(vm_id)
    agent = view.get("vmAgent") or {}
    profile = member(vm_properties(vm), "osProfile")
    asked = [member(profile, f"{system}Configuration").get("provisionVMAgent") for system in ("windows", "linux")]
    if not agent and False in asked:
        return
    version = agent.get("vmAgentVersion", "Unknown")
    if version == "Unknown":
        version = _AGENT_VERSIONS.get(os_type(vm), version)
    ready = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Ready",
        "message": "GuestAgent is running and processing the extensions.",
        "time": compute_time(tenant.now),
    }
    tenant.state.set_runtime(vm_id, view | {"vmAgent": agent | {"vmAgentVersion": version, "statuses": [ready]}})


def _power(state: State, vm_id: str) -> str:
    codes = [status.get("code", "") for status in statuses(state.runtime(vm_id))]
    return next((code.removeprefix("PowerState/") for code in codes if code.startswith("PowerState/")), "")


def _set_power(state: State, vm_id: str, power: str) -> None:
    view = state.runtime(vm_id)
    others = [status for status in statuses(view) if not status.get("code", "").startswith("PowerState/")]
    status = {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"}
    state.set_runtime(vm_id, view | {"statuses": [*others, status]})


def _run_command(call: Call) -> Answer:
    vm = call.resource(_VM, call.names["vm"])
    command = _checked_command(call.body, os_type(vm))
    if not is_running(call.state, vm["id"]):
        raise _not_running()
    if not agent_ready(call.state, vm["id"]):
        raise ArmError(409, "OperationNotAllowed", "The operation requires the VM agent to be ready.")
    if call.state.running(vm["id"], (RUN_COMMAND,)):
        raise ArmError(
            409,
            "Conflict",
            "Run command extension execution is in progress. Please wait for completion before invoking a run command.",
        )
    headers = start(call, vm, RUN_COMMAND, {"output": {"value": _output(command)}})
    return Answer(status=202, headers=headers)


def _checked_command(asked: Body, system: str) -> str:
    command = asked.get("commandId")
    if command is None:
        raise _bad_parameter("commandId", "Required parameter 'commandId' is missing (null).")
    spelled = {one.lower(): one for one in _COMMANDS}.get(str(command).lower())
    if spelled is None or system not in ("", _COMMANDS[spelled]):
        raise _bad_parameter("commandId", f"The command '{command}' is not available for this virtual machine.")
    for name in ("script", "parameters"):
        if not isinstance(asked.get(name) or [], list):
            raise _bad_parameter(name, f"The value of parameter {name} is invalid: it must be a list.")
    return spelled


def _output(command: str) -> list[Body]:
    def entry(code: str, message: str) -> Body:
        return {"code": code, "level": "Info", "displayStatus": "Provisioning succeeded", "message": message}

    if command == "RunShellScript":
        return [entry("ProvisioningState/succeeded", "Enable succeeded: \n[stdout]\n\n[stderr]\n")]
    return [entry(f"ComponentStatus/{stream}/succeeded", "") for stream in ("StdOut", "StdErr")]


def _ran(tenant: Tenant, args: Body) -> None:
    """
    Change nothing: the command was not executed.
    """


def _not_running() -> ArmError:
    # Told in public reports.
    return ArmError(409, "OperationNotAllowed", "The operation requires the VM to be running (or set to run).")


def _bad_parameter(name: str, message: str) -> ArmError:
    return ArmError(400, "InvalidParameter", message, extra={"target": name})


_PATH = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{_VM}/{{vm}}"

ROUTES = (
    *(Route(method="POST", path=f"{_PATH}/{action}", handler=_act(action), writes=True) for action in _POWER),
    Route(method="POST", path=f"{_PATH}/runCommand", handler=_run_command, writes=True),
)
FAILURES: dict[str, Failure] = {f"vm.{action}": _stayed for action in _POWER}
EFFECTS: dict[str, Effect] = {
    **{f"vm.{action}": partial(_acted, action) for action in _POWER},
    RUN_COMMAND: _ran,
}
