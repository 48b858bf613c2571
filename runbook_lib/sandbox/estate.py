"""
Estates: the ARM resources that a sandbox starts from. Imports `bodies`, `recorded` and the standard library only.

An estate file is one JSON object: `estate` (the version of the form, 1), `name`, `asOf` (the moment it was read),
`profile` (settings of the simulator), `resources` (ARM bodies as Azure returns them) and `status` (what else is known
of some, by id: the instance view of a VM, the storage configuration of a vault, the recovery points of an item); one
that is a copy also has `source`, which tells of what. A folder of recorded traffic is read as an estate too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.sandbox import bodies, recorded
from runbook_lib.sandbox.bodies import SandboxError

__all__ = ["Estate", "SandboxError", "builtin_estates", "read_estate", "read_profile", "write_estate"]

_VERSION = 1
_FIELDS = {"estate": int, "name": str, "asOf": str, "profile": dict, "resources": list, "status": dict}
_OPTIONAL = {"source": dict}
_WITH_STATUS = frozenset(
    {
        bodies.VIRTUAL_MACHINE,
        "Microsoft.RecoveryServices/vaults",
        "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
    }
)
_BUILTIN = Path(__file__).with_name("estates")
# Characters that reorder or hide the text around them: written as escapes, so that a reader of the file sees them.
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """
    A tenant at one moment.

    Args:
        name: what people call it.
        as_of: when it was read, aware; a simulator's clock starts there, so that recovery points keep their age.
        resources: ARM bodies, each with `id`, `name` and `type`.
        status: by lower-cased id, the instance view of a VM, the storage configuration of a vault, or an object with
            the recovery `points` of an item.
        profile: settings of the simulator that go with it.
        conflicts: how often a recording contradicted an earlier answer about the same resource.
        origin: where it came from.
        source: what it is a copy of, in words that are not the sandbox's own; empty for one that was made up.
    """

    name: str
    as_of: datetime
    resources: tuple[dict[str, Any], ...]
    status: dict[str, dict[str, Any]]
    profile: dict[str, Any]
    conflicts: int = 0
    origin: str
    source: dict[str, Any] = field(default_factory=dict)


def builtin_estates() -> tuple[str, ...]:
    """
    Name the estates that come with the package.
    """
    return tuple(sorted(path.stem for path in _BUILTIN.glob("*.json")))


def read_estate(source: str | Path) -> Estate:
    """
    Read the estate that *source* names.

    Args:
        source: name of a built-in estate, path of an estate file, or folder of recorded interactions; write a path that
            is spelled like a built-in name as `./name`.

    Raises:
        SandboxError: there is no such estate, or it is malformed; all that is wrong with a file is told at once.
    """
    if source in builtin_estates():
        return _read_file(_BUILTIN / f"{source}.json", origin=f"built-in {source}")
    path = Path(source)
    if path.is_dir():
        found = recorded.read_recording(path)
        return Estate(
            name=path.resolve().name,
            as_of=found.as_of,
            resources=found.resources,
            status=found.status,
            profile={},
            conflicts=found.conflicts,
            origin=str(path),
        )
    if path.is_file():
        return _read_file(path, origin=str(path))
    raise SandboxError("no_estate", place=str(source), names=", ".join(builtin_estates()))


def read_profile(path: Path) -> dict[str, Any]:
    """
    Read the settings and fault rules of a file, in the form that the `profile` of an estate has.

    Raises:
        SandboxError: it is no JSON object; what it holds is checked where it is used.
    """
    profile = _parsed(path, str(path))
    if not isinstance(profile, dict):
        raise SandboxError("no_profile", place=str(path))
    return profile


def write_estate(estate: Estate, path: Path) -> None:
    """
    Write *estate* as an estate file that people can read and edit, and nobody but its owner: all at once or not at all.
    """
    spelled = {body["id"].lower(): body["id"] for body in estate.resources}
    document = {
        "estate": _VERSION,
        "name": estate.name,
        "asOf": estate.as_of.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        **({"source": estate.source} if estate.source else {}),
        "profile": estate.profile,
        "resources": estate.resources,
        "status": {spelled.get(vm, vm): view for vm, view in estate.status.items()},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    text = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(text.encode() + b"\n")
        beside.replace(path)
    except OSError as error:
        raise SandboxError("unwritable", place=str(path), problem=error.strerror) from error


def _parsed(path: Path, origin: str) -> Any:
    text = bodies.read_bytes(path)
    try:
        return bodies.parse(text)
    except SandboxError as error:
        raise error.within(origin) from error


def _read_file(path: Path, origin: str) -> Estate:
    document = _parsed(path, origin)
    if not isinstance(document, dict):
        raise SandboxError("top_level", place=origin, names=", ".join(_FIELDS))
    if document.get("estate") != _VERSION:
        found = repr(document.get("estate"))
        raise SandboxError("form", place=f"{origin}: estate", found=found, known=_VERSION)
    problems = _field_problems(document)
    problems += _resource_problems(_get(document, "resources", []))
    problems += _status_problems(_get(document, "status", {}), _get(document, "resources", []))
    if problems:
        bodies.refuse(origin, problems)
    return Estate(
        name=document["name"],
        as_of=_instant(document["asOf"]),
        resources=tuple(bodies.complete(body) for body in document["resources"]),
        status={vm.lower(): view for vm, view in document["status"].items()},
        profile=document["profile"],
        origin=origin,
        source=document.get("source", {}),
    )


def _get(document: Mapping[str, Any], field: str, otherwise: Any) -> Any:
    value = document.get(field)
    return value if isinstance(value, type(otherwise)) else otherwise


def _field_problems(document: Mapping[str, Any]) -> list[SandboxError]:
    problems = [
        SandboxError("missing_field", place=field, names=", ".join(_FIELDS))
        for field in _FIELDS
        if field not in document
    ]
    problems += [SandboxError("unknown_field", place=field) for field in document if field not in _FIELDS | _OPTIONAL]
    problems += [
        SandboxError("wrong_type", place=field, shape=bodies.JSON_NAMES[kind], found=json.dumps(document[field])[:40])
        for field, kind in (_FIELDS | _OPTIONAL).items()
        if field in document and not isinstance(document[field], kind)
    ]
    if isinstance(document.get("asOf"), str):
        try:
            _instant(document["asOf"])
        except (OverflowError, ValueError) as error:
            problem = error if isinstance(error, SandboxError) else str(error)
            problems.append(SandboxError("moment", place="asOf", value=repr(document["asOf"]), problem=problem))
    return problems


def _resource_problems(resources: list[Any]) -> list[SandboxError]:
    problems: list[SandboxError] = []
    first: dict[str, int] = {}
    for index, body in enumerate(resources):
        place = f"resources[{index}]"
        if not isinstance(body, dict):
            problems.append(SandboxError("body", place=place))
            continue
        resource_id = body.get("id")
        if not isinstance(resource_id, str) or not resource_id:
            problems.append(SandboxError("id_missing", place=f"{place}.id"))
            continue
        if not bodies.arm_type(resource_id):
            problems.append(SandboxError("id_form", place=f"{place}.id", id=repr(resource_id)))
        if not isinstance(body.get("properties", {}), dict):
            problems.append(SandboxError("properties", place=f"{place}.properties"))
        if first.setdefault(resource_id.lower(), index) != index:
            other = f"resources[{first[resource_id.lower()]}]"
            problems.append(SandboxError("id_twice", place=f"{place}.id", other=other))
    return problems


def _status_problems(status: Mapping[str, Any], resources: list[Any]) -> list[SandboxError]:
    known = {
        body["id"].lower()
        for body in resources
        if isinstance(body, dict) and isinstance(body.get("id"), str) and bodies.arm_type(body["id"]) in _WITH_STATUS
    }
    problems: list[SandboxError] = []
    seen: set[str] = set()
    for vm, view in status.items():
        place = f"status[{vm!r}]"
        if vm.lower() not in known:
            problems.append(SandboxError("status_unknown", place=place))
        if vm.lower() in seen:
            problems.append(SandboxError("status_twice", place=place))
        if not isinstance(view, dict):
            problems.append(SandboxError("status_body", place=place))
        seen.add(vm.lower())
    return problems


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise SandboxError("no_zone")
    return moment.astimezone(UTC)
