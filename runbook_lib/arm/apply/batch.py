"""
Many changes at once: sent as fast as the limits allow, followed together, each answer that was lost read back.

Progress is read off the lists of protected items, so that the number of reads does not grow with the number of VMs; an
operation is asked for by itself only where the list does not show what it was to make.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import ceil
from typing import TypeVar

from azure.core.exceptions import AzureError, HttpResponseError

from runbook_lib.arm.apply.operations import Operation, OperationFailed, ask, begun
from runbook_lib.arm.apply.readback import is_under_way, items_of, leaves_trace, what_became
from runbook_lib.arm.apply.writers import WRITERS
from runbook_lib.arm.patience import PASSING, backoff
from runbook_lib.arm.pipeline import public_url
from runbook_lib.arm.session import WORKERS, ArmError, Session
from runbook_lib.plan import is_done
from runbook_lib.records import Change, Inventory, key, subscription_of
from runbook_lib.secrets import redacted

__all__ = ["Applied", "Batch"]

T = TypeVar("T")
R = TypeVar("R")

# Seconds until an operation that has not ended is in doubt; the recorded ones of this job end within two minutes.
DEADLINE = 600.0
# Seconds until the write of a protected item, which is not to be seen while it is being done, is sent again: the
# longest recorded time to enable a VM is 58.
HIDDEN = 90.0
# Sends of one change, when no answer comes.
TRIES = 3
# Requests at a time in all subscriptions.
MOST_WORKERS = 64
# Changes that are sent between two signs of life, and looks at what was sent before while more is being sent.
CHUNK = 100
LOOKS = 4
# Seconds between two looks, and operations that are asked for one by one in each.
LOOK = 30.0
MOST_ASKED = 20
# Seconds to wait for other work that is in the way.
BUSY = 10.0
# Other work in the way: what was refused then is sent again when that has ended (azure-contract, errors).
_BUSY = frozenset(
    {
        "anotheroperationinprogress",
        "bmsusererrorconflictingprotectionoperation",
        "retryableerror",
        "retryableerrordueetoanotheroperation",
        "retryableerrorduetoanotheroperation",
        "rsvaultupdateerrorconflictingoperationinprogress",
    }
)
# Not to be tried again, by whomever: the service shuts its doors for hours.
_STOPPING = frozenset({"clouddostimeboudlimitreached"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """
    How one change ended: `done`, `adopted`, `failed`, `in_doubt` or `pending`.

    What is in doubt was sent, and nobody could tell in time what became of it; what is pending was not sent. Whoever
    goes on with the run reads what became of the one and sends the other. What is found was sent by an earlier try or
    by somebody else.
    """

    change: Change
    outcome: str
    code: str = ""
    message: str = ""
    found: bool = False

    @property
    def told(self) -> dict[str, str]:
        """
        What the journal has of an end that is not a good one.
        """
        return {"code": self.code, "message": self.message} if self.code else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """
    A change on its way.

    Attributes:
        state: `waiting` to be sent; `running`; `lost`, where no answer came that tells what became of it; `busy`, where
            it was refused for other work and nothing was begun.
        first: when it was first sent, on the target's clock.
        since: when it was sent last, or the service accepted it.
        due: when to look again.
        tries: how often it was sent without an answer.
        operation: of one that runs; without it the resource itself has to be looked at.
        code: of the last error, with its message.
        found: whether it was under way already, and this try has not sent it.
    """

    change: Change
    state: str = "waiting"
    first: float = 0.0
    since: float = 0.0
    due: float = 0.0
    tries: int = 0
    operation: Operation | None = None
    code: str = ""
    message: str = ""
    found: bool = False


class Batch:
    """
    Applies changes that do not rest on each other.

    Args:
        world: the estate, read just before.
        max_errors: how many changes may fail before no more are sent.
        sent: called with how many more were sent.
    """

    def __init__(self, session: Session, world: Inventory, max_errors: int, sent: Callable[[int], None]) -> None:
        self._session = session
        self._world = world
        self._max_errors = max_errors
        self._sent = sent
        self._lock = threading.Lock()
        self._errors = 0
        self._stopped: tuple[str, str] | None = None
        self._waiting: deque[_Flight] = deque()
        self._flying: list[_Flight] = []
        self._workers = 1

    def run(self, changes: Sequence[Change], sent_before: Set[str]) -> Iterator[Applied]:
        """
        Apply *changes* and yield how each ended.

        Args:
            sent_before: digests of those that an earlier try may have sent: they are looked for first, as are those
                that the service is working on, whoever asked for it.
        """
        for change in _in_turns(changes):
            if (change.sha256 in sent_before and leaves_trace(change)) or is_under_way(self._world, change):
                now = self._session.clock()
                self._flying.append(
                    _Flight(change=change, state="lost", first=now, since=now, due=now, tries=1, found=True)
                )
            else:
                self._waiting.append(_Flight(change=change))
        subscriptions = {subscription_of(change.target) for change in changes}
        self._workers = max(1, min(MOST_WORKERS, WORKERS * len(subscriptions), len(changes)))
        between = max(CHUNK, len(changes) // LOOKS)
        while self._waiting or self._flying:
            sent = 0
            while self._waiting and sent < between:
                chunk = [self._waiting.popleft() for _ in range(min(CHUNK, len(self._waiting)))]
                yield from self._take(self._each(self._send, chunk))
                sent += len(chunk)
                self._sent(len(chunk))
            if not self._waiting:
                self._wait()
            yield from self._take(self._look())

    def _each(self, do: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        return self._session.each(do, items, self._workers)

    def _take(self, results: Iterable[Applied | _Flight]) -> Iterator[Applied]:
        for each in results:
            if isinstance(each, Applied):
                found = {"read_back": True} if each.found else {}
                self._session.journal.result(each.change, each.outcome, **each.told, **found)
                yield each
            elif each.state == "waiting":
                self._waiting.append(each)
            else:
                self._flying.append(each)

    def _failed(self, flight: _Flight, outcome: str, code: str, message: str) -> Applied:
        """
        End a change badly; in whatever thread, so that the next one is not even sent when too many failed.
        """
        with self._lock:
            self._errors += 1
            if code.lower() in _STOPPING:
                self._stopped = (code, message)
            elif self._errors > self._max_errors and self._stopped is None:
                self._stopped = ("ErrorBudget", "")
        return Applied(change=flight.change, outcome=outcome, code=code, message=message)

    def _wait(self) -> None:
        """
        Wait until most are due, for one look at all of them costs as much as one at the first; the last of the looks
        comes when the last one is due.
        """
        if not self._flying:
            return
        now, dues = self._session.clock(), [each.due for each in self._flying]
        left = max(dues) - now
        until = max(min(dues), now + left / max(1, ceil(left / LOOK)))
        if until > now:
            self._session.sleep(until - now)

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, flight: _Flight) -> Applied | _Flight:
        change, session = flight.change, self._session
        if self._stopped:
            return Applied(change=change, outcome="pending", code=self._stopped[0], message=self._stopped[1])
        session.journal.intent(change)
        now = session.clock()
        flight = replace(flight, since=now, first=flight.first or now, found=False)
        try:
            with session.guard.writing(change.sha256):
                operation = begun(WRITERS[change.kind](session, change), change.target)
        except HttpResponseError as error:
            return self._refused(flight, error)
        except AzureError as error:
            return self._lost(flight, type(error).__name__, redacted(error.message))
        except ValueError as error:
            # The answer is no JSON, or not about what was written.
            return self._lost(flight, "MalformedBody", str(error))
        if operation is None:
            return Applied(change=change, outcome="done")
        now = session.clock()
        return replace(flight, state="running", operation=operation, since=now, due=now + operation.pause)

    def _refused(self, flight: _Flight, error: HttpResponseError) -> Applied | _Flight:
        code, message = code_of(error), redacted((error.error.message if error.error else error.message) or "")
        if error.status_code in (401, 429):
            # The sign-in is over, or longer than anybody waits: nothing was done, and nothing more is sent in this run.
            self._stopped = (code, message)
            return Applied(change=flight.change, outcome="pending", code=code, message=message)
        if error.status_code is None or error.status_code < 400 or error.status_code in PASSING:
            return self._lost(flight, code, message)
        if code.lower() in _BUSY and self._session.clock() - flight.first < DEADLINE:
            return replace(flight, state="busy", due=self._session.clock() + BUSY, code=code, message=message)
        return self._failed(flight, "failed", code, message)

    def _lost(self, flight: _Flight, code: str, message: str) -> _Flight:
        tries = flight.tries + 1
        due = self._session.clock() + backoff(tries)
        return replace(flight, state="lost", tries=tries, due=due, code=code, message=message)

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self) -> Iterator[Applied | _Flight]:
        """
        See what became of all that is due.
        """
        now = self._session.clock()
        due = [each for each in self._flying if each.due <= now]
        self._flying = [each for each in self._flying if each.due > now]
        hidden = []
        lists = self._listed(due)
        for each in due:
            listed = lists.get(vault_of(each.change))
            world = listed and listed.get(key(each.change.target))
            if world and is_done(world, each.change):
                yield _done(each)
            elif each.state == "lost" and listed is not None and world is None:
                # The list has told it already.
                yield self._again(each)
            else:
                hidden.append(each)
        yield from self._each(self._check, hidden[:MOST_ASKED])
        for each in hidden[MOST_ASKED:]:
            yield replace(each, due=now + LOOK)

    def _listed(self, due: Sequence[_Flight]) -> dict[str, dict[str, Inventory]]:
        """
        List the protected items of the vaults in which several changes are due, by vault and key of the item.
        """
        vaults = Counter(vault for each in due if (vault := vault_of(each.change)))
        several = [vault for vault, count in vaults.items() if count > 1]

        def look(vault: str) -> dict[str, Inventory] | None:
            try:
                return items_of(self._session, self._world, vault)
            except ArmError:
                # Each operation is asked for by itself then.
                return None

        lists = zip(several, self._each(look, several), strict=True)
        return {vault: found for vault, found in lists if found is not None}

    def _check(self, flight: _Flight) -> Applied | _Flight:
        session = self._session
        try:
            if flight.state == "running" and flight.operation and flight.operation.url:
                if ask(session, flight.operation):
                    return _done(flight)
            else:
                became = what_became(session, self._world, flight.change)
                if became == "there":
                    return _done(flight)
                if became == "broken":
                    return self._failed(flight, "failed", flight.code or "ProvisioningFailed", flight.message)
                if became == "absent" and flight.state == "busy":
                    return replace(flight, state="waiting")
                if became == "absent" and flight.state == "lost":
                    return self._again(flight)
        except OperationFailed as error:
            return self._failed(flight, "failed", error.code, error.message)
        except ArmError as error:
            if error.status == 404 and flight.state == "running":
                # Nobody knows of the operation any more: the resource itself tells, where there is one.
                return self._lost(flight, error.code, error.message) if leaves_trace(flight.change) else _done(flight)
            flight = replace(flight, code=error.code, message=error.message)
        return self._later(flight)

    def _again(self, flight: _Flight) -> Applied | _Flight:
        """
        Go on with a change that has left no trace: it may still come to be seen, else it is sent once more.
        """
        now = self._session.clock()
        if vault_of(flight.change) and now - flight.since < HIDDEN:
            return replace(flight, due=now + LOOK)
        if flight.tries >= TRIES:
            return self._failed(flight, "failed", flight.code, flight.message)
        return replace(flight, state="waiting")

    def _later(self, flight: _Flight) -> Applied | _Flight:
        now = self._session.clock()
        if now - flight.since < DEADLINE:
            pause = flight.operation.pause if flight.operation else LOOK
            return replace(flight, due=now + pause)
        url = public_url(flight.operation.url) if flight.operation else ""
        return self._failed(flight, "in_doubt", flight.code or "Timeout", url)


def code_of(error: HttpResponseError) -> str:
    """
    Return the service's code, or the status where it gives none.
    """
    return error.error.code if error.error and error.error.code else f"HTTP {error.status_code}"


def vault_of(change: Change) -> str:
    """
    Return the id of the vault that a change of a protected item is about; empty for any other change.
    """
    vault, found, _ = change.target.lower().partition("/backupfabrics/")
    return change.target[: len(vault)] if found else ""


def _done(flight: _Flight) -> Applied:
    return Applied(change=flight.change, outcome="done", found=flight.found)


def _in_turns(changes: Iterable[Change]) -> Iterator[Change]:
    """
    Take changes from all subscriptions in turn: each has a bucket of its own.
    """
    own: dict[str, list[Change]] = {}
    for change in changes:
        own.setdefault(subscription_of(change.target), []).append(change)
    for together in zip_longest(*own.values()):
        yield from (each for each in together if each is not None)
