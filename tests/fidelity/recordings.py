"""
Recorded answers of Azure, by the operation of the sandbox that they belong to, and the shapes of bodies.

Imports the sandbox's routes and the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from runbook_lib.sandbox.app import ROUTES
from runbook_lib.sandbox.router import Router

__all__ = ["Shape", "by_answer", "read_recordings", "shape"]

# The paths of a body, `*` for any place in a list or any free name, each with the type of what stands there.
Shape = frozenset[tuple[str, str]]

_TYPES = {bool: "boolean", dict: "object", float: "number", int: "number", list: "array", str: "string"}
# Objects whose members have names that somebody chose.
_FREE_NAMES = frozenset({"tags", "userAssignedIdentities", "propertyBag", "internalPropertyBag", "settings"})


def read_recordings(folder: Path) -> Iterator[dict[str, Any]]:
    """
    Give each recorded exchange that the sandbox has an operation for, with `operation`, `source`, `commit` and `seq`.
    """
    router = Router(ROUTES)
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                for step in record.get("steps", [record]):
                    request = step["request"]
                    match = router.match(unquote(urlsplit(request["uri"]).path))
                    route = None if match is None else match.routes.get(request["method"])
                    if route is not None:
                        known = {"operation": f"{route.method} {route.path}"}
                        known |= {name: record[name] for name in ("source", "commit")}
                        yield {"flags": record.get("flags", []), "kind": record["kind"], **step, **known}


def by_answer(exchanges: Iterable[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """
    Group *exchanges* by operation and status.
    """
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for exchange in exchanges:
        if exchange["operation"] is not None:
            groups.setdefault((exchange["operation"], exchange["response"]["status"]), []).append(exchange)
    return groups


def shape(body: Any) -> Shape:
    """
    Return the paths of *body* with the types that stand there.
    """
    return frozenset(_paths(body, ""))


def _paths(value: Any, path: str) -> Iterator[tuple[str, str]]:
    yield path or "/", "null" if value is None else _TYPES[type(value)]
    if isinstance(value, dict):
        free = path.rpartition("/")[2] in _FREE_NAMES
        for name, each in value.items():
            yield from _paths(each, f"{path}/{'*' if free else name}")
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{path}/*")
