"""
ARM bodies from outside: JSON read within bounds, resources told apart by their ids. Imports the standard library and
`text` only.

Estate files and recordings are made elsewhere, so their size, nesting and text are not taken on trust.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from runbook_lib.text import DEFAULT_LANGUAGE, say

__all__ = [
    "JSON_NAMES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "SERVED",
    "VIRTUAL_MACHINE",
    "SandboxError",
    "arm_type",
    "complete",
    "parse",
    "read_bytes",
    "refuse",
]

JSON_NAMES: dict[type, str] = {dict: "object", int: "number", list: "list", str: "text"}
MAX_BYTES = 1 << 30
MAX_DEPTH = 100
VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
SERVED = (
    "Microsoft.Compute/availabilitySets",
    "Microsoft.Compute/disks",
    "Microsoft.Compute/virtualMachines",
    "Microsoft.Compute/virtualMachines/extensions",
    "Microsoft.KeyVault/vaults",
    "Microsoft.Network/applicationSecurityGroups",
    "Microsoft.Network/loadBalancers",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/networkInterfaces",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
    "Microsoft.Network/networkSecurityGroups/securityRules",
    "Microsoft.Network/privateEndpoints",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/routeTables",
    "Microsoft.Network/routeTables/routes",
    "Microsoft.Network/serviceTags",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.Network/virtualNetworks/subnets",
    "Microsoft.RecoveryServices/vaults",
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers",
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
    "Microsoft.RecoveryServices/vaults/backupJobs",
    "Microsoft.RecoveryServices/vaults/backupPolicies",
    "Microsoft.RecoveryServices/vaults/backupResourceGuardProxies",
    "Microsoft.Resources/providers",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Resources/subscriptions",
)

_SHOWN = 20
_CONTAINERS = (dict, list)
# Azure spells the types of one resource in several ways; here each has one spelling.
_SPELLINGS = {spelling.lower(): spelling for spelling in SERVED} | {
    "microsoft.resources/subscriptions/resourcegroups": "Microsoft.Resources/resourceGroups"
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class SandboxError(ValueError):
    """
    Something that the sandbox was given, and cannot take: the file and the place in it, the rule, and the remedy.

    Attributes:
        message: id of its sentence in `text`, less the leading `sandbox.`; empty for several problems.
        place: what it is about: a file, a place in it, or both.
        problems: where there are several.
        facts: what the sentence names.
    """

    def __init__(
        self, message: str = "", /, *, place: str = "", problems: tuple[SandboxError, ...] = (), **facts: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.problems = problems
        self.facts = facts

    def within(self, place: str) -> SandboxError:
        """
        Return it with the place that it lies in.
        """
        if self.problems:
            return SandboxError(problems=tuple(each.within(place) for each in self.problems))
        return SandboxError(self.message, place=f"{place}: {self.place}" if self.place else place, **self.facts)

    def describe(self, language: str) -> str:
        """
        Say it, every problem on a line.
        """
        if self.problems:
            return "\n".join(each.describe(language) for each in self.problems)
        facts = {
            name: fact.describe(language) if isinstance(fact, SandboxError) else fact
            for name, fact in self.facts.items()
        }
        said = say(f"sandbox.{self.message}", language, **facts)
        return f"{self.place}: {said}" if self.place else said

    def __str__(self) -> str:
        return self.describe(DEFAULT_LANGUAGE)


def refuse(origin: str, problems: list[SandboxError]) -> NoReturn:
    """
    Raise one SandboxError about *origin* that tells *problems*, one to a line.
    """
    hidden = len(problems) - _SHOWN
    rest = [SandboxError("more", count=hidden)] if hidden > 0 else []
    raise SandboxError(problems=tuple(problems[:_SHOWN] + rest)).within(origin)


def read_bytes(path: Path) -> bytes:
    """
    Read *path*, unless it is larger than `MAX_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SandboxError("too_large", place=str(path), size=f"{size:,}", limit=f"{MAX_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise SandboxError("unreadable", place=str(path), problem=error.strerror) from error


def parse(text: bytes) -> Any:
    """
    Parse JSON that is no deeper than `MAX_DEPTH` and holds nothing but Unicode text.

    Raises:
        SandboxError: says what is wrong with the text; the caller knows where it stands.
    """
    try:
        # Editors on Windows write a byte order mark.
        decoded = text.decode("utf-8-sig")
        document = json.loads(decoded, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        _too_deep()
    except ValueError as error:
        raise SandboxError("not_json", problem=str(error)) from error
    level = [document] if isinstance(document, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, _CONTAINERS)
        ]
        if not level:
            break
    else:
        _too_deep()
    if _SURROGATE.search(decoded):
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise SandboxError("surrogate") from error
    return document


def arm_type(resource_id: str) -> str:
    """
    Tell the type of the resource that *resource_id* names; empty when it names none.

    An id is pairs of a kind and a name, so a resource that is itself called `providers` misleads nobody.
    """
    parts = resource_id.removeprefix("/").split("/")
    if len(parts) % 2 or not all(parts) or parts[0].lower() != "subscriptions" or not resource_id.startswith("/"):
        return ""
    namespace, kinds = "Microsoft.Resources", list[str]()
    for kind, name in zip(parts[::2], parts[1::2], strict=True):
        if kind.lower() == "providers":
            namespace, kinds = name, []
        else:
            kinds.append(kind)
    if not kinds:
        return "Microsoft.Resources/providers"
    spelled = "/".join([namespace, *kinds])
    return _SPELLINGS.get(spelled.lower(), spelled)


def complete(body: dict[str, Any]) -> dict[str, Any]:
    """
    Return *body* with the `name` and `type` that its id implies, where it has none of its own.
    """
    own = {field: body[field] for field in ("name", "type") if isinstance(body.get(field), str)}
    return body | {"name": body["id"].rpartition("/")[2], "type": arm_type(body["id"])} | own


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number} is too large a number")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _too_deep() -> NoReturn:
    raise SandboxError("too_deep", limit=MAX_DEPTH)
