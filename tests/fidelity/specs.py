"""
Exchanges with ARM, the sandbox's or recorded ones, held against Microsoft's specs. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["HERE", "VERSIONS", "Finding", "Verdict", "judge"]

HERE = Path(__file__).parent
# The api-versions of the specs, by what stands in a path; the first that does holds.
VERSIONS = (
    ("/microsoft.recoveryservices/", "2024-04-01"),
    ("/microsoft.compute/", "2024-07-01"),
    ("/microsoft.network/", "2024-01-01"),
    ("/providers", "2024-07-01"),
    ("/resourcegroups", "2024-07-01"),
    ("/", "2022-12-01"),
)
# oav looks for an operation among those of the provider that the path names, and files what can be asked about any
# provider under this name.
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


def judge(exchanges: Iterable[dict[str, Any]], specification: Path) -> list[Verdict]:
    """
    Hold *exchanges* against the specs below *specification*, at the specs' own api-versions.

    A request that was refused is not judged, for it may be wrong on purpose; its answer is.
    """
    lines = [json.dumps(_pair(exchange)) for exchange in exchanges]
    done = subprocess.run(
        ["node", str(HERE / "validate.js"), str(specification)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if len(found) != len(lines):
        raise ValueError(f"validate.js judged {len(found)} of {len(lines)} exchanges: {done.stderr}")
    return [_verdict(each) for each in found]


def _pair(exchange: dict[str, Any]) -> dict[str, Any]:
    request, response = exchange["request"], exchange["response"]
    uri = _ANY_PROVIDER.sub("Microsoft.Unknown", request["uri"])
    path = urlsplit(uri).path.lower()
    version = next(version for part, version in VERSIONS if part in path)
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
            "headers": headers | response["headers"],
            "body": response["body"] or {},
        },
    }


def _verdict(found: dict[str, Any]) -> Verdict:
    return Verdict(
        operation=found["operation"],
        findings=frozenset(
            Finding(
                operation=found["operation"],
                side=each["side"],
                code=each["code"],
                path=_PLACE.sub("/*", each["path"]),
                message=each["message"],
            )
            for each in found["findings"]
        ),
    )
