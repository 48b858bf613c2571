"""
What a recorded or played exchange tells of resources and operations.

Imports `recordings` and `world`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from fidelity.recordings import Exchange
from fidelity.world import Body, bodies_in, named

from runbook_lib.sandbox.state import key_of

__all__ = [
    "OPERATION",
    "POLLED",
    "is_running",
    "known_bodies",
    "lacking_id",
    "operation_names",
    "place_of",
    "referred_ids",
    "rows_of",
    "told_of",
]

_STATES = ("status", "provisioningState", "protectionState", "operation")
POLLED = frozenset({"azure-asyncoperation", "location"})
# Words before the id of an operation in a path.
OPERATION = re.compile(
    r"/(?:operations|operationResults|operationStatus|operationsStatus|backupOperations|backupOperationResults)/([^/]+)$",
    re.IGNORECASE,
)
_NO_GROUP = re.compile(r"^Resource group '[^']+' could not be found")
_NO_RESOURCE = re.compile(r"^The Resource '(?P<resource>[^']+)' under resource group '[^']+' was not found")


def known_bodies(calls: Iterable[Exchange]) -> list[Body]:
    """
    Return the resources that reads and writes among *calls* show.
    """
    answers = [call["response"] for call in calls if call["request"]["method"] in ("GET", "PUT")]
    return [body for answer in answers if answer["status"] < 300 for body in bodies_in(answer["body"])]


def told_of(exchange: Exchange) -> dict[str, str]:
    """
    Return what an answer tells of how far things are.
    """
    body = exchange["response"]["body"]
    headers = POLLED & {name.lower() for name in exchange["response"]["headers"]}
    told = {"status": str(exchange["response"]["status"]), "headers": " ".join(sorted(headers))}
    if isinstance(body, dict):
        error = body.get("error")
        if isinstance(error, dict):
            told["code"] = error["code"]
        properties = body.get("properties")
        for place, part in (("/", body), ("/properties/", properties if isinstance(properties, dict) else {})):
            told |= {place + name: part[name] for name in _STATES if isinstance(part.get(name), str)}
    return told


def is_running(call: Exchange) -> bool:
    told = told_of(call)
    states = {told.get("/status", "").lower(), told.get("/properties/status", "").lower()}
    return call["response"]["status"] == 202 or "inprogress" in states


def lacking_id(call: Exchange) -> str:
    """
    Return the id of the resource that an error says it has not found; nothing when it names none.
    """
    body = call["response"]["body"]
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") or "" if isinstance(error, dict) else ""
    path = unquote(urlsplit(call["request"]["uri"]).path)
    group, resource = _NO_GROUP.search(message), _NO_RESOURCE.search(message)
    if group is not None:
        return "/".join(path.split("/")[:5])
    if resource is not None:
        return "/".join([*path.split("/")[:5], "providers", *resource["resource"].split("/")])
    return ""


def place_of(url: str) -> str:
    """
    Return where a URL leads to; Compute has two places at one path.
    """
    parts = urlsplit(url)
    return f"{key_of(unquote(parts.path))}?{'monitor=true' in parts.query}"


def rows_of(exchange: Exchange) -> set[str] | None:
    body = exchange["response"]["body"]
    value = body.get("value") if isinstance(body, dict) and not body.get("nextLink") else None
    if exchange["request"]["method"] != "GET" or not isinstance(value, list):
        return None
    return {key_of(row["id"]) for row in value if isinstance(row, dict) and isinstance(row.get("id"), str)}


def operation_names(exchange: Exchange) -> dict[str, str]:
    names = {}
    for header, url in exchange["response"]["headers"].items():
        found = OPERATION.search(unquote(urlsplit(str(url)).path)) if header.lower() in POLLED else None
        if found is not None:
            names[header.lower()] = found[1]
    body = exchange["response"]["body"]
    properties = body.get("properties") if isinstance(body, dict) else None
    if isinstance(properties, dict) and isinstance(properties.get("jobId"), str):
        names["job"] = properties["jobId"]
    return names


def referred_ids(body: Any) -> list[str]:
    """
    Return the ids of the resources that a request names, but for what lies in them.
    """
    if isinstance(body, dict):
        return [one for value in body.values() for one in referred_ids(value)]
    return named(body) if isinstance(body, str) and body.lower().startswith("/subscriptions/") else []
