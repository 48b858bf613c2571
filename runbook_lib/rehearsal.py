"""
What an apply on a copy of an estate tells of the real one: how many calls it takes, and how long. Imports `arm.wire`,
`records`, `render` and `text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runbook_lib.arm.wire import http_date
from runbook_lib.records import Origin
from runbook_lib.render import plain
from runbook_lib.text import say

__all__ = ["Estimate", "estimate", "lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    What an apply took; times are the target's.

    Attributes:
        reads: requests that read, the polling of operations among them.
        writes: all other requests, questions by POST among them: Resource Manager counts them so.
        refused: of both, how many were refused for the limits and sent again.
        around: requests before and after: reading the estate, planning, reading back.
        seconds: from its first answer to its last.
        waited: seconds that were waited for the limits.
    """

    reads: int
    writes: int
    refused: int
    around: int
    seconds: float
    waited: float


def estimate(entries: Iterable[Mapping[str, Any]]) -> Estimate:
    """
    Count in a run's journal what its applying took.
    """
    reads = writes = refused = around = 0
    seconds = waited = 0.0
    last: datetime | None = None
    applying = False
    for entry in entries:
        if entry["entry"] == "approved":
            applying = True
        elif entry["entry"] == "limits":
            applying, last = False, None
            waited += entry["waited_seconds"]
        elif entry["entry"] == "call" and not applying:
            around += 1
        elif entry["entry"] == "call":
            reads += entry["method"] == "GET"
            writes += entry["method"] != "GET"
            refused += entry["status"] == 429
            if now := http_date(entry.get("date", "")):
                # Answers overtake each other.
                seconds += max(0.0, (now - last).total_seconds()) if last else 0.0
                last = max(now, last) if last else now
    return Estimate(reads=reads, writes=writes, refused=refused, around=around, seconds=seconds, waited=waited)


def lines(found: Estimate, origin: Origin, throttle: str, folder: str, options: str, language: str) -> list[str]:
    """
    Say what applying the plan to the original will take, what that rests on, and how it is done.

    Args:
        throttle: the limits that held, as the sandbox's profile names them.
        folder: of the rehearsal.
        options: of the command that applies, each after a space.
    """
    said = [say("copy.of", language, mark=origin.mark, when=origin.read_at.isoformat(timespec="seconds"))]
    if found.writes:
        # Where all was there already, nothing was rehearsed that would take time.
        said += [
            say(
                "copy.takes",
                language,
                minutes=f"{found.seconds / 60:.1f}".replace(".", say("copy.point", language)),
                reads=found.reads,
                writes=found.writes,
                refused=found.refused,
                waited=f"{found.waited:.0f}",
                around=found.around,
            ),
            say("copy.assumed", language, throttle=throttle),
        ]
    said.append(say("copy.apply", language, folder=folder, kind=origin.kind, options=options))
    return [plain(line) for line in said]
