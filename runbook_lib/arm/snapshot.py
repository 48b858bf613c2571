"""
A copy of an estate: what a run would read, kept as the service told it, so that a sandbox can tell it again.

`read_inventory` reads through a recorder, so that the copy holds neither more nor less than a run looks at. Each page
goes into a file of its own as it comes, and an interrupted reading goes on after the last one within a day; it is read
anew later, and where it ended in an error of its own, which what was read may be the cause of. A copy is as old as its
oldest answer. What could not be read becomes a rule by which the sandbox refuses it as the service did. Nothing that
opens something is kept.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runbook_lib.arm.inventory import API_VERSIONS, read_inventory
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.wire import Json, as_text, properties_of
from runbook_lib.checks import BACKUP_EXTENSIONS
from runbook_lib.checks.kinds import RECOVERY_SERVICES
from runbook_lib.errors import InvalidParameters, ReadFailed
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, Origin, Target, Unread, key
from runbook_lib.secrets import public_members
from runbook_lib.selection import VMS

__all__ = ["LEFT_OUT", "Snapshot", "read_snapshot", "scrubbed"]

LEFT_OUT = "NotInSnapshot"
# No answer at all, or none within the time that the service's limits ask for: it is worth trying again.
PASSING = (0, 429)
SECONDS = 5.0
# What is older, by the service's clock, is not gone on with: the estate has moved, and a copy is of one time.
OLDEST = timedelta(hours=24)
# Parameters that name some of the VMs: a copy holds all of them, for nobody could tell the others from absent ones.
_SELECTING = ("vm_selector", "location")
_STATUS_ONLY = {"statusOnly": "true"}
# What is left of a VM's system settings; everything else there is, or may be, a secret. All names are compared in lower
# case, for services and people spell them as they like.
_OS_PROFILE = frozenset({"computername", "allowextensionoperations", "requireguestprovisionsignal"})
_OS_SETTINGS = frozenset({"provisionvmagent", "enableautomaticupdates", "patchsettings", "timezone"})
_OS_KINDS = frozenset({"windowsconfiguration", "linuxconfiguration"})
# Members that hold secrets, or what a script printed, wherever they stand.
_SECRETS = frozenset(
    {
        "adminpassword",
        "commandtoexecute",
        "customdata",
        "password",
        "protectedsettings",
        "protectedsettingsfromkeyvault",
        "script",
        "substatuses",
        "userdata",
    }
)
# Members that hold extensions, and those that only an extension has: the service may leave out any of them.
_EXTENSIONS = frozenset({"extensionhandlers", "extensionprofile", "extensions"})
_EXTENSION = frozenset({"autoupgrademinorversion", "enableautomaticupgrade", "forceupdatetag", "typehandlerversion"})
# The messages of other extensions hold what a script printed; that of the VM quotes them.
_STATUS = frozenset({"status", "statuses"})
_BACKUP = frozenset({f"microsoft.azure.recoveryservices.{each}" for each in BACKUP_EXTENSIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    What was read of an estate.

    Attributes:
        origin: what it is a copy of, read at the time of its oldest answer.
        until: the service's clock at the newest answer.
        resources: ARM bodies, by lower-cased id.
        status: what else is known of VMs, vaults and items, by lower-cased id.
        faults: rules by which a sandbox refuses what is not here.
        asked: how many requests were answered this time.
        kept: how many answers were there from an earlier time.
    """

    origin: Origin
    until: datetime
    inventory: Inventory
    resources: dict[str, Json]
    status: dict[str, Json]
    faults: tuple[Json, ...]
    asked: int
    kept: int

    @property
    def unread(self) -> tuple[Unread, ...]:
        """
        What could not be read.
        """
        return self.inventory.unread


def read_snapshot(session: Session, asked: Parameters, part: Path, told: Callable[[int, int], None]) -> Snapshot:
    """
    Read the estate as far as a run with these parameters would, for all VMs of its subscriptions.

    Args:
        part: file of what was read so far; left where it is, for whoever writes the copy to remove. One that is older
            than a day, or that leads to an error, is removed, and all is read anew.
        told: called every few seconds with how many requests were answered, and how many seconds were waited for the
            service's limits.

    Raises:
        ReadFailed: no answer came, or the limits hold for too long; what was read is in *part*.
        InvalidParameters: they select some of the VMs, or *part* is of another reading.
        SignInError: the target refuses the caller.
    """
    for name in _SELECTING:
        if getattr(asked, name) != getattr(Parameters(), name):
            raise InvalidParameters("snapshot_selects", name=name)
    recorder = _Recorder(session, part, _header(session, asked), told)
    try:
        with closing(recorder):
            inventory = read_inventory(recorder, asked)
            if asked.change_policy:
                # Which of them a rehearsal brings under another policy is not known yet.
                _read_points(recorder, inventory)
            recorder.refuse_old()
    except (InvalidParameters, _TooOld):
        part.unlink()
        if recorder.kept:
            return read_snapshot(session, asked, part, told)
        raise
    target = inventory.target
    subscriptions = _subscriptions(inventory, asked)
    origin = Origin(
        kind=target.kind, name=target.name, tenant=target.tenant, subscriptions=subscriptions, read_at=recorder.since
    )
    resources, status = _assembled(recorder, subscriptions)
    return Snapshot(
        origin=origin,
        until=recorder.now,
        inventory=inventory,
        resources=resources,
        status=status,
        faults=tuple(_faults(recorder, inventory)),
        asked=recorder.asked,
        kept=recorder.kept,
    )


def _header(session: Session, asked: Parameters) -> Json:
    left_out = ("apply", "run_dir", "language")
    return {
        "snapshot": 1,
        "target": session.target.mark,
        "place": session.place,
        "asked": {name: value for name, value in asked.as_dict().items() if name not in left_out},
    }


def _subscriptions(inventory: Inventory, asked: Parameters) -> tuple[str, ...]:
    also = () if asked.vault_subscription == "same" else (asked.vault_subscription,)
    named = (*asked.subscription_ids, *also) if asked.subscription_ids else tuple(inventory.subscriptions)
    return tuple(sorted({each.lower().rpartition("/")[2] for each in named}))


def _read_points(recorder: _Recorder, inventory: Inventory) -> None:
    for item in inventory.items.values():
        try:
            for _ in recorder.rows(f"{item.id}/recoveryPoints", API_VERSIONS["backup"]):
                continue
        except ArmError:
            # On record with the other refusals; who needs these points is told that they are not known.
            continue


# --- what is kept as it comes ---------------------------------------------------------------------------------------


class _TooOld(Exception):
    """
    What an earlier try left is of another time.
    """


@dataclass(slots=True)
class _Kept:
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


class _Recorder:
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
        self.answers: dict[str, _Kept] = {}
        self.refusals: dict[str, tuple[_Kept, ArmError]] = {}
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
            _TooOld: it is.
        """
        answered = self.asked or self.refusals
        now = self._session.now if answered else datetime.fromtimestamp(self._session.clock(), UTC)
        if self.kept and now - self.since > OLDEST:
            raise _TooOld

    def get(self, path: str, api_version: str, **query: str) -> Json:
        """
        Read one resource; see `Session.get`.
        """
        kept = _Kept(path=path, query=query)
        name = _name(path, query)
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
        name = _name(path, query)
        kept = self.answers.setdefault(name, _Kept(path=path, query=query, rows=[], following=path))
        try:
            yield from self._rows(kept, api_version)
        except ArmError:
            # Half a list is none.
            del self.answers[name]
            raise

    def _rows(self, kept: _Kept, api_version: str) -> Iterator[Json]:
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

    def _more(self, kept: _Kept, api_version: str, after: str) -> None:
        found: list[Json] = kept.rows if kept.rows is not None else []
        for page, following in self._session.pages(kept.path, api_version, after, **kept.query):
            rows = [scrubbed(row) for row in page]
            first = kept.following == kept.path
            found.extend(rows)
            kept.following = following
            self._keep(kept, {"rows": rows, "first": first, "following": following})

    @contextmanager
    def _refusing(self, kept: _Kept) -> Iterator[None]:
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
                self.refusals[_name(kept.path, kept.query)] = (kept, error)
            raise

    def _interrupted(self, error: ArmError) -> ReadFailed:
        return ReadFailed("snapshot_interrupted", resource=str(self._part), problem=str(error))

    def _keep(self, kept: _Kept, answer: Json) -> None:
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
        name = _name(entry["path"], entry["query"])
        self._saw(datetime.fromisoformat(entry["at"]).astimezone(UTC))
        kept = self.answers.get(name)
        if "rows" not in entry:
            self.answers[name] = _Kept(path=entry["path"], query=entry["query"], body=entry["body"])
            return
        if kept is None or entry["first"]:
            kept = self.answers[name] = _Kept(path=entry["path"], query=entry["query"], rows=[])
        rows: list[Json] = kept.rows if kept.rows is not None else []
        rows.extend(entry["rows"])
        kept.following = entry["following"]


def _line(entry: Json) -> bytes:
    # The escapes of half a surrogate pair are JSON; its bytes would be no UTF-8.
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _name(path: str, query: Mapping[str, str]) -> str:
    return "&".join([key(path), *(f"{name}={value}" for name, value in sorted(query.items()))])


# --- what becomes of it ---------------------------------------------------------------------------------------------


def scrubbed(value: Any, name: str = "", *, extension: bool = False, told: bool = False) -> Any:
    """
    Return a part of an answer without what opens something: passwords, scripts and what they print, signatures.

    Args:
        name: of the member that it is the value of.
        extension: whether it is within an extension.
        told: whether it is of the VM agent or of the backup extension, whose messages checks go by.
    """
    if isinstance(value, str):
        return public_members({name: value})[name]
    if isinstance(value, list):
        return [scrubbed(each, name, extension=extension, told=told) for each in value]
    if not isinstance(value, dict):
        return value
    place = name.lower()
    if place == "osprofile":
        kinds = {own: each for own, each in value.items() if own.lower() in _OS_KINDS and isinstance(each, dict)}
        return _some(value, _OS_PROFILE) | {own: _some(each, _OS_SETTINGS) for own, each in kinds.items()}
    if place in _EXTENSIONS or _is_extension(value):
        extension, told = True, _is_backup(value)
    elif place == "vmagent":
        told = True
    left_out = _SECRETS
    if extension:
        # Those of an extension, which many put passwords into; a policy's are another thing.
        left_out |= {"settings"}
    if (extension or place in _STATUS) and not told:
        left_out |= {"message"}
    kept = {own: each for own, each in value.items() if own.lower() not in left_out}
    return {own: scrubbed(each, own, extension=extension, told=told) for own, each in kept.items()}


def _is_extension(body: Json) -> bool:
    """
    Tell an extension from other resources by whatever it says of itself.
    """
    names = {own.lower(): each for own, each in body.items()}
    kind, place = (as_text(names.get(each)).lower() for each in ("type", "id"))
    return kind.endswith("/extensions") or "/extensions/" in place or not _EXTENSION.isdisjoint(names)


def _is_backup(extension: Json) -> bool:
    """
    Tell whether an extension says that it is Azure Backup's, whatever it is called.
    """
    names = {own.lower(): as_text(each) for own, each in extension.items()}
    parts = (names.get("publisher", ""), names.get("type", ""))
    return ".".join(part for part in parts if part).lower() in _BACKUP


def _some(value: Json, names: frozenset[str]) -> Json:
    return {name: scrubbed(each, name) for name, each in value.items() if name.lower() in names}


def _assembled(recorder: _Recorder, subscriptions: Iterable[str]) -> tuple[dict[str, Json], dict[str, Json]]:
    """
    Make an estate's resources and their status of what was answered.
    """
    resources: dict[str, Json] = {}
    single: dict[str, Json] = {}
    status: dict[str, Json] = {}
    for kept in recorder.answers.values():
        path, last = kept.path.rpartition("/")[0], kept.path.rpartition("/")[2].lower()
        if kept.rows is not None and kept.query == _STATUS_ONLY:
            views = ((key(as_text(row.get("id"))), properties_of(row).get("instanceView")) for row in kept.rows)
            # What was read of one VM alone says more.
            status = {vm: view for vm, view in views if vm and isinstance(view, dict)} | status
        elif last == "recoverypoints":
            status[key(path)] = {"points": kept.rows}
        elif kept.rows is not None:
            resources |= {key(row["id"]): row for row in kept.rows if isinstance(row.get("id"), str)}
        elif last == "instanceview":
            status[key(path)] = kept.body
        elif last == "vaultstorageconfig":
            status[key(path.rpartition("/")[0])] = properties_of(kept.body)
        elif last == "servicetags":
            # It is the same wherever it is asked for.
            lists = (f"/subscriptions/{each}/providers/Microsoft.Network/serviceTags/Public" for each in subscriptions)
            single |= {key(each): kept.body | {"id": each} for each in lists}
        elif isinstance(kept.body.get("id"), str):
            single[key(kept.body["id"])] = kept.body
    resources |= single
    for name, body in resources.items():
        resources[name] = _respelled(body, resources)
    return dict(sorted(resources.items())), {each: view for each, view in sorted(status.items()) if each in resources}


def _respelled(body: Json, resources: Mapping[str, Json]) -> Json:
    """
    Spell the group in a VM's id as the group itself does: the list of a subscription has it in capitals.
    """
    parts = body["id"].split("/")
    group = resources.get(key("/".join(parts[:5])))
    if f"/providers/{VMS}/".lower() not in body["id"].lower() or group is None:
        return body
    return body | {"id": "/".join([*parts[:4], group["id"].rpartition("/")[2], *parts[5:]])}


def _faults(recorder: _Recorder, inventory: Inventory) -> Iterator[Json]:
    """
    Make the rules by which a sandbox refuses what was refused here, and what nobody asked for.
    """
    grouped: dict[tuple[int, str, str, str], list[str]] = {}
    for kept, error in recorder.refusals.values():
        status = error.status if 200 <= error.status <= 599 else 503
        query = "statusonly=true" if kept.query == _STATUS_ONLY else ""
        grouped.setdefault((status, error.code, error.message, query), []).append(key(kept.path))
    left_out: list[str] = []
    for scope in inventory.subscriptions:
        own = (f"providers/{VMS}", "resourcegroups", "locations", f"providers/{RECOVERY_SERVICES}")
        wanted = [f"{scope}/{each}" for each in own]
        there = {*recorder.answers, *recorder.refusals}
        left_out += [key(each) for each in wanted if _name(each, {}) not in there]
    rules = [*grouped.items()]
    if left_out:
        rules.append(((404, LEFT_OUT, "The copy was taken without this subscription's own.", ""), left_out))
    for (status, code, message, query), paths in rules:
        pattern = "|".join(re.escape(each) for each in sorted(paths))
        yield _rule(f"^({pattern})$", status, code, message) | ({"query": query} if query else {})
    lasts = {key(each.path).rpartition("/")[2] for each in recorder.answers.values()}
    asked_for = {key(each.path).rpartition("/")[2] for each, _ in recorder.refusals.values()} | lasts
    # A sandbox would make these up.
    for last in ("recoverypoints", "servicetags"):
        if last not in asked_for:
            yield _rule(f"/{last}$", 404, LEFT_OUT, "The copy was taken without this: nothing asked for it.")


def _rule(path: str, status: int, code: str, message: str) -> Json:
    return {
        "does": "answer",
        "method": "GET",
        "path": path,
        "status": status,
        "code": code or "Unknown",
        "message": message,
    }
