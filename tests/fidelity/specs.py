"""
Exchanges with ARM, the sandbox's or recorded ones, held against Microsoft's specs. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "HERE",
    "Allowed",
    "Finding",
    "Unrecorded",
    "Verdict",
    "Word",
    "judge",
    "read_allowed",
    "read_unrecorded",
    "read_words",
]

HERE = Path(__file__).parent
# The api-versions of the specs, by what stands in a path; the first that does holds.
_SPEC_VERSIONS = (
    ("/microsoft.recoveryservices/", "2024-04-01"),
    ("/microsoft.compute/", "2024-07-01"),
    ("/microsoft.network/", "2024-01-01"),
    ("/microsoft.authorization/", "2022-04-01"),
    ("/providers", "2024-07-01"),
    ("/resourcegroups", "2024-07-01"),
    ("/resources", "2024-07-01"),
    ("/", "2022-12-01"),
)
# oav looks for an operation among those of the provider that the path names, and files what can be asked about any
# provider under this name.
_NO_PROVIDER = "Microsoft.Unknown"
_ANY_PROVIDER = re.compile(r"(?<=/providers/)[^/?]+(?=(?:/register)?\?)")
_VERSION = re.compile(r"(?<=api-version=)\d{4}-\d{2}-\d{2}(?:-preview)?(?=&|$)")
_PLACE = re.compile(r"/\d+(?=/|$)")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """
    What the specs say is wrong with an operation's exchanges; `*` in the path stands for any place in a list.
    """

    operation: str
    side: str
    code: str
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What the specs say about one exchange.

    Args:
        operation: the operationId; None when the specs do not have the operation.
    """

    operation: str | None
    findings: frozenset[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """
    A finding that Azure itself gives, and the recording that proves it.

    Args:
        path: how the finding's path ends.
        call: the place of the exchange in the recorded file.
    """

    operations: tuple[str, ...]
    side: str
    code: str
    path: str
    why: str
    repository: str
    file: str
    commit: str
    call: int

    def covers(self, finding: Finding) -> bool:
        """
        Tell whether *finding* is the allowed one.
        """
        return (
            finding.operation in self.operations
            and (self.side, self.code) == (finding.side, finding.code)
            and finding.path.endswith(self.path)
        )

    def is_proved_by(self, exchange: dict[str, Any]) -> bool:
        """
        Tell whether *exchange* is the recording that this entry names.
        """
        named = (f"{self.repository}:{self.file}", self.commit, self.call)
        return named == (exchange["source"], exchange["commit"], exchange["seq"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecorded:
    """
    A place in bodies of some kinds, with all below it, that no recorded body shows, and why the sandbox does.
    """

    kinds: tuple[str, ...]
    path: str
    why: str

    def covers(self, kind: str, path: str) -> bool:
        """
        Tell whether *path* in a body of *kind* is the place or stands below it.
        """
        return kind in self.kinds and f"{path}/".startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """
    A word at a place in bodies of a kind that no recorded body has there, and why the sandbox does.
    """

    kind: str
    path: str
    word: str
    why: str


def read_allowed() -> tuple[Allowed, ...]:
    """
    Read the findings that are allowed.
    """
    return tuple(Allowed(**entry | {"operations": tuple(entry["operations"])}) for entry in _entries("finding"))


def read_unrecorded() -> tuple[Unrecorded, ...]:
    """
    Read the unrecorded places that are allowed.
    """
    return tuple(Unrecorded(**entry | {"kinds": tuple(entry["kinds"])}) for entry in _entries("unrecorded"))


def read_words() -> tuple[Word, ...]:
    """
    Read the unrecorded words that are allowed.
    """
    return tuple(Word(**entry) for entry in _entries("word"))


def judge(exchanges: Iterable[dict[str, Any]], specification: Path) -> list[Verdict]:
    """
    Hold *exchanges* against the specs below *specification*, at the specs' own api-versions.

    A request that was refused is not judged, for tests send wrong ones on purpose; its answer is.
    """
    exchanges = list(exchanges)
    done = subprocess.run(
        ["node", str(HERE / "validate.js"), str(specification)],
        input="".join(json.dumps(_pair(exchange)) + "\n" for exchange in exchanges),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(found) != len(exchanges):
        raise ValueError(f"validate.js judged {len(found)} of {len(exchanges)} exchanges; it says: {done.stderr}")
    return [_verdict(exchange, each) for exchange, each in zip(exchanges, found, strict=True)]


def _entries(table: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads((HERE / "allowed.toml").read_text(encoding="utf-8"))[table]
    return entries


def _pair(exchange: dict[str, Any]) -> dict[str, Any]:
    request, response = exchange["request"], exchange["response"]
    uri = _ANY_PROVIDER.sub(_NO_PROVIDER, request["uri"])
    path = urlsplit(uri).path.lower()
    version = next(version for part, version in _SPEC_VERSIONS if part in path)
    headers = {"content-type": "application/json"}
    return {
        "liveRequest": {
            "method": request["method"],
            "url": _VERSION.sub(version, uri),
            "headers": headers,
            "body": request["body"] or {},
        },
        "liveResponse": {
            "statusCode": str(response["status"]),
            "headers": response["headers"] | headers,
            "body": response["body"] or {},
        },
    }


def _verdict(exchange: dict[str, Any], found: dict[str, Any]) -> Verdict:
    refused = exchange["response"]["status"] >= 400
    return Verdict(
        operation=found["operation"],
        findings=frozenset(
            Finding(operation=found["operation"], **each | {"path": _PLACE.sub("/*", each["path"])})
            for each in found["findings"]
            if not (refused and each["side"] == "request")
        ),
    )
