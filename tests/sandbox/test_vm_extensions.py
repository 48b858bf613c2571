"""
Extensions of virtual machines, as they are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_PROPERTIES = {
    "publisher": "Microsoft.Azure.NetworkWatcher",
    "type": "NetworkWatcherAgentWindows",
    "typeHandlerVersion": "1.4",
}
_EXTENSION = {"location": "West Europe", "properties": _PROPERTIES}


def test_an_extension_is_put_asynchronously(sandbox: Any, send: Any, ids: Any) -> None:
    """
    201 with Creating and an Azure-AsyncOperation alone; later Succeeded, and 200 with Updating for a change.
    """
    path = f"{ids.vm('web')}/extensions/Watcher"
    created = send("PUT", path, _EXTENSION)
    running = send("GET", created.headers["Azure-AsyncOperation"]).json()
    sandbox.advance(39)
    done = send("GET", created.headers["Azure-AsyncOperation"]).json()
    changed = send("PUT", path.replace("Watcher", "WATCHER"), _EXTENSION)

    assert (201, False) == (created.status_code, "Location" in created.headers)
    assert {
        "name": "Watcher",
        "id": path,
        "type": "Microsoft.Compute/virtualMachines/extensions",
        "location": "westeurope",
        "properties": {"provisioningState": "Creating", "autoUpgradeMinorVersion": False, **_PROPERTIES},
    } == created.json()
    assert ["InProgress", "Succeeded"] == [running["status"], done["status"]]
    assert (200, "Watcher", "Updating") == (
        changed.status_code,
        changed.json()["name"],
        changed.json()["properties"]["provisioningState"],
    )


def test_an_extension_that_works_is_shown_everywhere(azure: Any) -> None:
    """
    By itself, in its VM, and in the instance view of the VM.
    """
    extensions, machines = azure.compute.virtual_machine_extensions, azure.compute.virtual_machines
    put = extensions.begin_create_or_update("rg-app", "web", "Watcher", _EXTENSION).result()
    view = machines.instance_view("rg-app", "web").extensions

    assert "Succeeded" == put.provisioning_state
    assert ["Monitor", "Watcher"] == [one.name for one in machines.get("rg-app", "web").resources]
    assert [("Watcher", "Microsoft.Azure.NetworkWatcher.NetworkWatcherAgentWindows", "1.4")] == [
        (one.name, one.type, one.type_handler_version) for one in view
    ]
    assert "ProvisioningState/succeeded" == view[0].statuses[0].code


def test_an_extension_that_is_put_again_is_shown_once(azure: Any) -> None:
    """
    The view holds the last state of a handler.
    """
    extensions = azure.compute.virtual_machine_extensions
    for version in ("1.3", "1.4"):
        changed = {**_EXTENSION, "properties": {**_PROPERTIES, "typeHandlerVersion": version}}
        extensions.begin_create_or_update("rg-app", "web", "Watcher", changed).result()

    assert ["1.4"] == [
        one.type_handler_version for one in azure.compute.virtual_machines.instance_view("rg-app", "web").extensions
    ]


def test_settings_are_kept_and_protected_ones_are_not(sandbox: Any, send: Any, ids: Any) -> None:
    """
    What is for the eyes of the VM only is neither stored nor told; read-only and null members are passed over.
    """
    path = f"{ids.vm('web')}/extensions/Watcher"
    properties = {
        **_PROPERTIES,
        "settings": {"commandToExecute": "dir"},
        "protectedSettings": {"password": "s3cret"},
        "forceUpdateTag": None,
    }
    read_only = {"name": "Other", "type": "Another"}
    answer = send("PUT", path, {**_EXTENSION, **read_only, "tags": {"Use": "test"}, "properties": properties})
    sandbox.advance(39)
    stored = json.dumps(sandbox.resources())

    assert {"commandToExecute": "dir"} == answer.json()["properties"]["settings"]
    assert {"autoUpgradeMinorVersion", "provisioningState", "settings", *_PROPERTIES} == set(
        send("GET", path).json()["properties"]
    )
    assert ("Watcher", {"Use": "test"}) == tuple(send("GET", path).json()[name] for name in ("name", "tags"))
    assert "Succeeded" == send("GET", path).json()["properties"]["provisioningState"]
    assert "s3cret" not in answer.text() + stored


@pytest.mark.parametrize("name", ["db", "missing"])
def test_only_the_extensions_of_a_running_vm_change(azure: Any, refused: Refused, name: str) -> None:
    """
    What is off takes none, and what is not there has none.
    """
    extensions = azure.compute.virtual_machine_extensions
    expected = {"db": (409, "OperationNotAllowed"), "missing": (404, "ResourceNotFound")}[name]

    assert expected == refused(lambda: extensions.begin_create_or_update("rg-app", name, "Watcher", _EXTENSION))


def test_an_extension_fails_where_no_agent_answers(azure: Any, refused: Refused) -> None:
    """
    The request is accepted, and its operation ends in vain.
    """
    extensions = azure.compute.virtual_machine_extensions
    put = refused(lambda: extensions.begin_create_or_update("rg-app", "deaf", "Watcher", _EXTENSION).result())

    assert (200, "VMAgentStatusCommunicationError") == put
    assert "Failed" == extensions.get("rg-app", "deaf", "Watcher").provisioning_state
    assert not azure.compute.virtual_machines.instance_view("rg-app", "deaf").extensions


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"location": None}, "LocationRequired"),
        ({"properties": None}, "InvalidParameter"),
        ({"properties": {**_PROPERTIES, "publisher": None}}, "InvalidParameter"),
        ({"properties": {**_PROPERTIES, "typeHandlerVersion": ""}}, "InvalidParameter"),
        ({"properties": {**_PROPERTIES, "settings": ["a"]}}, "InvalidParameter"),
        ({"properties": {**_PROPERTIES, "autoUpgradeMinorVersion": "yes"}}, "InvalidParameter"),
    ],
)
def test_an_extension_that_cannot_be_is_refused(send: Any, ids: Any, changes: Any, code: str) -> None:
    """
    It has a place, a handler and a version, and nothing is stored without.
    """
    path = f"{ids.vm('web')}/extensions/Watcher"
    answer = send("PUT", path, {**_EXTENSION, **changes})

    assert (400, code) == (answer.status_code, answer.json()["error"]["code"])
    assert 404 == send("GET", path).status_code


def test_an_extension_is_deleted_asynchronously(sandbox: Any, send: Any, azure: Any, ids: Any) -> None:
    """
    202 with both headers, 204 for one that is not there, and gone from the view too.
    """
    azure.compute.virtual_machine_extensions.begin_create_or_update("rg-app", "web", "Watcher", _EXTENSION).result()
    path = f"{ids.vm('web')}/extensions/watcher"
    accepted = send("DELETE", path)
    passing = send("GET", path).json()["properties"]["provisioningState"]
    sandbox.advance(18)

    assert (202, b"", "Deleting") == (accepted.status_code, accepted.content, passing)
    assert {"azure-asyncoperation", "location"} <= {name.lower() for name in accepted.headers}
    assert "Succeeded" == send("GET", accepted.headers["Azure-AsyncOperation"]).json()["status"]
    assert [404, 204] == [send("GET", path).status_code, send("DELETE", path).status_code]
    assert [] == azure.compute.virtual_machines.instance_view("rg-app", "web").extensions


def test_an_extension_of_a_vm_that_is_off_stays(sandbox: Any, azure: Any, refused: Refused) -> None:
    """
    It can be deleted only while its VM runs.
    """
    azure.compute.virtual_machines.begin_deallocate("rg-app", "web").result()
    extensions = azure.compute.virtual_machine_extensions

    assert (409, "OperationNotAllowed") == refused(lambda: extensions.begin_delete("rg-app", "web", "Monitor"))
    assert "Monitor" == extensions.get("rg-app", "web", "Monitor").name


def test_an_extension_that_is_deleted_meanwhile_stays_away(sandbox: Any, send: Any, azure: Any, ids: Any) -> None:
    """
    When putting it ends, it is brought back neither by itself nor into the view.
    """
    path = f"{ids.vm('web')}/extensions/Watcher"
    put = send("PUT", path, _EXTENSION)
    send("DELETE", path)
    sandbox.advance(39)

    assert "Succeeded" == send("GET", put.headers["Azure-AsyncOperation"]).json()["status"]
    assert 404 == send("GET", path).status_code
    assert [] == azure.compute.virtual_machines.instance_view("rg-app", "web").extensions
