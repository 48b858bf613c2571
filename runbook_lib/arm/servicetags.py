"""
The service tags list of Microsoft.Network, which the guide had as a download of IP ranges.

It is one list for all regions and subscriptions of a cloud: it is read once, and only the tags that the job needs are
kept of its three megabytes (azure-contract, section 8.5).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from runbook_lib.arm.wire import Json, as_list, as_object, as_text, properties_of
from runbook_lib.records import ServiceTag, ServiceTagsList

__all__ = ["service_tags_list", "service_tags_path"]

# The guide's services; Storage is kept for the regions of the job too.
_KEPT = ("Storage", "AzureBackup", "AzureActiveDirectory")


def service_tags_path(subscription: str, location: str) -> str:
    """
    Return where the list is read; the region decides about its version, not about what is in it.
    """
    return f"/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/serviceTags"


def service_tags_list(body: Json, subscription: str, locations: Iterable[str]) -> ServiceTagsList:
    """
    Read the list, with the tags of the guide's services for all regions and for *locations*.

    Raises:
        ValueError: it lacks one of them, or has a prefix that is no address range: no rule may rest on it.
    """
    wanted = {name.lower() for name in _KEPT} | {f"storage.{place}" for place in locations}
    rows = [as_object(row) for row in as_list(body.get("values"))]
    tags = tuple(_tag(row) for row in rows if as_text(row.get("name")).lower() in wanted)
    if missing := {name.lower() for name in _KEPT} - {each.name.lower() for each in tags if each.prefixes}:
        raise ValueError(f"the list of service tags has no addresses for {', '.join(sorted(missing))}")
    name = as_text(body.get("name")) or "Public"
    return ServiceTagsList(
        id=as_text(body.get("id")) or f"/subscriptions/{subscription}/providers/Microsoft.Network/serviceTags/{name}",
        name=name,
        cloud=as_text(body.get("cloud")),
        change_number=_number(body),
        tags=tags,
    )


def _tag(row: Json) -> ServiceTag:
    properties = properties_of(row)
    prefixes = dict.fromkeys(_ipv4(as_text(each) for each in as_list(properties.get("addressPrefixes"))))
    return ServiceTag(name=as_text(row.get("name")), change_number=_number(properties), prefixes=tuple(prefixes))


def _ipv4(prefixes: Iterable[str]) -> Iterator[str]:
    for prefix in prefixes:
        # A rule takes addresses of one version, and the agent's way to the services is IPv4.
        if ipaddress.ip_network(prefix).version == 4:
            yield prefix


def _number(body: Json) -> str:
    # The API has it as text, the weekly file as a number.
    number = body.get("changeNumber")
    return str(number) if isinstance(number, int | str) else ""
