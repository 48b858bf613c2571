"""
The official examples of the operations that the sandbox implements, and how each is played on a small estate.

Imports the sandbox's routes, `stage` and `world`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from fidelity.recordings import Exchange
from fidelity.specs import HERE
from fidelity.stage import BASE, Stage
from fidelity.world import World, bodies_in, named

from runbook_lib.sandbox.app import ROUTES
from runbook_lib.sandbox.router import Router

__all__ = ["Example", "Unoffered", "play_example", "read_examples", "read_unoffered"]

_POINT = re.compile(r"(?P<points>.*/recoveryPoints)/[^/]+")
_JOB = re.compile(r"(?P<vault>.*)/backupJobs/[^/]+/(?P<rest>cancel|operationResults/(?P<operation>[^/]+))")
_METHODS = ("get", "put", "post", "patch", "delete", "head")
# The operations under which a status or a result is asked for, by the word before the operation's name in the path.
_OPERATIONS = {
    "backupFabrics/operationResults": "container.refresh",
    "backupPolicies/operationResults": "policy.update",
    "backupPolicies/operations": "policy.update",
    "protectedItems/operationResults": "item.configure",
    "protectedItems/operationsStatus": "item.configure",
    "vaults/backupOperationResults": "item.delete",
    "vaults/backupOperations": "item.delete",
    "vaults/operationResults": "vault.update",
    "vaults/operationStatus": "vault.update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """
    An official example.

    Args:
        operation: method and path of the sandbox's route.
        file: below the folder of the specs.
        responses: the answer that the example shows, by status.
    """

    operation: str
    file: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    responses: dict[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unoffered:
    """
    An example of what the sandbox does not offer, by the end of its file's path, and why.
    """

    file: str
    why: str

    def covers(self, example: Example) -> bool:
        """
        Tell whether *example* is the one.
        """
        return example.file.endswith(f"/{self.file}")


@cache
def read_unoffered() -> tuple[Unoffered, ...]:
    """
    Read the examples that the sandbox refuses on purpose.
    """
    entries = tomllib.loads((HERE / "examples.toml").read_text(encoding="utf-8"))["unoffered"]
    return tuple(Unoffered(**entry) for entry in entries)


def read_examples(specification: Path) -> list[Example]:
    """
    Return the examples that lie below *specification* and that the sandbox has an operation for.
    """
    router = Router(ROUTES)
    found: list[Example] = []
    for file in sorted(specification.rglob("*.json")):
        if "examples" in file.parts:
            continue
        document = json.loads(file.read_text(encoding="utf-8"))
        for template, methods in document.get("paths", {}).items():
            match = router.match(template.replace("{", "").replace("}", ""))
            for method in _METHODS:
                route = None if match is None else match.routes.get(method.upper())
                if route is not None and method in methods:
                    operation = f"{route.method} {route.path}"
                    found += _examples(file, specification, operation, template, methods[method])
    return sorted(found, key=lambda each: (each.operation, each.file))


def play_example(example: Example, stage: Stage) -> Exchange:
    """
    Set *stage* as *example* presumes, send the example's request, and return the exchange.
    """
    stage.set()
    known = [
        body | {"id": _rehomed(body["id"], example.path)}
        for answer in example.responses.values()
        for body in bodies_in(answer)
    ]
    world = World(stage, known)
    _prepare(example, stage, world)
    for body in known if example.method == "GET" else ():
        world.add(body["id"])
    query = f"?{urlencode(example.query, quote_via=quote)}"
    path = quote(_with_names(example.path, stage, world))
    return stage.send(example.method, f"{BASE}{path}{query}", example.body)


def _prepare(example: Example, stage: Stage, world: World) -> None:
    ids = named(example.path)
    own = bool(ids) and ids[-1].lower() == example.path.lower()
    for one in ids[:-1] if own else ids:
        world.add(one)
    properties = (example.body or {}).get("properties") or {}
    if own and (example.method != "PUT" or "policyId" not in properties):
        # What a request creates is absent; what it stops, changes, reads or deletes is there.
        creates = example.method == "PUT" and properties.get("protectionState") != "ProtectionStopped"
        if not creates:
            world.add(ids[-1])
    for reference in _references(example.body):
        world.add(reference)
    words = example.path.split("/")
    kind = _OPERATIONS.get(f"{words[-4]}/{words[-2]}") if len(words) > 4 else None
    if kind is not None:
        target = ids[-1]
        with stage.edit() as state:
            start = state.now().timestamp()
            state.add_operation(words[-1], kind, target, (start, start + 3600), {"result": target})


def _with_names(path: str, stage: Stage, world: World) -> str:
    """
    Return *path* with the names that the sandbox itself gave to what only it can make.
    """
    version = "?api-version=2024-04-01"
    point, job = _POINT.fullmatch(path), _JOB.fullmatch(path)
    if point is not None:
        rows = stage.send("GET", f"{BASE}{quote(point['points'])}{version}", kept=False)["response"]["body"]["value"]
        return f"{point['points']}/{rows[0]['name']}"
    if job is not None:
        name = world.start_backup(job["vault"])
        path = f"{job['vault']}/backupJobs/{name}/{job['rest']}"
        if job["operation"]:
            own = f"{job['vault']}/backupJobs/{name}/cancel"
            answer = stage.send("POST", f"{BASE}{quote(own)}{version}", kept=False)["response"]
            return unquote(urlsplit(answer["headers"]["Location"]).path)
    return path


def _references(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for value in body.values():
            yield from _references(value)
    elif isinstance(body, str) and len(named(body)) > 2 and named(body)[-1] == body:
        yield body


def _examples(
    file: Path, specification: Path, operation: str, template: str, described: dict[str, Any]
) -> Iterator[Example]:
    places = dict(_places(file, described.get("parameters", [])))
    for reference in described.get("x-ms-examples", {}).values():
        source = (file.parent / reference["$ref"]).resolve()
        if not source.is_file():
            continue
        example = json.loads(source.read_text(encoding="utf-8"))
        path, query, body = template, {}, None
        for name, value in example["parameters"].items():
            place = places.get(name.lower(), "path")
            if place == "query":
                query[name] = str(value)
            elif place == "body":
                body = value
            elif place == "path":
                path = path.replace(f"{{{name}}}", str(value))
        yield Example(
            operation=operation,
            file=source.relative_to(specification.resolve()).as_posix(),
            method=operation.partition(" ")[0],
            path=path,
            query=query,
            body=body,
            responses={int(status): answer.get("body") for status, answer in example["responses"].items()},
        )


def _places(file: Path, parameters: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for parameter in parameters:
        if "$ref" in parameter:
            where, _, pointer = parameter["$ref"].partition("#/")
            target = (file.parent / where) if where else file
            found = json.loads(target.read_text(encoding="utf-8"))
            for key in pointer.split("/"):
                found = found[key]
            parameter = found
        yield parameter["name"].lower(), parameter["in"]


def _rehomed(resource_id: str, path: str) -> str:
    """
    Return an id of an example's answer with the names of the example's request, for examples mix them up.
    """
    own, asked = resource_id.split("/"), path.split("/")
    for place in range(1, min(len(own), len(asked)) - 1, 2):
        if own[place].lower() != asked[place].lower():
            break
        own[place + 1] = asked[place + 1]
    return "/".join(own)
