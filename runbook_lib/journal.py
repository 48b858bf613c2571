"""
The run's journal: one JSON line per ARM call, and an intent on disk before each write. Imports `errors`, `records`
and `text`.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.errors import BrokenEvidence
from runbook_lib.records import Change, digest
from runbook_lib.text import inert

__all__ = ["Journal", "redacted"]

# The service's own messages may quote a signed URL, a key or a token.
_SECRET = re.compile(r"(sig=|accountkey=|bearer )[^&;\s\"\\]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """
    Take out of *text* what opens something; whatever the service says goes through here before it is kept or shown.
    """
    return _SECRET.sub(r"\1REDACTED", text)


class Journal:
    """
    Append-only file shared by the run's processes; each line is one `O_APPEND` write, so that lines never mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def call(self, entry: dict[str, Any]) -> None:
        """
        Record an ARM call after the fact.
        """
        self._append({"entry": "call"} | entry, durable=False)

    def intent(self, change: Change) -> None:
        """
        Record that *change* is about to be sent; on disk before this returns.
        """
        self._append(
            {
                "entry": "intent",
                **_named(change),
                "body_sha256": digest(change.body),
            },
            durable=True,
        )

    def result(self, change: Change, outcome: str, **facts: Any) -> None:
        """
        Record how a change ended; see `arm.apply.Applied`.

        Should this be lost with the machine, the intent is left, and what became of it is read back.
        """
        self._append({"entry": "result", **_named(change), "outcome": outcome} | facts, durable=False)

    def note(self, what: str, **facts: Any) -> None:
        """
        Record something else that the evidence must hold, such as an approval.
        """
        self._append({"entry": what} | facts, durable=True)

    def open_intents(self) -> set[str]:
        """
        Return the digests of changes that may have been sent, and of which nobody knows how they ended.

        Raises:
            BrokenEvidence: a line is no JSON object.
        """
        found: set[str] = set()
        for entry in self.entries():
            if entry["entry"] == "intent" or entry.get("outcome") == "in_doubt":
                found.add(entry["change_sha256"])
            elif entry["entry"] == "result":
                found.discard(entry["change_sha256"])
        return found

    def entries(self) -> Iterator[dict[str, Any]]:
        """
        Read all lines.

        Raises:
            BrokenEvidence: a line is no JSON object.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    # The process died in the middle of this line; what it was about is read back from the service.
                    return
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise BrokenEvidence("journal_line", resource=str(self.path), line=number) from error
                if not isinstance(entry, dict):
                    raise BrokenEvidence("journal_line", resource=str(self.path), line=number)
                yield entry

    def _append(self, entry: dict[str, Any], *, durable: bool) -> None:
        stamped = {"at": datetime.now(UTC).isoformat(timespec="milliseconds")} | entry
        # Messages from Azure can hold half a surrogate pair: its escape is valid JSON, its bytes would be no UTF-8.
        text = redacted(inert(json.dumps(stamped, ensure_ascii=False, sort_keys=True)))
        line = text.encode(errors="backslashreplace") + b"\n"
        handle = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            with self._lock:
                os.write(handle, line)
            if durable:
                # Not one after the other: those who wait at the same time are served together.
                os.fsync(handle)
        finally:
            os.close(handle)


def _named(change: Change) -> dict[str, str]:
    return {
        "kind": change.kind,
        "step": change.step,
        "target": change.target,
        # Several rules go into one security group.
        "part": change.facts.get("rule", ""),
        "change_sha256": change.sha256,
    }
