"""
The job as the matrix drives it: the chain of a headless run, with the calls of its notebooks but without a kernel.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from faults.calls import Call
from faults.matrix import AFTER_ANSWER, AFTER_SEND, BEFORE_SEND

from runbook_lib import chain, evidence
from runbook_lib.errors import RunbookError
from runbook_lib.folder import RunFolder
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.run import Run, open_run
from runbook_lib.sandbox import Sandbox

__all__ = ["Ended", "Watch", "begin", "chained", "die", "opened", "plan_only", "resume"]

# What the notebooks do that sends something, or that the run's end needs; and the questions that nothing rests on.
_LOOKS = {"00_start": ("readiness",), "07_evidence": ("conclude",)}
_ASKS = {"00_start": ("rights",), "04_select_vms": ("precheck",), "06_network": ("compare_effective",)}
# A fault-free run sends some 350 requests; one that waits without end would send any number.
_MOST = 3000


class Endless(Exception):
    """
    Raised where a job goes on sending and comes to no end.
    """


@dataclass(slots=True)
class Watch:
    """
    What the requests of a job are seen to be, on their way to the sandbox.

    Args:
        before: is called with each request before it is sent.
        after: is called with each request once the service has acted.
    """

    before: Callable[[HttpRequest], None] = lambda _: None
    after: Callable[[HttpRequest], None] = lambda _: None
    sent: int = 0
    hosts: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)


class _Door(HttpTransport[HttpRequest, HttpResponse]):
    """
    Lets a watch see every request, and hands it on to the sandbox's own transport.
    """

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def open(self) -> None:
        self._inner.open()

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> _Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sleep(self, duration: float) -> None:
        self._inner.sleep(duration)

    def send(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        self._watch.sent += 1
        if self._watch.sent > _MOST:
            raise Endless(f"{_MOST} requests, the last one {request.method} {request.url}")
        self._watch.hosts.add(request.url.split("/")[2])
        self._watch.tokens.add(request.headers["Authorization"].removeprefix("Bearer "))
        self._watch.before(request)
        response: HttpResponse = self._inner.send(request, **kwargs)
        self._watch.after(request)
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """
    How a job ended.

    Args:
        code: the exit code of the command; None when it was killed, or ended with something that is no error of ours.
        error: what stopped it; empty when nothing did.
    """

    folder: Path
    code: int | None
    error: str = ""

    @property
    def outcome(self) -> dict[str, Any] | None:
        """
        Return what the run says of itself; None when it did not come that far.
        """
        path = self.folder / "outcome.json"
        return evidence.read_json(path) if path.exists() else None

    @property
    def sealed(self) -> bool:
        """
        Tell whether the run was sealed.
        """
        return (self.folder / evidence.ATTESTATION).exists()


class _NoKernel:
    def stop(self) -> None:
        """
        Do nothing: there is none.
        """


def _execute(asks: bool) -> Callable[..., None]:
    def execute(name: str, asked: Parameters, folder: RunFolder, *_: object) -> None:
        looks = (*_LOOKS.get(name, ()), *(_ASKS.get(name, ()) if asks else ()))
        if not looks:
            folder.visit(name, {})
            return
        run = open_run(name, asked.as_dict() | {"run_dir": str(folder.path)})
        for look in looks:
            getattr(run, look)()

    return execute


@contextmanager
def chained(sandbox: Path, watch: Watch, *, asks: bool = False) -> Iterator[None]:
    """
    Let runs talk to the sandbox at *sandbox* through a door that *watch* sees, and their chain do without a kernel.

    Args:
        asks: whether they put the questions that nothing rests on.
    """
    plain = Sandbox.transport
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_SANDBOX", str(sandbox))
        patch.setenv("RUNBOOK_STATE", str(sandbox.parent / "state"))
        patch.setattr(Sandbox, "transport", lambda own: _Door(plain(own), watch))
        patch.setattr(chain, "_execute", _execute(asks))
        patch.setattr(chain, "Kernel", lambda _: _NoKernel())
        yield


def begin(folder: Path, asked: dict[str, Any]) -> Ended:
    """
    Run the job in a new folder, as `runbook run --apply` does.
    """
    return _run(build(asked | {"apply": True}), folder)


def resume(folder: Path) -> Ended:
    """
    Go on with a job, as `runbook resume` does.
    """
    kept = evidence.read_json(folder / "parameters.json")
    return _run(build(kept | {"apply": evidence.read_json(folder / "run.json")["applies"]}), folder)


def _run(asked: Parameters, folder: Path) -> Ended:
    try:
        result = chain.run_chain(asked, folder, lambda _: None)
    except RunbookError as error:
        return Ended(folder=folder, code=error.exit_code, error=f"{type(error).__name__}: {error}")
    except Exception as error:  # Whatever else comes out of the job is what the cell is about.
        *_, last = traceback.extract_tb(error.__traceback__)
        return Ended(folder=folder, code=None, error=f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})")
    return Ended(folder=folder, code=int(result.outcome["exit_code"]))


def plan_only(folder: Path, asked: dict[str, Any]) -> Run:
    """
    Open a run of its own that has sent nothing yet.
    """
    return Run(RunFolder(folder), build(asked))


@contextmanager
def opened(path: Path) -> Iterator[Sandbox]:
    """
    Open the sandbox at *path*.
    """
    sandbox = Sandbox(path)
    try:
        yield sandbox
    finally:
        sandbox.close()


def die(home: Path, asked: dict[str, Any], call: Call, point: str) -> None:
    """
    Run the job in this process until it is killed at *point* of the first request of *call*.
    """
    armed = False
    seen = 0

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def before(request: HttpRequest) -> None:
        nonlocal seen
        if armed:
            kill()
        if call.meets(request.method, request.url):
            seen += 1
            if point == BEFORE_SEND and seen > call.skip:
                kill()

    def after(request: HttpRequest) -> None:
        nonlocal armed
        if call.meets(request.method, request.url) and seen > call.skip:
            armed = point == AFTER_ANSWER
            if point == AFTER_SEND:
                kill()

    plain = Journal.result

    def result(journal: Journal, *args: Any, **facts: Any) -> None:
        if armed:
            kill()
        plain(journal, *args, **facts)

    Journal.result = result  # type: ignore[method-assign]
    with chained(home / "sandbox.sqlite", Watch(before=before, after=after), asks=call.does == "ask"):
        begin(home / "run", asked)
