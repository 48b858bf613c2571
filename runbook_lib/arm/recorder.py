"""
Reads as a session does and keeps each answer in a file as it comes, so that an interrupted reading goes on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from runbook_lib.arm.scrub import scrubbed
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.wire import Json
from runbook_lib.errors import InvalidParameters, ReadFailed
from runbook_lib.records import Target, key

__all__ = ["Kept", "Recorder", "TooOld", "named"]

T = TypeVar("T")
R = TypeVar("R")

# No answer at all, or none within the time that the service's limits ask for: it is worth trying again.
PASSING = (0, 429)
SECONDS = 5.0
# What is older, by the service's clock, is not gone on with: the estate has moved, and a copy is of one time.
OLDEST = timedelta(hours=24)


class TooOld(Exception):
    """
    What an earlier try left is of another time.
    """


@dataclass(slots=True)
class Kept:
    """
    The answer to one request.

    Attributes:
        rows: of a list, over the pages that were read; None for a single resource.
        following: link to the list's next page: its own path before the first one, empty after the last.
    """

    path: str
    query: dict[str, str]
    body: Json = field(default_factory=dict)
    rows: list[Json] | None = None
    following: str = ""


class Recorder:
    """
    Reads as a session does, but nothing twice: each answer is kept in a file, and taken from there.
    """

    def __init__(self, session: Session, part: Path, header: Json, told: Callable[[int, int], None]) -> None:
        self._session = session
        self._part = part
        self._told = told
        self._next = time.monotonic() + SECONDS
        self._lock = threading.Lock()
        self._now: datetime | None = None
        self._since: datetime | None = None
        self.answers: dict[str, Kept] = {}
        self.refusals: dict[str, tuple[Kept, ArmError]] = {}
        self.asked = 0
        self.kept = 0
        self._load(header)
        # Windows, which has no such flag, lets few make links.
        follow = getattr(os, "O_NOFOLLOW", 0)
        self._handle = os.open(part, os.O_APPEND | os.O_CREAT | os.O_WRONLY | follow, 0o600)
        if not self._started:
            self._write(header)

    def close(self) -> None:
        """
        Close the file.
        """
        os.close(self._handle)

    @property
    def target(self) -> Target:
        """
        Where it reads.
        """
        return self._session.target

    @property
    def now(self) -> datetime:
        """
        The service's clock at its newest answer.
        """
        return self._session.now if self._now is None else self._now

    @property
    def since(self) -> datetime:
        """
        The service's clock at its oldest answer.
        """
        return self.now if self._since is None else self._since

    def refuse_old(self) -> None:
        """
        Refuse what an earlier try left, if by now it is too old. Without a new answer the clock is this machine's.

        Raises:
            TooOld: it is.
        """
        answered = self.asked or self.refusals
        now = self._session.now if answered else datetime.fromtimestamp(self._session.clock(), UTC)
        if self.kept and now - self.since > OLDEST:
            raise TooOld

    def each(self, look: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """
        Do the same for each of *items*; see `Session.each`.
        """
        return self._session.each(look, items)

    def get(self, path: str, api_version: str, **query: str) -> Json:
        """
        Read one resource; see `Session.get`.
        """
        kept = Kept(path=path, query=query)
        name = named(path, query)
        if name in self.answers:
            return self.answers[name].body
        with self._refusing(kept):
            kept.body = scrubbed(self._session.get(path, api_version, **query))
        self.answers[name] = kept
        self._keep(kept, {"body": kept.body})
        return kept.body

    def rows(self, path: str, api_version: str, **query: str) -> Iterator[Json]:
        """
        Read a list; see `Session.rows`.
        """
        name = named(path, query)
        kept = self.answers.setdefault(name, Kept(path=path, query=query, rows=[], following=path))
        try:
            yield from self._rows(kept, api_version)
        except ArmError:
            # Half a list is none.
            del self.answers[name]
            raise

    def _rows(self, kept: Kept, api_version: str) -> Iterator[Json]:
        found: list[Json] = kept.rows if kept.rows is not None else []
        after = "" if kept.following == kept.path else kept.following
        if found and after:
            # What the link of an earlier reading leads to may be gone by now.
            try:
                self._more(kept, api_version, after)
            except ArmError as error:
                if error.status in PASSING:
                    raise self._interrupted(error) from error
                found.clear()
                kept.following = kept.path
        if kept.following:
            with self._refusing(kept):
                self._more(kept, api_version, "")
        yield from found

    def _more(self, kept: Kept, api_version: str, after: str) -> None:
        found: list[Json] = kept.rows if kept.rows is not None else []
        for page, following in self._session.pages(kept.path, api_version, after, **kept.query):
            rows = [scrubbed(row) for row in page]
            first = kept.following == kept.path
            found.extend(rows)
            kept.following = following
            self._keep(kept, {"rows": rows, "first": first, "following": following})

    @contextmanager
    def _refusing(self, kept: Kept) -> Iterator[None]:
        """
        Note what is refused in the block, and pass it on.

        Raises:
            ReadFailed: there is no answer yet, rather than one that says no.
        """
        try:
            yield
        except ArmError as error:
            if error.status in PASSING:
                raise self._interrupted(error) from error
            with self._lock:
                self.refusals[named(kept.path, kept.query)] = (kept, error)
            raise

    def _interrupted(self, error: ArmError) -> ReadFailed:
        return ReadFailed("snapshot_interrupted", resource=str(self._part), problem=str(error))

    def _keep(self, kept: Kept, answer: Json) -> None:
        with self._lock:
            self.asked += 1
            self.refuse_old()
            self._saw(self._session.now)
            entry = {"path": kept.path, "query": kept.query, "at": self.now.isoformat()} | answer
            self._write(entry)
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + SECONDS
        self._told(self.asked, round(self._session.limiter.waited))

    def _saw(self, now: datetime) -> None:
        self._now = max(now, self._now or now)
        self._since = min(now, self._since or now)

    def _write(self, entry: Json) -> None:
        os.write(self._handle, _line(entry))

    def _load(self, header: Json) -> None:
        """
        Take over what an earlier reading left; a line that it did not end is cut off.

        Raises:
            InvalidParameters: that was of another target, or asked for something else; the file is left as it is.
        """
        self._started = False
        if not self._part.exists():
            return
        whole = self._part.read_bytes()
        ended = whole.rfind(b"\n") + 1
        lines = whole[:ended].splitlines()
        try:
            if not lines and not _line(header).startswith(whole):
                raise ValueError
            first, *entries = map(json.loads, lines or [_line(header)])
            if first != header:
                raise ValueError
            for entry in entries:
                self._take(entry)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise InvalidParameters("snapshot_other", name="FILE", resource=str(self._part)) from error
        # Only now is it known whose file it is.
        if len(whole) != ended:
            os.truncate(self._part, ended)
        if not lines:
            return
        self._started, self.kept = True, len(entries)

    def _take(self, entry: Json) -> None:
        name = named(entry["path"], entry["query"])
        self._saw(datetime.fromisoformat(entry["at"]).astimezone(UTC))
        kept = self.answers.get(name)
        if "rows" not in entry:
            self.answers[name] = Kept(path=entry["path"], query=entry["query"], body=entry["body"])
            return
        if kept is None or entry["first"]:
            kept = self.answers[name] = Kept(path=entry["path"], query=entry["query"], rows=[])
        rows: list[Json] = kept.rows if kept.rows is not None else []
        rows.extend(entry["rows"])
        kept.following = entry["following"]


def _line(entry: Json) -> bytes:
    # The escapes of half a surrogate pair are JSON; its bytes would be no UTF-8.
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def named(path: str, query: Mapping[str, str]) -> str:
    """
    Name a request among all that are kept: by its path, in whatever case, and its query.
    """
    return "&".join([key(path), *(f"{name}={value}" for name, value in sorted(query.items()))])
