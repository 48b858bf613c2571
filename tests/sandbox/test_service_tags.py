"""
The list of service tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from runbook_lib.sandbox.locations import REGIONS

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_SIMULATED = ("198.18.0.0/15", "2001:db8::/32")
_PHYSICAL = [one for one in REGIONS.values() if one.physical]


def _within(prefix: str, wholes: Iterable[str]) -> bool:
    own = ip_network(prefix)
    return any(own[0] in ip_network(one) and own[-1] in ip_network(one) for one in wholes)


def _tags(azure: Any) -> dict[str, Any]:
    return {one.name: one for one in azure.network.service_tags.list("westeurope").values_property}


def test_the_list_is_the_same_wherever_it_is_asked_for(send: Any, ids: Any) -> None:
    """
    It is one list for all regions, told whole, with its number as a text.
    """
    place = f"/subscriptions/{ids.one}/providers/Microsoft.Network/locations"
    one, two = (send("GET", f"{place}/{name}/serviceTags").json() for name in ("westeurope", "EastUS"))
    head = {name: value for name, value in one.items() if name != "values"}

    assert one == two
    assert {
        "name": "Public",
        "id": f"/subscriptions/{ids.one}/providers/Microsoft.Network/serviceTags/Public",
        "type": "Microsoft.Network/serviceTags",
        "changeNumber": "1",
        "cloud": "Public",
        "nextLink": "",
    } == head


def test_the_tags_that_backup_needs_are_there(azure: Any) -> None:
    """
    Each stands for all regions; those that Azure publishes for each region too have every physical one.
    """
    tags = _tags(azure)
    regional = {name: sum(one.startswith(f"{name}.") for one in tags) for name in tags if "." not in name}

    assert {
        "AzureActiveDirectory": 0,
        "AzureBackup": len(_PHYSICAL),
        "AzureCloud": len(_PHYSICAL),
        "AzureMonitor": len(_PHYSICAL),
        "GuestAndHybridManagement": 0,
        "Storage": len(_PHYSICAL),
    } == regional


def test_a_regional_tag_is_spelled_as_azure_spells_it(azure: Any) -> None:
    """
    With the display name of the region, but for AzureCloud.
    """
    tags = _tags(azure)

    assert ("westeurope", "AzureStorage") == (
        tags["Storage.WestEurope"].properties.region,
        tags["Storage.WestEurope"].properties.system_service,
    )
    assert "westeurope" == tags["AzureCloud.westeurope"].properties.region
    assert "" == tags["Storage"].properties.region


def test_no_simulated_prefix_is_a_real_address(azure: Any) -> None:
    """
    All lie in the ranges for benchmarks and documentation, of both versions.
    """
    prefixes = [one for tag in _tags(azure).values() for one in tag.properties.address_prefixes]

    assert {4, 6} == {ip_network(one).version for one in prefixes}
    assert [] == [one for one in prefixes if not _within(one, _SIMULATED)]


def test_regions_and_services_do_not_share_addresses(azure: Any) -> None:
    """
    Each has its own, the tag for all regions has those of each, and AzureCloud those of all services.
    """
    tags = {name: tag.properties.address_prefixes for name, tag in _tags(azure).items()}
    parts = [one for name in ("AzureBackup", "Storage", "AzureMonitor") for one in tags[name]]
    here = [one for name in ("AzureBackup", "Storage") for one in tags[f"{name}.WestEurope"]]

    assert len(parts) == len(set(parts))
    assert set(tags["Storage.WestEurope"]) <= set(tags["Storage"])
    assert [] == [one for one in here if not _within(one, tags["AzureCloud.westeurope"])]


def test_a_list_that_the_estate_holds_is_told_instead(sandbox: Any, estate: Any, clients_of: Any, ids: Any) -> None:
    """
    So one rehearses with the prefixes of the day that a snapshot was taken.
    """
    body = {
        "id": f"/subscriptions/{ids.one}/providers/Microsoft.Network/serviceTags/public",
        "name": "Public",
        "type": "Microsoft.Network/serviceTags",
        "changeNumber": "76",
        "cloud": "Public",
        "values": [{"name": "AzureBackup", "id": "AzureBackup", "properties": {"addressPrefixes": ["192.0.2.0/24"]}}],
    }
    sandbox.load(replace(estate, resources=(*estate.resources, body)))
    own, other = (clients_of(sandbox, one).network.service_tags.list("westeurope") for one in (ids.one, ids.two))

    assert ("76", ["AzureBackup"]) == (own.change_number, [one.name for one in own.values_property])
    assert "1" == other.change_number


def test_an_unknown_location_is_refused(azure: Any, refused: Refused) -> None:
    """
    A region that Azure does not have has no list.
    """
    assert (400, "NoRegisteredProviderFound") == refused(lambda: azure.network.service_tags.list("atlantis"))
