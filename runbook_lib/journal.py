"""
The run's journal: one JSON line per ARM call, and an intent on disk before each write. Imports `errors`, `records`,
`secrets` and `text`.

Each line carries the sha256 of the line before it, so that none can be dropped, put in or changed without all that
follow.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.errors import BrokenEvidence
from runbook_lib.records import Change, digest
from runbook_lib.secrets import redacted
from runbook_lib.text import inert

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FIRST", "Journal", "chained"]

# What the first line has in place of the sha256 of a line before it.
FIRST = "0" * 64
# Bytes that are read at a time when the last line is looked for.
_PIECE = 1 << 16


def chained(entry: dict[str, Any], previous: str) -> tuple[bytes, str]:
    """
    Return the line of *entry*, with the sha256 of the line before it, and the line's own.
    """
    # Messages from Azure can hold half a surrogate pair: its escape is valid JSON, its bytes would be no UTF-8.
    text = redacted(inert(json.dumps(entry | {"previous": previous}, ensure_ascii=False, sort_keys=True)))
    line = text.encode(errors="backslashreplace")
    return line + b"\n", hashlib.sha256(line).hexdigest()


class Journal:
    """
    Append-only file shared by the run's processes; one writes at a time, so that lines never mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        # Where this object's last line ended, and its sha256.
        self._end = (0, FIRST)

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

    def entries(self, broken: Callable[[int], None] | None = None) -> Iterator[dict[str, Any]]:
        """
        Read all lines.

        Args:
            broken: called with the number of each line that does not follow the one before it.

        Raises:
            BrokenEvidence: a line is no JSON object.
        """
        if not self.path.exists():
            return
        if self.path.is_symlink() or not self.path.is_file():
            raise BrokenEvidence("evidence_no_file", resource=str(self.path))
        previous = FIRST
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    # The process died in the middle of this line; what it was about is read back from the service.
                    if broken is not None:
                        broken(number)
                    return
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise BrokenEvidence("journal_line", resource=str(self.path), line=number) from error
                if not isinstance(entry, dict):
                    raise BrokenEvidence("journal_line", resource=str(self.path), line=number)
                if broken is not None:
                    if entry.get("previous") != previous:
                        broken(number)
                    previous = hashlib.sha256(line[:-1]).hexdigest()
                yield entry

    def _append(self, entry: dict[str, Any], *, durable: bool) -> None:
        flags = os.O_APPEND | os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, 0o600)
        try:
            with self._lock, _alone(handle):
                size, previous = self._last_line(handle)
                stamped = {"at": datetime.now(UTC).isoformat(timespec="milliseconds")} | entry
                line, sha256 = chained(stamped, previous)
                if os.write(handle, line) < len(line):
                    # The disk is full: half a line is none.
                    os.ftruncate(handle, size)
                    raise BrokenEvidence("journal_full", resource=str(self.path))
                self._end = (size + len(line), sha256)
            if durable:
                # Not one after the other: those who wait at the same time are served together.
                os.fsync(handle)
        finally:
            os.close(handle)

    def _last_line(self, handle: int) -> tuple[int, str]:
        """
        Return where the last whole line ends, and its sha256; half a line after it, of a process that died, is cut off.
        """
        size = os.fstat(handle).st_size
        if size == self._end[0]:
            return self._end
        tail, start = b"", size
        while start and tail.count(b"\n") < 2:
            start = max(0, start - _PIECE)
            os.lseek(handle, start, os.SEEK_SET)
            tail = os.read(handle, size - start)
        end = tail.rfind(b"\n") + 1
        if end < len(tail):
            os.ftruncate(handle, start + end)
        if not end:
            return 0, FIRST
        last = tail[tail.rfind(b"\n", 0, end - 1) + 1 : end - 1]
        return start + end, hashlib.sha256(last).hexdigest()


@contextmanager
def _alone(handle: int) -> Iterator[None]:
    """
    Keep the run's other processes from writing for the time of the block.
    """
    if sys.platform == "win32":
        # A byte that no journal reaches: what is locked could not be read.
        os.lseek(handle, 1 << 40, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            os.lseek(handle, 1 << 40, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


def _named(change: Change) -> dict[str, str]:
    return {
        "kind": change.kind,
        "step": change.step,
        "target": change.target,
        # Several rules go into one security group.
        "part": change.facts.get("rule", ""),
        "change_sha256": change.sha256,
    }
