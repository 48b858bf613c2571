"""
A copy of an estate: what a run would read, kept as the service told it, so that a sandbox can tell it again.

`read_inventory` reads through a recorder, so that the copy holds neither more nor less than a run looks at. Each page
goes into a file of its own as it comes, and an interrupted reading goes on after the last one within a day; it is read
anew later, and where it ended in an error of its own, which what was read may be the cause of. A copy is as old as its
oldest answer. What could not be read becomes a rule by which the sandbox refuses it as the service did. Nothing that
opens something is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.reader import API_VERSIONS
from runbook_lib.arm.recorder import Recorder, TooOld, named
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.wire import Json, as_text, properties_of
from runbook_lib.checks.kinds import RECOVERY_SERVICES
from runbook_lib.errors import InvalidParameters
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, Origin, Unread, key
from runbook_lib.selection import VMS

__all__ = ["LEFT_OUT", "Snapshot", "read_snapshot"]

LEFT_OUT = "NotInSnapshot"
# Parameters that name some of the VMs: a copy holds all of them, for nobody could tell the others from absent ones.
_SELECTING = ("vm_selector", "location")
_STATUS_ONLY = {"statusOnly": "true"}


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
    recorder = Recorder(session, part, _header(session, asked), told)
    try:
        with closing(recorder):
            inventory = read_inventory(recorder, asked)
            if asked.change_policy:
                # Which of them a rehearsal brings under another policy is not known yet.
                _read_points(recorder, inventory)
            recorder.refuse_old()
    except (InvalidParameters, TooOld):
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


def _read_points(recorder: Recorder, inventory: Inventory) -> None:
    for item in inventory.items.values():
        try:
            for _ in recorder.rows(f"{item.id}/recoveryPoints", API_VERSIONS["backup"]):
                continue
        except ArmError:
            # On record with the other refusals; who needs these points is told that they are not known.
            continue


def _assembled(recorder: Recorder, subscriptions: Iterable[str]) -> tuple[dict[str, Json], dict[str, Json]]:
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


def _faults(recorder: Recorder, inventory: Inventory) -> Iterator[Json]:
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
        left_out += [key(each) for each in wanted if named(each, {}) not in there]
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
