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

__all__ = ["Exchange", "Shape", "by_answer", "kind_of", "read_recordings", "shape", "walk"]

# A request and its answer: `operation`, `request` (`method`, `uri`, `body`) and `response` (`status`, `headers`,
# `body`); one that was recorded has `source`, `commit`, `seq`, `kind` and `flags` too.
Exchange = dict[str, Any]
# The paths of a body, `*` for any place in a list or any free name, each with the type of what stands there.
Shape = frozenset[tuple[str, str]]

_TYPES = {bool: "boolean", dict: "object", float: "number", int: "number", list: "array", str: "string"}
# Objects whose members have names that somebody chose.
_FREE_NAMES = frozenset({"tags", "userAssignedIdentities", "propertyBag", "internalPropertyBag", "settings"})
# What an operation's body shows, where it is not the last fixed word of its path; that, or the last two words.
_SHOWN = {
    "Microsoft.KeyVault/vaults": "key vaults",
    "backupFabrics/operationsStatus": "operation of backup",
    "backupPolicies/operationResults": "backupPolicies",
    "backupPolicies/operations": "operation of backup",
    "protectedItems": "backupProtectedItems",
    "protectedItems/operationResults": "backupProtectedItems",
    "protectedItems/operationsStatus": "operation of backup",
    "providers/register": "providers",
    "vaults/backupOperationResults": "backupProtectedItems",
    "vaults/backupOperations": "operation of backup",
    "vaults/operationResults": "vaults",
}
_ROWS = "/value/*"


def read_recordings(folder: Path) -> Iterator[dict[str, Any]]:
    """
    Give each recorded exchange that the sandbox has an operation for, with `operation`, `source`, `commit` and `seq`.

    The exchanges of an asynchronous operation that was recorded as a whole have its number as `chain`, others None;
    it is the same for all that follow a first one, and None where the sandbox does not have the first one.
    """
    router = Router(ROUTES)
    chains = 0
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                steps = record.get("steps", [record])
                operations = [_operation(router, step["request"]) for step in steps]
                whole = "steps" in record and operations[0] is not None
                chains += whole
                known = {name: record[name] for name in ("source", "commit", "kind")}
                known |= {"flags": record.get("flags", []), "chain": chains if whole else None}
                for step, operation in zip(steps, operations, strict=True):
                    if operation is not None:
                        yield {**known, **step, "operation": operation}


def by_answer(exchanges: Iterable[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """
    Group *exchanges* by operation and status.
    """
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for exchange in exchanges:
        if exchange["operation"] is not None:
            groups.setdefault((exchange["operation"], exchange["response"]["status"]), []).append(exchange)
    return groups


def kind_of(operation: str, status: int) -> str:
    """
    Name the kind of body that an answer has: a resource, alone or in a list, or an error of a provider.
    """
    words = [word for word in operation.partition(" ")[2].split("/") if word and not word.startswith("{")]
    if status >= 400:
        return next((f"error of {word}" for word in words if word.startswith("Microsoft.")), "error")
    shown = _SHOWN.get("/".join(words[-2:]), _SHOWN.get(words[-1], words[-1]))
    # Each provider has a body of its own for them.
    return shown if shown != "operations" else f"operations of {words[words.index('providers') + 1]}"


def shape(body: Any) -> Shape:
    """
    Return the paths of *body* with the types that stand there; the rows of a list stand for resources.
    """
    return frozenset(
        (path.removeprefix(_ROWS) or _ROWS, "null" if value is None else _TYPES[type(value)])
        for path, value in walk(body)
        if path
    )


def _operation(router: Router, request: Exchange) -> str | None:
    match = router.match(unquote(urlsplit(request["uri"]).path))
    route = None if match is None else match.routes.get(request["method"])
    return None if route is None else f"{route.method} {route.path}"


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """
    Give each place of a body with what stands there, `*` for any place in a list or any free name.
    """
    yield path, value
    if isinstance(value, dict):
        free = path.rpartition("/")[2] in _FREE_NAMES
        for name, each in value.items():
            yield from walk(each, f"{path}/{'*' if free else name}")
    elif isinstance(value, list):
        for each in value:
            yield from walk(each, f"{path}/*")
