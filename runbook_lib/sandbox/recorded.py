"""
Recorded traffic as an estate. Imports `bodies` and the standard library only.

A recording is a folder of JSONL files: one interaction a line, an object with `request` (`method`, `uri`) and
`response` (`status`, `headers`, `body`), or an object whose `steps` are such interactions. `source` and `seq` tell the
cassette that an interaction was taken from and its place in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from runbook_lib.sandbox import bodies
from runbook_lib.sandbox.bodies import SandboxError

__all__ = ["Recording", "read_recording"]

_ANSWERED_BY_RESOURCE = frozenset({"GET", "PATCH", "PUT"})
# Every other type has `properties`; an entry without them comes from a generic list or is a mere reference.
_BARE = frozenset(
    {"Microsoft.Resources/providers", "Microsoft.Resources/resourceGroups", "Microsoft.Resources/subscriptions"}
)
# Resources that stand in their parent's body, with the property that lists them there.
_INLINE = {
    "Microsoft.Network/networkSecurityGroups/defaultSecurityRules": "defaultSecurityRules",
    "Microsoft.Network/networkSecurityGroups/securityRules": "securityRules",
    "Microsoft.Network/routeTables/routes": "routes",
    "Microsoft.Network/virtualNetworks/subnets": "subnets",
}
_T = TypeVar("_T")
_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """
    What a folder of recorded traffic says about a tenant.

    Args:
        as_of: the newest `Date` among the answers that are used.
        resources: the newest body of each resource, ordered by id.
        status: the newest instance view of each VM, by lower-cased id.
        conflicts: how often an answer about a resource differed from the one before.
    """

    as_of: datetime
    resources: tuple[dict[str, Any], ...]
    status: dict[str, dict[str, Any]]
    conflicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    date: datetime
    order: tuple[datetime, str, int, str, int]
    path: str
    body: Any


def read_recording(folder: Path) -> Recording:
    """
    Read the *.jsonl files of *folder* as one tenant.

    Each successful answer to a GET, PUT or PATCH counts whose body is, or lists, ARM resources that the sandbox serves.
    The newest answer about a resource wins: by `Date`, else by cassette and place in it. What a resource refers to and
    no answer holds stays missing. Only subscriptions and resource groups are inferred: one that nothing but the ids of
    other resources names gets a body with its name, and a group the location of its first resource, because without
    them nothing below could be listed.

    Raises:
        SandboxError: a line is no interaction, or no answer can be used.
    """
    newest: dict[str, tuple[_Answer, dict[str, Any]]] = {}
    views: dict[str, dict[str, Any]] = {}
    conflicts = 0
    as_of = _UNDATED
    for answer in sorted(_answers(folder), key=lambda each: each.order):
        view, found = _view(answer), list(_resources(answer.body))
        views |= view
        as_of = max(as_of, answer.date) if view or found else as_of
        for body in found:
            key = body["id"].lower()
            if bodies.arm_type(key) == bodies.VIRTUAL_MACHINE:
                body, expanded = _split(body)
                views |= {key: expanded} if expanded else {}
            conflicts += key in newest and newest[key][1] != body
            newest[key] = (answer, body)
    if not newest:
        raise SandboxError("no_resources", place=str(folder))
    if as_of == _UNDATED:
        raise SandboxError("no_date", place=str(folder))
    resources = _inferred(_nested(newest))
    return Recording(
        as_of=as_of,
        resources=tuple(bodies.complete(body) for _, body in sorted(resources.items())),
        status={vm: view for vm, view in sorted(views.items()) if vm in resources},
        conflicts=conflicts,
    )


def _answers(folder: Path) -> Iterator[_Answer]:
    problems: list[SandboxError] = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(bodies.read_bytes(path).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                yield from _interactions(bodies.parse(line), path.name, number)
            except SandboxError as error:
                problems.append(SandboxError("line", number=number, file=path.name, problem=error))
    if problems:
        bodies.refuse(str(folder), problems)


def _interactions(record: Any, file: str, number: int) -> Iterator[_Answer]:
    if not isinstance(record, dict):
        raise SandboxError("interaction")
    steps = record.get("steps", [record])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise SandboxError("steps", place="steps")
    source = _field(record, "source", str, "")
    for step in steps:
        request, response = _field(step, "request", dict), _field(step, "response", dict)
        method, uri = _field(request, "method", str), _field(request, "uri", str)
        status, headers = _field(response, "status", int), _field(response, "headers", dict, {})
        date = _date(headers)
        if method in _ANSWERED_BY_RESOURCE and 200 <= status < 300:
            yield _Answer(
                date=date,
                order=(date, source, _field(step, "seq", int, 0), file, number),
                path=unquote(urlsplit(uri).path),
                body=response.get("body"),
            )


def _field(record: Mapping[str, Any], name: str, kind: type[_T], otherwise: _T | None = None) -> _T:
    value = record.get(name)
    if value is None and otherwise is not None:
        return otherwise
    if not isinstance(value, kind):
        raise SandboxError("interaction_field", name=name, shape=bodies.JSON_NAMES[kind])
    return value


def _date(headers: Mapping[str, Any]) -> datetime:
    text = next((value for name, value in headers.items() if name.lower() == "date"), None)
    if text is None:
        return _UNDATED
    try:
        if not isinstance(text, str):
            raise TypeError("a header is a text")
        date = parsedate_to_datetime(text)
        # HTTP dates are GMT; the parser leaves those that say "-0000" naive.
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (OverflowError, TypeError, ValueError) as error:
        raise SandboxError("header_date", place="response.headers.Date", value=repr(text)) from error


def _resources(body: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(body, dict):
        return
    for entry in body["value"] if isinstance(body.get("value"), list) else [body]:
        if not _is_body(entry):
            continue
        kind = bodies.arm_type(entry["id"])
        if kind in bodies.SERVED and (kind in _BARE or isinstance(entry.get("properties"), dict)):
            yield entry
            # A VM's body holds its extensions.
            if kind == bodies.VIRTUAL_MACHINE:
                yield from _resources({"value": entry.get("resources")})


def _is_body(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _split(vm: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    properties = dict(vm["properties"])
    view = properties.pop("instanceView", None)
    return vm | {"properties": properties}, view if isinstance(view, dict) else None


def _view(answer: _Answer) -> dict[str, dict[str, Any]]:
    vm, _, last = answer.path.rpartition("/")
    if (
        last.lower() == "instanceview"
        and bodies.arm_type(vm) == bodies.VIRTUAL_MACHINE
        and isinstance(answer.body, dict)
    ):
        return {vm.lower(): answer.body}
    return {}


def _nested(newest: Mapping[str, tuple[_Answer, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """
    Put resources that were read on their own into their parent's body, if there is one.

    A parent's body lists all its children, so a parent that was read later has the last word.
    """
    resources = {key: body for key, (_, body) in newest.items()}
    for key, (answer, body) in newest.items():
        listing = _INLINE.get(bodies.arm_type(key))
        parent = key.rsplit("/", 2)[0]
        if listing is None or parent not in resources:
            continue
        del resources[key]
        if answer.order < newest[parent][0].order:
            continue
        properties = resources[parent]["properties"]
        siblings = properties.get(listing)
        siblings = siblings if isinstance(siblings, list) else []
        keys = [each["id"].lower() if _is_body(each) else "" for each in siblings]
        siblings = [body if own == key else each for own, each in zip(keys, siblings, strict=True)]
        siblings += [] if key in keys else [body]
        resources[parent] = resources[parent] | {"properties": properties | {listing: siblings}}
    return resources


def _inferred(resources: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Add a minimal body for each subscription and resource group that stands in an id only.
    """
    subscriptions: dict[str, dict[str, Any]] = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for _, body in sorted(resources.items()):
        _, _, subscription, *rest = body["id"].split("/")
        subscriptions[f"/subscriptions/{subscription}".lower()] = {
            "id": f"/subscriptions/{subscription}",
            "subscriptionId": subscription,
            "displayName": subscription,
            "state": "Enabled",
        }
        if len(rest) > 1 and rest[0].lower() == "resourcegroups":
            groups.setdefault(f"/subscriptions/{subscription}/resourceGroups/{rest[1]}".lower(), []).append(body)
    return subscriptions | {key: _group(members) for key, members in groups.items()} | dict(resources)


def _group(members: list[dict[str, Any]]) -> dict[str, Any]:
    ids = ["/".join(body["id"].split("/")[:5]) for body in members]
    locations = [body["location"] for body in members if isinstance(body.get("location"), str)]
    return {
        # Azure's VM lists spell the group in capitals, whatever its name: any other spelling is the better witness.
        "id": min(ids, key=lambda spelled: spelled.rpartition("/")[2].isupper()),
        **({"location": locations[0]} if locations else {}),
        "properties": {"provisioningState": "Succeeded"},
    }
