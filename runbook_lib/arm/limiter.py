"""
How fast requests may be sent: what the service says is left, and what it asked to wait, kept for all who share them.

Resource Manager gives each principal of a subscription a bucket of reads, one of writes and one of deletes, and some
providers give single actions a budget of their own (request limits and throttling, page of 2025-05-28). Nothing is
known of a budget before the service has told of it, so nothing is held back before. Imports `private`.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from runbook_lib.private import make_file

__all__ = ["Budgets", "Limiter", "budgets_of"]

_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
# Requests that come back in a second, as documented; what is measured takes their place.
_REFILL = {"reads": 25.0, "writes": 10.0, "deletes": 10.0}
_OWN_BUDGET = "x-ms-ratelimit-remaining-subscription-resource-requests"
# Seconds that a rate is measured over, and how many answers it takes.
_SPAN = 0.5
_ANSWERS = 10
_SCHEMA = """
CREATE TABLE IF NOT EXISTS budget
(name TEXT PRIMARY KEY, tokens REAL, at REAL NOT NULL, rate REAL, until REAL NOT NULL, own INTEGER NOT NULL)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """
    The two budgets that a request may count for.

    Attributes:
        kind: name of the subscription's bucket of reads, writes or deletes.
        action: name of the action's own.
        header: where the service tells what is left in the bucket.
        refill: requests that come back to the bucket in a second, as documented.
    """

    kind: str
    action: str
    header: str
    refill: float


def budgets_of(method: str, url: str, principal: str) -> Budgets:
    """
    Name the budgets of a request to Resource Manager.
    """
    kind = _KINDS.get(method, "writes")
    words = urlsplit(url).path.strip("/").lower().split("/")
    subscription = words[1] if words[0] == "subscriptions" and len(words) > 1 else ""
    provider, *rest = (words[words.index("providers") + 1 :] if "providers" in words else []) or [""]
    # Types and names take turns after the provider; which resource it is does not matter.
    owner = f"{subscription or 'tenant'}|{principal}"
    return Budgets(
        kind=f"{owner}|{kind}",
        action=f"{owner}|{'/'.join((provider, *rest[::2]))}|{kind}",
        header=f"x-ms-ratelimit-remaining-{'subscription' if subscription else 'tenant'}-{kind}",
        refill=_REFILL[kind],
    )


@dataclass(slots=True)
class _Row:
    tokens: float | None
    at: float
    rate: float | None
    until: float
    own: bool

    def left(self, now: float) -> float | None:
        return None if self.tokens is None else self.tokens + (now - self.at) * (self.rate or 0.0)

    def pause(self, now: float) -> float:
        """
        Return how long to wait for a token; 0 where one is there, or nobody knows.
        """
        left = self.left(now)
        short = (1 - left) / self.rate if left is not None and left < 1 and self.rate else 0.0
        return max(self.until - now, short, 0.0)


@dataclass(slots=True)
class _Measure:
    """
    What came of the requests of one budget in this process.
    """

    flying: int = 0
    answered: int = 0
    since: float = 0.0
    then: float | None = None
    most: float = 0.0


class Limiter:
    """
    Lets requests through as fast as their budgets allow; any number of threads, and of processes with one *path*.

    Args:
        path: file that processes share; None for this one alone.
        clock: seconds on the target's clock.
        sleep: waits on that clock.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        if path is not None:
            make_file(path)
        self._db = sqlite3.connect(
            path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False, cached_statements=16
        )
        with closing(self._db.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute(_SCHEMA)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._gates: dict[str, threading.Lock] = {}
        self._measures: dict[str, _Measure] = {}
        self.waited = 0.0
        self.refusals = 0

    def close(self) -> None:
        """
        Close the file.
        """
        self._db.close()

    def acquire(self, budgets: Budgets) -> None:
        """
        Wait until a request may be sent, and count it.
        """
        with self._lock:
            gate = self._gates.setdefault(budgets.action, threading.Lock())
        # One at a time: waits side by side would add up on a virtual clock, and all end at once on a real one.
        with gate:
            while (pause := self._take(budgets)) > 0:
                self.waited += pause
                self._sleep(pause)

    def answered(self, budgets: Budgets, headers: Mapping[str, str]) -> None:
        """
        Take in what an answer tells; one that tells nothing, or none at all, just ends the request.
        """
        own, shared = _number(headers.get(_OWN_BUDGET)), _number(headers.get(budgets.header))
        with self._lock, self._transaction():
            now = self._clock()
            kind, action = self._row(budgets.kind, now), self._row(budgets.action, now)
            measure = self._measures.setdefault(budgets.action if action.own else budgets.kind, _Measure())
            measure.flying = max(0, measure.flying - 1)
            if own is not None:
                action.own = True
                action.tokens, action.at = own, now
                self._write(budgets.action, action)
            if shared is not None:
                self._learn(self._measures.setdefault(budgets.kind, _Measure()), kind, shared, now, budgets.refill)
                self._write(budgets.kind, kind)

    def refused(self, budgets: Budgets, seconds: float, *, whole: bool) -> None:
        """
        Hold back what counts for a budget that is used up.

        Args:
            whole: whether it is the subscription's bucket, not the action's budget.
        """
        self.refusals += 1
        name = budgets.kind if whole else budgets.action
        with self._lock, self._transaction():
            now = self._clock()
            row = self._row(name, now)
            row.until = max(row.until, now + seconds)
            row.tokens, row.at = (0.0, now) if row.tokens is not None else (None, now)
            if row.rate:
                row.rate *= 0.9
            self._write(name, row)

    def _learn(self, measure: _Measure, row: _Row, told: float, now: float, refill: float) -> None:
        """
        Correct what is thought to be left, and how fast it comes back.
        """
        measure.most = max(measure.most, told)
        measure.answered += 1
        if measure.then is None or now < measure.since:
            measure.since, measure.then, measure.answered = now, told, 0
        span = now - measure.since
        if span >= _SPAN and measure.answered >= _ANSWERS:
            # A bucket that is nearly full takes back no more than was taken out, and tells nothing of its rate.
            if max(told, measure.then) < measure.most * 0.9:
                row.rate = max((told - measure.then + measure.answered) / span, 0.1)
            measure.since, measure.then, measure.answered = now, told, 0
        row.rate = row.rate or refill
        thought, truth = row.left(now), told - measure.flying
        # Answers overtake each other: what says less is believed at once, what says more by and by.
        row.tokens = truth if thought is None or truth < thought else thought + (truth - thought) / 4
        row.at = now

    def _take(self, budgets: Budgets) -> float:
        with self._lock, self._transaction():
            now = self._clock()
            kind, action = self._row(budgets.kind, now), self._row(budgets.action, now)
            counted = {budgets.action: action} if action.own else {budgets.action: action, budgets.kind: kind}
            pause = max(row.pause(now) for row in counted.values())
            if pause > 0:
                # A little more each time, so that those who share a budget do not all come back at once.
                return pause * random.uniform(1.0, 1.05)
            for name, row in counted.items():
                if row.tokens is not None:
                    row.tokens, row.at = (row.left(now) or 0.0) - 1, now
                    self._write(name, row)
            self._measures.setdefault(budgets.action if action.own else budgets.kind, _Measure()).flying += 1
            return 0.0

    def _row(self, name: str, now: float) -> _Row:
        found = self._db.execute("SELECT tokens, at, rate, until, own FROM budget WHERE name = ?", (name,)).fetchone()
        # A sandbox that was loaded anew may have turned its clock back.
        if found is None or found[1] > now + 1:
            return _Row(None, now, None, 0.0, False)
        return _Row(found[0], found[1], found[2], found[3], bool(found[4]))

    def _write(self, name: str, row: _Row) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO budget (name, tokens, at, rate, until, own) VALUES (?, ?, ?, ?, ?, ?)",
            (name, row.tokens, row.at, row.rate, row.until, row.own),
        )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """
    All or nothing, with no other process in between.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _number(told: str | None) -> float | None:
    return float(told) if told is not None and told.strip().isdecimal() else None
