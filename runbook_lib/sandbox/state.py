"""
The rows of one sandbox inside one transaction: ARM bodies, operations, faults, budgets, settings, the log of requests.

Imports the standard library and `bodies` only.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from runbook_lib.sandbox.bodies import arm_type

__all__ = ["VM_ITEM_TYPES", "Body", "State", "key_of", "normal_location", "type_of"]

Body = dict[str, Any]

# The service answers the first; clients of older makes send and recorded estates hold the second.
VM_ITEM_TYPES = ("microsoft.compute/virtualmachines", "azureiaasvmprotecteditem")

_TABLES = ("resources", "runtime", "operations", "faults", "budgets", "settings", "requests")


class State:
    """
    What a transaction sees and changes; `Store` makes it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def clear(self) -> None:
        """
        Forget everything.
        """
        for table in _TABLES:
            self._sql.execute(f"DELETE FROM {table}")

    # Resources

    def get(self, resource_id: str) -> Body | None:
        """
        Return the body whose id is *resource_id*, whatever its case.
        """
        row = self._sql.execute("SELECT body FROM resources WHERE key = ?", (key_of(resource_id),)).fetchone()
        return None if row is None else _load(row[0])

    def put(self, body: Body) -> None:
        """
        Store *body* under its id, in place of the one that stood there.
        """
        self.put_all([body])

    def put_all(self, bodies: Iterable[Body]) -> None:
        """
        Store *bodies* under their ids.
        """
        self._sql.executemany("INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?)", map(_row, bodies))

    def delete(self, resource_id: str) -> None:
        """
        Remove a resource and everything under it.
        """
        key = key_of(resource_id)
        self._sql.execute("DELETE FROM resources WHERE key = ? OR (key > ? AND key < ?)", (key, f"{key}/", f"{key}0"))
        self._sql.execute("DELETE FROM runtime WHERE key = ? OR (key > ? AND key < ?)", (key, f"{key}/", f"{key}0"))

    def scan(self, type_key: str, scope: str = "", after: str = "") -> Iterator[tuple[str, Body]]:
        """
        Walk the bodies of a type under *scope*, by key, from the one after the key *after*.
        """
        low, high = _range(scope)
        rows = self._sql.execute(
            "SELECT key, body FROM resources WHERE type = ? AND key > ? AND key < ? ORDER BY key",
            (type_key, max(low, after), high),
        )
        return ((key, _load(text)) for key, text in rows)

    def tracked(self, scope: str, after: str) -> Iterator[tuple[str, Body]]:
        """
        Walk the resources under *scope* that lie in a group and have a location, from the one after the key *after*.
        """
        low, high = _range(scope)
        rows = self._sql.execute(
            "SELECT key, body FROM resources WHERE key > ? AND key < ? AND location <> '' AND key LIKE '%/providers/%'"
            " AND type NOT LIKE 'microsoft.authorization/%' ORDER BY key",
            (max(low, after), high),
        )
        return ((key, _load(text)) for key, text in rows)

    def everything(self) -> Iterator[Body]:
        """
        Walk all bodies by key.
        """
        return (_load(text) for (text,) in self._sql.execute("SELECT body FROM resources ORDER BY key"))

    def holds(self, scope: str) -> Iterator[str]:
        """
        Walk the keys of the resources under *scope*.
        """
        low, high = _range(scope)
        return (key for (key,) in self._sql.execute("SELECT key FROM resources WHERE key > ? AND key < ?", (low, high)))

    def protecting(self, vm_id: str) -> list[Body]:
        """
        Return the protected items, of all vaults, whose source is the VM *vm_id*.
        """
        # The second condition lets SQLite use the index, which holds items only.
        rows = self._sql.execute(
            "SELECT body FROM resources WHERE source = ? AND source <> '' ORDER BY key", (key_of(vm_id),)
        )
        return [_load(text) for (text,) in rows]

    def unprotected(self, type_key: str, scope: str, location: str, after: str) -> Iterator[tuple[str, Body]]:
        """
        Walk the resources of a type and location under *scope* that no protected item has as its source.
        """
        low, high = _range(scope)
        rows = self._sql.execute(
            "SELECT key, body FROM resources AS r WHERE type = ? AND key > ? AND key < ? AND location = ?"
            " AND NOT EXISTS (SELECT 1 FROM resources AS i WHERE i.source = r.key AND i.source <> '') ORDER BY key",
            (type_key, max(low, after), high, location),
        )
        return ((key, _load(text)) for key, text in rows)

    def policy_uses(self, type_key: str, scope: str) -> dict[str, int]:
        """
        Count the items under *scope* by the key of their policy.
        """
        low, high = _range(scope)
        return dict(
            self._sql.execute(
                "SELECT lower(json_extract(body, '$.properties.policyId')), count(*) FROM resources"
                " WHERE type = ? AND key > ? AND key < ? AND json_extract(body, '$.properties.policyId') <> ''"
                " GROUP BY 1",
                (type_key, low, high),
            )
        )

    def counts(self) -> dict[str, int]:
        """
        Count the resources by type.
        """
        return dict(self._sql.execute("SELECT type, count(*) FROM resources GROUP BY type ORDER BY type"))

    # What is not in a body: instance views, what a vault remembers

    def runtime(self, resource_id: str) -> Body:
        """
        Return what is known of a resource beside its body; empty when nothing is.
        """
        row = self._sql.execute("SELECT body FROM runtime WHERE key = ?", (key_of(resource_id),)).fetchone()
        return {} if row is None else _load(row[0])

    def set_runtime(self, resource_id: str, body: Body) -> None:
        """
        Keep *body* beside the resource.
        """
        self._sql.execute("INSERT OR REPLACE INTO runtime VALUES (?, ?)", (key_of(resource_id), json.dumps(body)))

    # Operations

    def add_operation(self, operation_id: str, kind: str, target: str, span: tuple[float, float], args: Body) -> None:
        """
        Add an operation on *target* that runs from the first to the second moment of *span*.
        """
        self._sql.execute(
            "INSERT INTO operations (id, kind, target, started, ready_at, status, args)"
            " VALUES (?, ?, ?, ?, ?, 'InProgress', ?)",
            (operation_id, kind, key_of(target), *span, json.dumps(args)),
        )

    def operation(self, operation_id: str) -> Body | None:
        """
        Return an operation by its id.
        """
        row = self._sql.execute(f"SELECT {_OPERATION} FROM operations WHERE id = ?", (operation_id,)).fetchone()
        return None if row is None else _operation(row)

    def next_due(self, now: float) -> Body | None:
        """
        Return the running operation that was the first to be ready by *now*.
        """
        row = self._sql.execute(
            f"SELECT {_OPERATION} FROM operations WHERE status = 'InProgress' AND ready_at <= ?"
            " ORDER BY ready_at, seq LIMIT 1",
            (now,),
        ).fetchone()
        return None if row is None else _operation(row)

    def end_operation(self, operation_id: str, status: str, error: Body | None) -> None:
        """
        Set the final status of an operation.
        """
        self._sql.execute(
            "UPDATE operations SET status = ?, error = ? WHERE id = ?",
            (status, None if error is None else json.dumps(error), operation_id),
        )

    def cancel_under(self, scope: str) -> None:
        """
        Let no operation go on at *scope* or under it: what it would change is gone.
        """
        key = key_of(scope)
        self._sql.execute(
            "UPDATE operations SET status = 'Canceled' WHERE status = 'InProgress'"
            " AND (target = ? OR (target > ? AND target < ?))",
            (key, f"{key}/", f"{key}0"),
        )

    def running(self, target: str, kinds: tuple[str, ...]) -> Body | None:
        """
        Return an operation of *kinds* that is under way on *target*.
        """
        marks = ", ".join("?" * len(kinds))
        row = self._sql.execute(
            f"SELECT {_OPERATION} FROM operations WHERE status = 'InProgress' AND target = ? AND kind IN ({marks})"
            " LIMIT 1",
            (key_of(target), *kinds),
        ).fetchone()
        return None if row is None else _operation(row)

    def configuring(self, vm_id: str) -> bool:
        """
        Tell whether protection of a VM is being configured, in any vault.
        """
        row = self._sql.execute(
            "SELECT 1 FROM operations WHERE status = 'InProgress' AND kind = 'item.configure'"
            " AND lower(json_extract(args, '$.vm')) = ? LIMIT 1",
            (key_of(vm_id),),
        ).fetchone()
        return row is not None

    def pending(self) -> int:
        """
        Count the operations that are under way.
        """
        count: int = self._sql.execute("SELECT count(*) FROM operations WHERE status = 'InProgress'").fetchone()[0]
        return count

    # Faults

    def add_fault(self, rule: Body, skip: int, times: int | None) -> None:
        """
        Add a rule that lets *skip* requests pass and then holds *times* times; None: always.
        """
        self._sql.execute(
            "INSERT INTO faults (rule, skipping, remaining) VALUES (?, ?, ?)", (json.dumps(rule), skip, times)
        )

    def faults(self) -> list[tuple[int, Body]]:
        """
        Return the rules that still hold, in the order in which they were added.
        """
        rows = self._sql.execute("SELECT seq, rule FROM faults WHERE remaining IS NULL OR remaining > 0 ORDER BY seq")
        return [(seq, _load(rule)) for seq, rule in rows]

    def use_fault(self, seq: int) -> bool:
        """
        Count one request that a rule matches, and tell whether the rule holds for it or lets it pass.
        """
        passed = self._sql.execute("UPDATE faults SET skipping = skipping - 1 WHERE seq = ? AND skipping > 0", (seq,))
        if passed.rowcount:
            return False
        used = self._sql.execute(
            "UPDATE faults SET remaining = remaining - 1 WHERE seq = ? AND (remaining IS NULL OR remaining > 0)", (seq,)
        )
        return used.rowcount > 0

    def clear_faults(self) -> None:
        """
        Remove all rules.
        """
        self._sql.execute("DELETE FROM faults")

    # Budgets of requests

    def budget(self, name: str) -> tuple[float, float] | None:
        """
        Return what was left of a budget, and when that was; None when nothing was ever taken from it.
        """
        row = self._sql.execute("SELECT tokens, at FROM budgets WHERE name = ?", (name,)).fetchone()
        return None if row is None else (row[0], row[1])

    def set_budget(self, name: str, tokens: float, at: float) -> None:
        """
        Keep what is left of a budget at a moment.
        """
        self._sql.execute("INSERT OR REPLACE INTO budgets VALUES (?, ?, ?)", (name, tokens, at))

    # The clock, settings and the log

    def now(self) -> datetime:
        """
        Return the moment that it is for the tenant.
        """
        tenant, real, scale = self._clock()
        return datetime.fromtimestamp(tenant + (time.time() - real) * scale, UTC)

    def set_now(self, moment: datetime) -> None:
        """
        Turn the tenant's clock to *moment*, from which it goes on as fast as before.
        """
        self.set_setting("clock", (moment.timestamp(), time.time(), self._clock()[2]))

    def set_speed(self, scale: float) -> None:
        """
        Let *scale* seconds of the tenant pass in a real one from now on.
        """
        self.set_setting("clock", (self.now().timestamp(), time.time(), scale))

    def advance(self, seconds: float) -> None:
        """
        Turn the tenant's clock on.
        """
        tenant, real, scale = self._clock()
        self.set_setting("clock", (tenant + seconds, real, scale))

    def _clock(self) -> tuple[float, float, float]:
        # The tenant's moment, the real one that it stood for, and the tenant's seconds in a real one.
        tenant, real, scale = self.setting("clock", (0.0, 0.0, 1.0))
        return tenant, real, scale

    def setting(self, name: str, default: Any) -> Any:
        """
        Return a setting, or *default* when it was never set.
        """
        row = self._sql.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: Any) -> None:
        """
        Keep a setting.
        """
        self._sql.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def log(self, entry: Body) -> int:
        """
        Append a request to the log and return its number.
        """
        return self._sql.execute("INSERT INTO requests (entry) VALUES (?)", (json.dumps(entry),)).lastrowid or 0

    def requests(self, since: int) -> list[Body]:
        """
        Return the requests whose number is above *since*.
        """
        rows = self._sql.execute("SELECT seq, entry FROM requests WHERE seq > ? ORDER BY seq", (since,))
        return [{"seq": seq} | _load(entry) for seq, entry in rows]

    def request_count(self) -> int:
        """
        Count the requests in the log.
        """
        count: int = self._sql.execute("SELECT count(*) FROM requests").fetchone()[0]
        return count


def key_of(resource_id: str) -> str:
    """
    Return the key of a resource: ARM compares ids without regard to case.
    """
    return resource_id.rstrip("/").lower()


def normal_location(location: str) -> str:
    """
    Return the name of a region that may be written as its display name: `West Europe` is `westeurope`.
    """
    return location.replace(" ", "").lower()


def type_of(resource_id: str) -> str:
    """
    Tell the type of a resource by its id, in lower case.
    """
    kind = arm_type(resource_id).lower()
    return kind if "/" in kind or not kind else "microsoft.resources/providers"


_OPERATION = "id, kind, target, started, ready_at, status, error, args"


def _operation(row: tuple[Any, ...]) -> Body:
    operation = dict(zip(_OPERATION.split(", "), row, strict=True))
    operation["error"] = None if operation["error"] is None else _load(operation["error"])
    operation["args"] = _load(operation["args"])
    return operation


def _row(body: Body) -> tuple[str, str, str, str, str]:
    resource_id = body["id"]
    kind = type_of(resource_id)
    location, source = body.get("location"), ""
    properties = body.get("properties")
    if isinstance(properties, dict) and str(properties.get("protectedItemType")).lower() in VM_ITEM_TYPES:
        source = str(properties.get("virtualMachineId") or properties.get("sourceResourceId") or "")
    place = normal_location(location) if isinstance(location, str) else ""
    # The default of json.dumps keeps to ASCII, so that no text of an estate can upset the file.
    return key_of(resource_id), kind, place, key_of(source), json.dumps(body)


def _range(scope: str) -> tuple[str, str]:
    key = key_of(scope)
    # "0" is the character after "/".
    return f"{key}/", f"{key}0"


def _load(text: str) -> Any:
    return json.loads(text)
