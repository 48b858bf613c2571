"""
What is done to virtual machines: power, and commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runbook_lib.sandbox import Fault

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_PATHS = {
    "begin_start": "start",
    "begin_deallocate": "deallocate",
    "begin_power_off": "powerOff",
    "begin_restart": "restart",
}


def _power(azure: Any, name: str) -> str:
    view = azure.compute.virtual_machines.instance_view("rg-app", name)
    (power,) = [one.code for one in view.statuses if one.code.startswith("PowerState/")]
    return str(power).removeprefix("PowerState/")


def _agent(azure: Any, name: str) -> Any:
    return azure.compute.virtual_machines.instance_view("rg-app", name).vm_agent


@pytest.mark.parametrize(
    ("action", "name", "expected"),
    [
        ("begin_start", "db", "running"),
        ("begin_start", "web", "running"),
        ("begin_deallocate", "web", "deallocated"),
        ("begin_deallocate", "db", "deallocated"),
        ("begin_power_off", "web", "stopped"),
        ("begin_power_off", "db", "deallocated"),
        ("begin_restart", "web", "running"),
    ],
)
def test_an_action_leads_to_its_power_state(azure: Any, action: str, name: str, expected: str) -> None:
    """
    Each does, also where the VM is there already; switching off does not take back a deallocated VM.
    """
    getattr(azure.compute.virtual_machines, action)("rg-app", name).result()

    assert expected == _power(azure, name)


@pytest.mark.parametrize(
    ("action", "name", "expected"),
    [
        ("begin_start", "db", "starting"),
        ("begin_start", "web", "running"),
        ("begin_deallocate", "web", "deallocating"),
        ("begin_power_off", "web", "stopping"),
        ("begin_power_off", "db", "deallocated"),
        ("begin_restart", "web", "running"),
    ],
)
def test_a_vm_on_its_way_says_so(send: Any, azure: Any, ids: Any, action: str, name: str, expected: str) -> None:
    """
    Between the request and the end there is a state of its own, unless the VM is there already.
    """
    send("POST", f"{ids.vm(name)}/{_PATHS[action]}")

    assert expected == _power(azure, name)


def test_an_action_is_told_by_two_roads(sandbox: Any, send: Any, ids: Any) -> None:
    """
    202 with an empty body and both headers; the status has the times and the name, the Location nothing.
    """
    accepted = send("POST", f"{ids.vm('web')}/deallocate")
    status, result = accepted.headers["Azure-AsyncOperation"], accepted.headers["Location"]
    running, waiting = send("GET", status), send("GET", result)
    sandbox.advance(92)
    done, told = send("GET", status).json(), send("GET", result)
    operation = status.rpartition("/")[2].partition("?")[0]

    assert (202, b"", "10", "Enabled") == (
        accepted.status_code,
        accepted.content,
        accepted.headers["Retry-After"],
        accepted.headers["azure-asyncnotification"],
    )
    assert "/providers/Microsoft.Compute/locations/westeurope/operations/" in status
    assert status.replace("?", "?monitor=true&") == result
    assert {"startTime", "status", "name"} == set(running.json())
    assert ("10", 202, b"", result) == (
        running.headers["Retry-After"],
        waiting.status_code,
        waiting.content,
        waiting.headers["Location"],
    )
    assert ["startTime", "endTime", "status", "name"] == list(done)
    assert ("Succeeded", operation) == (done["status"], done["name"])
    assert done["startTime"].endswith("+00:00")
    assert done["startTime"] < done["endTime"]
    assert (200, b"") == (told.status_code, told.content)


def test_an_action_that_failed_tells_why(sandbox: Any, send: Any, azure: Any, ids: Any) -> None:
    """
    With its error in the status, as an error at the Location, and without its effect.
    """
    sandbox.fault(Fault(does="fail_operation", path="/restart", code="InternalExecutionError", message="No luck."))
    accepted = send("POST", f"{ids.vm('web')}/restart")
    sandbox.advance(21)
    status = send("GET", accepted.headers["Azure-AsyncOperation"]).json()
    result = send("GET", accepted.headers["Location"])

    assert ("Failed", {"code": "InternalExecutionError", "message": "No luck."}) == (status["status"], status["error"])
    assert (409, status["error"]) == (result.status_code, result.json()["error"])


def test_what_is_off_cannot_be_restarted(azure: Any, refused: Refused) -> None:
    """
    Only starting brings it back.
    """
    machines = azure.compute.virtual_machines

    assert (409, "OperationNotAllowed") == refused(lambda: machines.begin_restart("rg-app", "db"))
    assert (404, "ResourceNotFound") == refused(lambda: machines.begin_start("rg-app", "missing"))


def test_the_agent_of_a_started_vm_gets_ready(azure: Any) -> None:
    """
    A VM that had none in its view reports one with the version of its system.
    """
    before = _agent(azure, "db")
    azure.compute.virtual_machines.begin_start("rg-app", "db").result()
    agent = _agent(azure, "db")

    assert (None, "2.12.0.2", "Ready") == (before, agent.vm_agent_version, agent.statuses[0].display_status)


def test_a_started_agent_keeps_the_version_that_it_had(azure: Any) -> None:
    """
    Stopping takes nothing but the power, so the view still says Ready, and starting changes no version.
    """
    machines = azure.compute.virtual_machines
    machines.begin_deallocate("rg-app", "web").result()
    stale = _agent(azure, "web")
    machines.begin_start("rg-app", "web").result()

    assert ["2.7.41491.1095"] * 2 == [one.vm_agent_version for one in (stale, _agent(azure, "web"))]
    assert ["Ready"] * 2 == [one.statuses[0].display_status for one in (stale, _agent(azure, "web"))]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"linuxConfiguration": {"provisionVMAgent": False}}, None),
        ({"linuxConfiguration": {"provisionVMAgent": True}}, "2.12.0.2"),
        ({"linuxConfiguration": {}}, "2.12.0.2"),
    ],
)
def test_a_vm_that_refused_an_agent_gets_none(
    sandbox: Any, estate: Any, azure: Any, ids: Any, profile: Any, expected: str | None
) -> None:
    """
    `provisionVMAgent` false means no agent; absent is not false.
    """
    (db,) = [body for body in estate.resources if body["id"] == ids.vm("db")]
    db["properties"]["osProfile"] = profile
    sandbox.load(estate)
    azure.compute.virtual_machines.begin_start("rg-app", "db").result()
    agent = _agent(azure, "db")

    assert expected == (None if agent is None else agent.vm_agent_version)


def test_an_unknown_agent_version_becomes_one(sandbox: Any, estate: Any, azure: Any, ids: Any) -> None:
    """
    An agent that never reported is there after a start.
    """
    estate.status[ids.vm("db").lower()]["vmAgent"] = {"vmAgentVersion": "Unknown", "statuses": []}
    sandbox.load(estate)
    azure.compute.virtual_machines.begin_start("rg-app", "db").result()

    assert "2.12.0.2" == _agent(azure, "db").vm_agent_version


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("db", "RunShellScript", [("ProvisioningState/succeeded", "Enable succeeded: \n[stdout]\n\n[stderr]\n")]),
        (
            "web",
            "runpowershellscript",
            [("ComponentStatus/StdOut/succeeded", ""), ("ComponentStatus/StdErr/succeeded", "")],
        ),
    ],
)
def test_a_command_answers_as_one_that_prints_nothing(azure: Any, name: str, command: str, expected: Any) -> None:
    """
    In the form of the system that it runs on; nothing is executed.
    """
    machines = azure.compute.virtual_machines
    machines.begin_start("rg-app", name).result()
    asked = {"commandId": command, "script": ["exit 1"], "parameters": [{"name": "a", "value": "b"}]}
    answer = machines.begin_run_command("rg-app", name, asked).result()

    assert expected == [(one.code, one.message) for one in answer.value]
    assert {("Info", "Provisioning succeeded")} == {(one.level, one.display_status) for one in answer.value}


def test_the_output_of_a_command_stands_on_both_roads(sandbox: Any, send: Any, ids: Any) -> None:
    """
    In the status under `properties.output`, and alone at the Location.
    """
    accepted = send("POST", f"{ids.vm('web')}/runCommand", {"commandId": "RunPowerShellScript", "script": None})
    sandbox.advance(45)
    status = send("GET", accepted.headers["Azure-AsyncOperation"]).json()
    result = send("GET", accepted.headers["Location"])

    assert (202, b"") == (accepted.status_code, accepted.content)
    assert ["startTime", "endTime", "status", "properties", "name"] == list(status)
    assert {"output": result.json()} == status["properties"]


def test_an_operation_of_another_subscription_or_kind_is_not_told(send: Any, ids: Any) -> None:
    """
    The status of an operation is found only where it was started.
    """
    accepted = send("POST", f"{ids.vm('web')}/restart")
    status = accepted.headers["Azure-AsyncOperation"]
    foreign = send("GET", status.replace(ids.one, ids.two))
    network = send("GET", status.replace("Microsoft.Compute", "Microsoft.Network"))
    unknown = send("GET", f"{status.partition('/operations/')[0]}/operations/none")

    assert [404, 404, 404] == [one.status_code for one in (foreign, network, unknown)]
    assert {
        "code": "NotFound",
        "message": "The entity was not found in this Azure location.",
    } == foreign.json()["error"]
