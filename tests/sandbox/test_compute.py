"""
Virtual machines, their instance views and their extensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_NAMES = ["db", "deaf", "fast", "fat", "kept", "north", "trusted", "web"]


@pytest.mark.parametrize("size", [1, 3, 8, 200])
def test_pages_hold_every_vm_once(sandbox: Any, azure: Any, size: int) -> None:
    """
    Whatever the page size, following nextLink gives each VM exactly once.
    """
    sandbox.configure(page_sizes={"virtualMachines": size})
    pages = [list(page) for page in azure.compute.virtual_machines.list_all().by_page()]

    assert _NAMES == [vm.name for page in pages for vm in page]
    assert -(-len(_NAMES) // size) == len(pages)


def test_a_next_link_keeps_what_the_caller_asked_for(sandbox: Any, send: Any, ids: Any, base: str) -> None:
    """
    The link is a full URL with the query of the first page and a skip token.
    """
    sandbox.configure(page_sizes={"virtualMachines": 5})
    first = send("GET", f"/subscriptions/{ids.one}/providers/Microsoft.Compute/virtualMachines?statusOnly=true").json()
    second = send("GET", first["nextLink"]).json()

    assert first["nextLink"].startswith(f"{base}/subscriptions/")
    assert "instanceView" in second["value"][0]["properties"]
    assert (5, 3, False) == (len(first["value"]), len(second["value"]), "nextLink" in second)


def test_a_broken_skip_token_is_refused(send: Any, ids: Any) -> None:
    """
    A token that the service did not give is told, not ignored.
    """
    path = f"/subscriptions/{ids.one}/providers/Microsoft.Compute/virtualMachines?$skiptoken=%FF%FE!"

    assert 400 == send("GET", path).status_code


def test_the_list_of_a_subscription_writes_groups_in_capitals(azure: Any, ids: Any) -> None:
    """
    The real list does, while the list of a group and a GET echo the caller.
    """
    machines = azure.compute.virtual_machines

    assert {"RG-APP"} == {vm.id.split("/")[4] for vm in machines.list_all()}
    assert {"rg-App"} == {vm.id.split("/")[4] for vm in machines.list("rg-App")}
    assert ids.vm("web", "rg-App") == machines.get("rg-App", "web").id


def test_a_subscription_lists_its_own_vms_only(clients_of: Any, sandbox: Any, ids: Any) -> None:
    """
    Groups of one name in two subscriptions do not mix.
    """
    machines = clients_of(sandbox, ids.two).compute.virtual_machines

    assert ["other"] == [vm.name for vm in machines.list_all()]
    assert ["other"] == [vm.name for vm in machines.list("rg-app")]


def test_a_location_lists_its_vms(azure: Any) -> None:
    """
    The list of a region holds the VMs of that region.
    """
    assert ["north"] == [vm.name for vm in azure.compute.virtual_machines.list_by_location("northeurope")]


def test_status_only_tells_the_whole_instance_view(azure: Any) -> None:
    """
    With the profile `full`, one list tells power state, agent and extensions of all VMs, and no more of their model.
    """
    status = {vm.name: vm for vm in azure.compute.virtual_machines.list_all(status_only="true")}

    assert _NAMES == sorted(status)
    assert "2.7.41491.1095" == status["web"].instance_view.vm_agent.vm_agent_version
    assert status["db"].instance_view.vm_agent is None
    assert "PowerState/deallocated" == status["db"].instance_view.statuses[0].code
    assert ("vmid-of-web", None) == (status["web"].vm_id, status["web"].storage_profile)


def test_status_only_may_tell_the_power_state_alone(sandbox: Any, azure: Any) -> None:
    """
    What the service tells is not known, so the profile `power` leaves out the agent.
    """
    sandbox.configure(status_only="power")
    status = {vm.name: vm for vm in azure.compute.virtual_machines.list_all(status_only="true")}

    assert "PowerState/running" == status["web"].instance_view.statuses[0].code
    assert status["web"].instance_view.vm_agent is None


def test_a_plain_list_has_no_instance_view(azure: Any) -> None:
    """
    Run-time status comes only when asked for.
    """
    assert {None} == {vm.instance_view for vm in azure.compute.virtual_machines.list_all()}


def test_expanding_a_list_needs_the_scale_set_filter(azure: Any, refused: Refused) -> None:
    """
    `$expand=instanceView` on a list is refused without a filter, and finds no single VM with one.
    """
    machines = azure.compute.virtual_machines

    assert (400, "InvalidParameter") == refused(lambda: list(machines.list_all(expand="instanceView")))
    assert (400, "InvalidParameter") == refused(lambda: list(machines.list_all(filter="name eq 'web'")))
    assert (400, "BadRequest") == refused(lambda: list(machines.list_all(filter="what is this")))
    wanted = "'virtualMachineScaleSet/id' eq '/subscriptions/x'"
    assert [] == list(machines.list_all(filter=wanted, expand="instanceView"))


def test_one_vm_tells_its_instance_view_when_asked(azure: Any, refused: Refused) -> None:
    """
    Both roads lead to the same view.
    """
    machines = azure.compute.virtual_machines
    expanded = machines.get("rg-app", "web", expand="instanceView").instance_view

    assert expanded.as_dict() == machines.instance_view("rg-app", "web").as_dict()
    assert machines.get("rg-app", "web").instance_view is None
    assert (400, "InvalidParameter") == refused(lambda: machines.get("rg-app", "web", expand="everything"))


def test_a_view_that_an_estate_left_inside_a_body_is_taken_out(sandbox: Any, azure: Any, estate: Any, ids: Any) -> None:
    """
    Recorded bodies may hold an instance view; it becomes the VM's status.
    """
    (fat,) = [body for body in estate.resources if body["id"] == ids.vm("fat")]
    fat["properties"]["instanceView"] = {"osName": "inside", "statuses": []}
    del estate.status[ids.vm("fat").lower()]
    sandbox.load(estate)

    assert azure.compute.virtual_machines.get("rg-app", "fat").instance_view is None
    assert "inside" == azure.compute.virtual_machines.instance_view("rg-app", "fat").os_name


def test_a_vm_without_status_has_an_empty_view(clients_of: Any, sandbox: Any, ids: Any) -> None:
    """
    What an estate does not tell is not invented.
    """
    view = clients_of(sandbox, ids.two).compute.virtual_machines.instance_view("rg-app", "other")

    assert {"statuses": []} == view.as_dict()


@pytest.mark.parametrize("kind", ["availabilitySets", "disks"])
def test_what_stands_beside_a_vm_is_listed_and_read(sandbox: Any, estate: Any, send: Any, ids: Any, kind: str) -> None:
    """
    The list of a subscription writes groups in capitals and comes in pages; that of a group and a GET echo the caller.
    """
    group = f"/subscriptions/{ids.one}/resourceGroups/rg-app"
    root = f"{group}/providers/Microsoft.Compute/{kind}"
    bodies: list[dict[str, Any]] = [
        {
            "id": f"{root}/{name}",
            "name": name,
            "type": f"Microsoft.Compute/{kind}",
            "location": "westeurope",
            "properties": {},
        }
        for name in ("a1", "a2")
    ]
    sandbox.load(replace(estate, resources=(*estate.resources, *bodies)))
    sandbox.configure(page_sizes={kind: 1})
    page = send("GET", f"/subscriptions/{ids.one}/providers/Microsoft.Compute/{kind}").json()
    of_group = send("GET", root.replace("rg-app", "Rg-App")).json()["value"]

    assert [f"{root}/a1".replace("rg-app", "RG-APP")] == [one["id"] for one in page["value"]]
    assert ["a2"] == [one["name"] for one in send("GET", page["nextLink"]).json()["value"]]
    assert [f"{root}/a1".replace("rg-app", "Rg-App")] == [one["id"] for one in of_group]
    assert bodies[1] == send("GET", f"{root}/a2").json()
    assert [] == send("GET", root.replace("rg-app", "rg-empty")).json()["value"]
    assert "ResourceNotFound" == send("GET", f"{root}/missing").json()["error"]["code"]


def test_extensions_are_listed_and_stand_in_their_vm(azure: Any, ids: Any, refused: Refused) -> None:
    """
    The list, the single one and the VM's `resources` tell the same.
    """
    extensions = azure.compute.virtual_machine_extensions

    assert ["Monitor"] == [one.name for one in extensions.list("rg-app", "web").value]
    assert f"{ids.vm('web')}/extensions/Monitor" == extensions.get("rg-app", "web", "Monitor").id
    assert ["Monitor"] == [one.name for one in azure.compute.virtual_machines.get("rg-app", "web").resources]
    assert [] == extensions.list("rg-app", "db").value
    assert (404, "ResourceNotFound") == refused(lambda: extensions.get("rg-app", "web", "Missing"))
    assert (404, "ResourceNotFound") == refused(lambda: extensions.list("rg-app", "missing"))
