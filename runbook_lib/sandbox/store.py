"""
The SQLite file behind a sandbox: its connections and transactions. Imports the standard library and `state` only.

The file is the only place where state lives, so that any number of processes and threads may share one tenant.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.state import State

__all__ = ["Store"]

_BUSY_SECONDS = 60.0
_FORM = 2
_PAGE = 16384
_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    key TEXT PRIMARY KEY, type TEXT NOT NULL, location TEXT NOT NULL, source TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resources_by_type ON resources (type, key);
CREATE INDEX IF NOT EXISTS resources_by_source ON resources (source) WHERE source <> '';
CREATE TABLE IF NOT EXISTS runtime (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, target TEXT NOT NULL,
    started REAL NOT NULL, ready_at REAL NOT NULL, status TEXT NOT NULL, error TEXT, args TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS operations_due ON operations (ready_at, seq) WHERE status = 'InProgress';
CREATE INDEX IF NOT EXISTS operations_by_target ON operations (target) WHERE status = 'InProgress';
CREATE TABLE IF NOT EXISTS faults (
    seq INTEGER PRIMARY KEY, rule TEXT NOT NULL, skipping INTEGER NOT NULL, remaining INTEGER
);
CREATE TABLE IF NOT EXISTS budgets (name TEXT PRIMARY KEY, tokens REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (seq INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
"""


class Store:
    """
    One SQLite file, with a pool of connections that grows to the number of callers at one time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            # Whoever may read it sees the estate; what SQLite keeps beside it has the same mode.
            path.touch(0o600)
            with closing(self._connect()) as connection:
                form = connection.execute("PRAGMA user_version").fetchone()[0]
                if form not in (0, _FORM):
                    raise SandboxError("store_form", place=str(path), found=form, known=_FORM)
                if form == 0:
                    _prepare(connection)
        except (OSError, sqlite3.Error) as error:
            raise SandboxError("store", place=str(path), problem=str(error)) from error

    @contextmanager
    def reading(self) -> Iterator[State]:
        """
        Give the state as it is at this moment, for reading.
        """
        with self._transaction("BEGIN") as state:
            yield state

    @contextmanager
    def writing(self) -> Iterator[State]:
        """
        Give the state for changing it; what is raised inside undoes the change.
        """
        with self._transaction("BEGIN IMMEDIATE") as state:
            yield state

    def close(self) -> None:
        """
        Close the connections that nobody uses; a later use opens new ones.
        """
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[State]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
            # A lost last request after a power cut is of no account; a process that dies loses nothing.
            connection.execute("PRAGMA synchronous = NORMAL")
        try:
            connection.execute(begin)
            yield State(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        # Connections pass from thread to thread, but serve one caller at a time.
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        # SQLite's own knows the letters of ASCII only, and keys are made with Python's.
        connection.create_function("lower", 1, _lower, deterministic=True)
        return connection


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _prepare(connection: sqlite3.Connection) -> None:
    # Nothing is lost with a file that is still empty.
    connection.execute("PRAGMA synchronous = OFF")
    # Most bodies of VMs would not fit a page of the usual 4096 bytes, and each would fill one more beside it.
    connection.execute(f"PRAGMA page_size = {_PAGE}")
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # For this statement SQLite does not wait for another process that prepares the same file.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORM}; COMMIT;")
