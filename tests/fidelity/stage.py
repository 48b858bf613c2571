"""
A sandbox on which the gates play calls of their own: it is set as a case needs it, and every answer is kept.

Imports the sandbox, its transport and `recordings`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core import PipelineClient
from azure.core.rest import HttpRequest, HttpResponse
from fidelity.recordings import Exchange

from runbook_lib.sandbox import Estate, Sandbox
from runbook_lib.sandbox.app import ROUTES, settle
from runbook_lib.sandbox.bodies import complete
from runbook_lib.sandbox.profile import Profile
from runbook_lib.sandbox.router import Router
from runbook_lib.sandbox.state import State
from runbook_lib.sandbox.store import Store

__all__ = ["BASE", "Stage"]

BASE = "https://management.azure.com"
_START = datetime(2026, 11, 1, 12, tzinfo=UTC)
_FAR = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
# Operations that nobody waits for: items stay for weeks, and backups run on while other calls are made.
_WEEKS = ("item.purge", "vault.purge")
_UNAWAITED = (*_WEEKS, "backup.snapshot", "backup.transfer")
# The tenant's clock runs while a case is played, so what shall not end by itself is made slower than any machine.
_SLOWER = 50


class Stage:
    """
    One sandbox in a folder, with what was asked of it since it was last set.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "stage.db"
        self._sandbox = Sandbox(path)
        self._store = Store(path)
        self._router = Router(ROUTES)
        transport = self._sandbox.transport()
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(BASE, transport=transport, policies=[])
        self._durations = {kind: seconds * _SLOWER for kind, seconds in Profile().durations.items()}
        self.exchanges: list[Exchange] = []

    def set(self, bodies: Iterable[dict[str, Any]] = (), views: Mapping[str, dict[str, Any]] | None = None) -> None:
        """
        Empty the sandbox but for *bodies* and the instance views of VMs, by lower-cased id.
        """
        self._sandbox.load(
            Estate(
                name="stage",
                as_of=_START,
                resources=tuple(map(complete, bodies)),
                status=dict(views or {}),
                profile={"durations": self._durations},
                origin="fidelity",
            )
        )
        self.exchanges = []

    @contextmanager
    def edit(self) -> Iterator[State]:
        """
        Give the sandbox's state for changing it behind the service's back.
        """
        with self._store.writing() as state:
            yield state

    def make_pages_small(self) -> None:
        """
        Let each page of a list have one row, until the stage is set again.
        """
        self._sandbox.configure(page_sizes=dict.fromkeys(Profile().page_sizes, 1))

    def finish(self, operation_id: str) -> None:
        """
        Let time pass until an operation is over.
        """
        with self._store.reading() as state:
            operation = state.operation(operation_id)
            left = 0.0 if operation is None else operation["ready_at"] - state.now().timestamp()
        self._sandbox.advance(max(left, 0.0))

    def finish_all(self) -> None:
        """
        Let time pass until all operations are over that a client awaits.
        """
        while self._finish_next(_UNAWAITED):
            pass

    def finish_job(self, job_id: str) -> None:
        """
        Let time pass until a job is over.
        """
        while self._is_running(job_id) and self._finish_next(_WEEKS):
            pass

    def send(self, method: str, uri: str, body: Any = None, *, kept: bool = True) -> Exchange:
        """
        Ask the sandbox, and return what was asked and answered in the form of a recorded exchange.

        Args:
            kept: whether the exchange is one to judge.
        """
        content = None if body is None else json.dumps(body).encode()
        request = HttpRequest(method, uri, headers={"Authorization": "Bearer t"}, content=content)
        response = self._client.send_request(request)
        match = self._router.match(unquote(urlsplit(uri).path))
        route = None if match is None else match.routes.get(method)
        exchange = {
            "operation": None if route is None else f"{route.method} {route.path}",
            "request": {"method": method, "uri": uri, "body": body},
            "response": {
                "status": response.status_code,
                "headers": dict(response.headers),
                "body": response.json() if response.content else None,
            },
        }
        if kept:
            self.exchanges.append(exchange)
        return exchange

    def _is_running(self, job_id: str) -> bool:
        with self._store.reading() as state:
            job = state.get(job_id)
        return job is not None and job["properties"]["status"] == "InProgress"

    def _finish_next(self, left_out: tuple[str, ...]) -> bool:
        with self._store.reading() as state:
            operation = state.next_due(_FAR)
        if operation is None or operation["kind"] in left_out:
            return False
        self.finish(operation["id"])
        settle(self._store)
        return True

    def close(self) -> None:
        """
        Close the file.
        """
        self._store.close()
        self._sandbox.close()
