"""
The service tags of Microsoft.Network: those that an estate brings, or simulated ones.

The simulated prefixes are taken from the ranges that are set aside for benchmarks and documentation (RFC 2544,
RFC 3849), so that no rule that somebody derives from them opens a road to a real address. Imports the standard library
and other modules of the sandbox only.
"""

from __future__ import annotations

from functools import cache
from ipaddress import ip_network
from itertools import islice

from runbook_lib.sandbox.answers import Answer, gateway_error
from runbook_lib.sandbox.call import Call, Route
from runbook_lib.sandbox.locations import REGIONS, region
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = ["ROUTES", "tag_prefixes"]

_CLOUD = "AzureCloud"
# Name | the service behind it | what takes it | whether the published lists have it for each region too.
_TAGS = (
    ("AzureActiveDirectory", "AzureAD", ("API", "NSG", "UDR", "FW", "VSE"), False),
    ("AzureBackup", "AzureBackup", ("API", "NSG", "UDR", "FW"), True),
    (_CLOUD, "", ("API", "NSG"), True),
    ("AzureMonitor", "AzureMonitor", ("API", "NSG", "UDR", "FW"), True),
    ("GuestAndHybridManagement", "AzureAutomation", ("API", "NSG", "UDR", "FW"), False),
    ("Storage", "AzureStorage", ("API", "NSG", "UDR", "FW"), True),
)
_CHANGE = "1"
# One block of each for a region, of which every tag has a part and AzureCloud the whole.
_BLOCKS = (("198.18.0.0/15", 21, 24), ("2001:db8::/32", 48, 56))


def tag_prefixes(state: State, subscription: str, tag: str) -> list[str]:
    """
    Return the address prefixes behind a service tag; none for a tag that the list does not have.
    """
    wanted = key_of(tag)
    for one in _listed(state, subscription).get("values") or []:
        if key_of(one.get("name", "")) == wanted:
            return list(one["properties"]["addressPrefixes"])
    return []


def _list(call: Call) -> Answer:
    location = call.names["location"]
    if region(location) is None:
        raise gateway_error(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version '{call.api_version}'"
            " for type 'locations/serviceTags'.",
        )
    return Answer(status=200, body=_listed(call.state, call.names["subscription"]))


def _listed(state: State, subscription: str) -> Body:
    list_id = f"/subscriptions/{subscription}/providers/Microsoft.Network/serviceTags/Public"
    return state.get(list_id) or {
        "name": "Public",
        "id": list_id,
        "type": "Microsoft.Network/serviceTags",
        "changeNumber": _CHANGE,
        "cloud": "Public",
        "values": _simulated(),
        "nextLink": "",
    }


@cache
def _simulated() -> list[Body]:
    places = [one for one in REGIONS.values() if one.physical]
    values = []
    for number, (name, service, features, regional) in enumerate(_TAGS):
        parts = [_part(name, number, place) for place in range(len(places))]
        prefixes = [part[version] for version in range(len(_BLOCKS)) for part in parts]
        values.append(_tag(name, "", service, features, prefixes))
        for place, part in zip(places, parts, strict=True):
            if regional:
                spelled = place.name if name == _CLOUD else place.display.replace(" ", "")
                values.append(_tag(f"{name}.{spelled}", place.name, service, features, part))
    return values


def _part(name: str, number: int, place: int) -> list[str]:
    prefixes = []
    for space, block, part in _BLOCKS:
        whole = _nth(space, block, place)
        prefixes.append(whole if name == _CLOUD else _nth(whole, part, number))
    return prefixes


def _nth(space: str, length: int, number: int) -> str:
    return str(next(islice(ip_network(space).subnets(new_prefix=length), number, None)))


def _tag(name: str, place: str, service: str, features: tuple[str, ...], prefixes: list[str]) -> Body:
    return {
        "name": name,
        "id": name,
        "serviceTagChangeNumber": _CHANGE,
        "properties": {
            "changeNumber": _CHANGE,
            "region": place,
            "state": "GA",
            "networkFeatures": list(features),
            "systemService": service,
            "addressPrefixes": prefixes,
        },
    }


ROUTES = (
    Route(
        method="GET",
        path="/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/serviceTags",
        handler=_list,
    ),
)
