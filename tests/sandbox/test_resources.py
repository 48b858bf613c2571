"""
Tenants, subscriptions, locations, provider registration and resource groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from runbook_lib.sandbox import read_estate

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]


def test_subscriptions_and_their_tenant_are_listed(azure: Any, ids: Any) -> None:
    """
    Every subscription of the estate is there, under the tenant that its body names.
    """
    assert [(ids.one, "One"), (ids.two, "Two")] == [
        (one.subscription_id, one.display_name) for one in azure.subscriptions.subscriptions.list()
    ]
    assert "Two" == azure.subscriptions.subscriptions.get(ids.two).display_name
    assert [ids.tenant] == [one.tenant_id for one in azure.subscriptions.tenants.list()]


def test_locations_tell_regions_from_names_for_several(azure: Any, ids: Any) -> None:
    """
    A physical region has a geography and mostly a pair; a logical one has neither.
    """
    regions = {one.name: one for one in azure.subscriptions.subscriptions.list_locations(ids.one)}
    west, europe = regions["westeurope"], regions["europe"]

    assert ("West Europe", "Physical", "Europe") == (
        west.display_name,
        west.metadata.region_type,
        west.metadata.geography_group,
    )
    assert "northeurope" == west.metadata.paired_region[0].name
    assert "Logical" == europe.metadata.region_type
    assert {"spaincentral", "northeurope", "eastus2"} <= set(regions)


def test_every_paired_region_is_a_region(azure: Any, ids: Any) -> None:
    """
    The table of regions does not point outside itself.
    """
    regions = {one.name: one for one in azure.subscriptions.subscriptions.list_locations(ids.one)}
    pairs = {pair.name for one in regions.values() for pair in one.metadata.paired_region or []}

    assert set() == pairs - set(regions)


def test_a_provider_that_the_estate_does_not_list_is_registered(azure: Any) -> None:
    """
    Only what an estate says is NotRegistered needs registering.
    """
    compute = azure.resources.providers.get("microsoft.compute")

    assert ("Microsoft.Compute", "Registered") == (compute.namespace, compute.registration_state)
    assert "virtualMachines" in [one.resource_type for one in compute.resource_types]


def test_the_vault_provider_names_the_regions_that_hold_vaults(azure: Any) -> None:
    """
    The regions are told by display name, as the portal's list is cut by them.
    """
    provider = azure.resources.providers.get("Microsoft.RecoveryServices")
    (vaults,) = [one for one in provider.resource_types if one.resource_type == "vaults"]

    assert "Spain Central" in vaults.locations


def test_all_providers_are_listed_once(clients_of: Any, sandbox: Any, ids: Any) -> None:
    """
    A stored provider takes the place of the one that the sandbox knows.
    """
    states = {one.namespace: one.registration_state for one in clients_of(sandbox, ids.two).resources.providers.list()}

    assert {
        "Microsoft.Compute": "Registered",
        "Microsoft.Network": "Registered",
        "Microsoft.RecoveryServices": "NotRegistered",
        "Microsoft.Resources": "Registered",
    } == states


def test_registering_a_provider_takes_a_while(clients_of: Any, sandbox: Any, ids: Any) -> None:
    """
    The answer says Registering, and later the provider is Registered.
    """
    providers = clients_of(sandbox, ids.two).resources.providers
    first = providers.register("Microsoft.RecoveryServices").registration_state
    again = providers.register("Microsoft.RecoveryServices").registration_state
    sandbox.advance(11)

    assert ["Registering", "Registering"] == [first, again]
    assert "Registered" == providers.get("Microsoft.RecoveryServices").registration_state
    assert "Registered" == providers.register("Microsoft.RecoveryServices").registration_state


def test_nothing_is_written_before_the_provider_is_registered(
    clients_of: Any, sandbox: Any, ids: Any, send: Any
) -> None:
    """
    A write for an unregistered subscription gets 409 with the namespace in the details; a read does not.
    """
    azure = clients_of(sandbox, ids.two)
    vault = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    path = f"/subscriptions/{ids.two}/resourceGroups/rg-app/providers/microsoft.recoveryservices/vaults/rsv-two"
    answer = send("PUT", path, vault)
    error = answer.json()["error"]

    assert (409, "MissingSubscriptionRegistration", "Microsoft.RecoveryServices") == (
        answer.status_code,
        error["code"],
        error["details"][0]["target"],
    )
    assert [] == list(azure.vaults.vaults.list_by_subscription_id())

    azure.resources.providers.register("Microsoft.RecoveryServices")
    sandbox.advance(11)

    assert "rsv-two" == azure.vaults.vaults.begin_create_or_update("rg-app", "rsv-two", vault).result().name


def test_groups_are_listed_and_filtered_by_tag(azure: Any) -> None:
    """
    The list holds every group, or those with a tag of a name and value.
    """
    groups = azure.resources.resource_groups

    assert ["rg-app", "rg-empty", "rg-net", "rg-vault"] == [one.name for one in groups.list()]
    assert ["rg-net"] == [one.name for one in groups.list(filter="tagName eq 'use' and tagValue eq 'rg-net'")]
    assert [] == list(groups.list(filter="tagName eq 'Missing'"))
    assert ["rg-app", "rg-empty", "rg-net", "rg-vault"] == [one.name for one in groups.list(top=3)]


def test_a_group_that_resources_imply_exists(clients_of: Any, sandbox: Any, ids: Any) -> None:
    """
    Loading an estate makes the groups that its resources stand in.
    """
    group = clients_of(sandbox, ids.two).resources.resource_groups.get("RG-APP")

    assert ("rg-app", "westeurope") == (group.name, group.location)


def test_a_group_is_created_then_updated(azure: Any, send: Any, ids: Any) -> None:
    """
    The first PUT answers 201, a repetition 200, and tags are replaced.
    """
    path = f"/subscriptions/{ids.one}/resourcegroups/rg-new"
    first = send("PUT", path, {"location": "West Europe", "tags": {"a": "1"}})
    second = send("PUT", path, {"location": "westeurope", "tags": {"b": "2"}})

    assert [201, 200] == [first.status_code, second.status_code]
    assert path.replace("resourcegroups", "resourceGroups") == first.json()["id"]
    group = azure.resources.resource_groups.get("rg-new")
    assert ("westeurope", {"b": "2"}, "Succeeded") == (group.location, group.tags, group.properties.provisioning_state)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("rg-app", {"location": "northeurope"}, (409, "InvalidResourceGroupLocation")),
        ("rg-new", {}, (400, "LocationRequired")),
        ("rg-new", {"location": "atlantis"}, (400, "LocationNotAvailableForResourceGroup")),
        ("rg-new", {"location": "europe"}, (400, "LocationNotAvailableForResourceGroup")),
        ("rg-new.", {"location": "westeurope"}, (400, "InvalidResourceGroup")),
        ("rg new", {"location": "westeurope"}, (400, "InvalidResourceGroup")),
        ("x" * 91, {"location": "westeurope"}, (400, "InvalidResourceGroup")),
    ],
)
def test_a_group_that_cannot_be_is_refused(azure: Any, refused: Refused, name: str, body: Any, expected: Any) -> None:
    """
    A group has a name of its form and one location for good.
    """
    assert expected == refused(lambda: azure.resources.resource_groups.create_or_update(name, body))


def test_existence_is_told_without_a_body(azure: Any, send: Any, ids: Any) -> None:
    """
    HEAD answers 204 or 404, and never a body.
    """
    missing = send("HEAD", f"/subscriptions/{ids.one}/resourcegroups/rg-not")

    assert [True, False] == [azure.resources.resource_groups.check_existence(name) for name in ("rg-APP", "rg-not")]
    assert (404, b"") == (missing.status_code, missing.content)


def test_an_empty_group_is_deleted_in_its_time(azure: Any, send: Any, ids: Any) -> None:
    """
    DELETE answers 202 with a Location that says 202 until it says 200.
    """
    path = f"/subscriptions/{ids.one}/resourcegroups/rg-empty"
    accepted = send("DELETE", path)
    waiting = send("GET", accepted.headers["Location"])
    blocked = send("PUT", path, {"location": "westeurope"})

    assert [202, 202, 409] == [accepted.status_code, waiting.status_code, blocked.status_code]
    assert "/operationresults/" in accepted.headers["Location"]

    azure.resources.resource_groups.begin_delete("rg-empty").result()
    with pytest.raises(ResourceNotFoundError):
        azure.resources.resource_groups.get("rg-empty")
    assert 200 == send("GET", accepted.headers["Location"]).status_code


def test_a_group_with_resources_is_not_deleted(azure: Any, refused: Refused) -> None:
    """
    The sandbox deletes empty groups only.
    """
    assert (409, "ResourceGroupDeletionBlocked") == refused(
        lambda: azure.resources.resource_groups.begin_delete("rg-app")
    )


def test_subscriptions_and_providers_have_neither_name_nor_type(sandbox: Any, send: Any) -> None:
    """
    Whatever an estate adds to every body: Azure's have none, in lists and alone.
    """
    sandbox.load(read_estate("contoso"))
    (first, *_) = send("GET", "/subscriptions").json()["value"]
    paths = [first["id"], f"{first['id']}/providers/Microsoft.RecoveryServices"]
    alone = [send("GET", path).json() for path in paths]

    assert set() == {"name", "type"} & {member for body in (first, *alone) for member in body}


def test_a_key_vault_is_told_as_a_resource(sandbox: Any, send: Any) -> None:
    """
    With its access policies, in any case of its id; one that is not there is not found.
    """
    sandbox.load(read_estate("contoso"))
    group = "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24/resourceGroups/rg-platform-prod"
    there = send("GET", f"{group}/providers/Microsoft.KeyVault/VAULTS/KV-records")
    absent = send("GET", f"{group}/providers/Microsoft.KeyVault/vaults/none")

    assert (200, 2) == (there.status_code, len(there.json()["properties"]["accessPolicies"]))
    assert (404, "ResourceNotFound") == (absent.status_code, absent.json()["error"]["code"])
