"""
The states that cells begin in, what a job without faults makes of each, and what it is answered.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core import PipelineClient
from azure.core.rest import HttpRequest
from faults.calls import CALLS, Call
from faults.estate import ASKED, MADE, small
from faults.job import Watch, begin, chained, opened, plan_only
from faults.judge import effective
from faults.kinds import Form, Scene

from runbook_lib.sandbox import Fault, Sandbox

__all__ = ["LONG", "Stage", "Stages", "settled"]

# Until every operation has ended, those that are slow on purpose too.
LONG = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    A state, and what a job without faults does from there.

    Args:
        path: the sandbox's file.
        last: number of the last request that made it.
        log: the requests of the job, in their order.
        first: number of the first request that changes something.
        digest: of the state that it ends in.
    """

    name: str
    path: Path
    last: int
    log: list[dict[str, Any]]
    first: int
    digest: str

    @property
    def changes(self) -> set[str]:
        """
        Return the changes that are made.
        """
        return set(effective(self.log))

    def made(self, call: Call) -> list[dict[str, Any]]:
        """
        Return the requests of a call.
        """
        return [each for each in self.log if call.meets(each["method"], each["path"])]


def settled(sandbox: Sandbox) -> str:
    """
    Let all operations end, and return the digest of the state.
    """
    sandbox.clear_faults()
    sandbox.advance(LONG)
    return sandbox.state_digest()


class Stages:
    """
    The states by name, each made when it is first asked for.

    Attributes:
        silent: stages and digests of states in which a job was seen to change nothing.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[tuple[str, str], Stage] = {}
        self._late: dict[tuple[str, str], str] = {}
        self.silent: set[tuple[str, str]] = set()

    def get(self, name: str, gone: str = "") -> Stage:
        """
        Return a state, with what a job without faults does from there.

        Args:
            gone: what is not there, from the beginning.
        """
        if (name, gone) not in self._known:
            self._known[name, gone] = self._made(name, gone)
        return self._known[name, gone]

    def ends(self, name: str, gone: str) -> set[str]:
        """
        Return the digests of the states that a job may end in: without *gone* from the beginning, or only at the end.
        """
        known = {self.get(name, gone).digest}
        return known | {self._without(self.get(name), gone)} if gone else known

    def _without(self, stage: Stage, gone: str) -> str:
        if (stage.name, gone) not in self._late:
            copy = stage.path.with_name("late.sqlite")
            shutil.copy(stage.path.with_name("copy.sqlite"), copy)
            with opened(copy) as sandbox:
                _take_away(sandbox, gone)
                self._late[stage.name, gone] = settled(sandbox)
        return self._late[stage.name, gone]

    def scene(self, call: Call) -> Scene:
        """
        Return what the rules of a fault may rest on.
        """
        stage = self.get(call.stage)
        # What only a lost answer leads to is in no log without faults.
        made = stage.made(call) or stage.log[:1]
        # Lists of one subscription are read one after the other, those of two side by side.
        one = [each for each in made if each["path"] == made[0]["path"]][call.skip]
        with opened(stage.path) as sandbox:
            return Scene(
                call=call,
                now=sandbox.now(),
                path=f"^{re.escape(one['path'].lower())}$",
                page=_answer(sandbox, one) if call.does == "list" else {},
                before=sum(each["seq"] < stage.first for each in made),
            )

    def rules(self, call: Call, form: Form) -> list[Fault]:
        """
        Return the rules of a fault, after what leads to the call.
        """
        led = [each for each in CALLS if each.name == call.led_by]
        lost = [Fault(method=each.method, path=each.path, does="reset", after_effect=True, times=1) for each in led]
        return [*lost, *form.rules(self.scene(call))]

    def _made(self, name: str, gone: str) -> Stage:
        folder = Path(tempfile.mkdtemp(dir=self._place))
        draft, path, copy = (folder / f"{each}.sqlite" for each in ("draft", "sandbox", "copy"))
        with opened(draft) as sandbox:
            sandbox.load(small())
            with chained(draft, Watch()):
                run = plan_only(folder / "before", ASKED[name])
                run.apply_plan(run.plan, MADE[name])
            sandbox.advance(LONG)
            if gone:
                _take_away(sandbox, gone)
        _write_whole(draft, path)
        shutil.copy(path, copy)
        with opened(copy) as sandbox:
            since = _last(sandbox)
            with chained(copy, Watch(), asks=True):
                ended = begin(folder / "run", ASKED[name])
            assert gone or ended.code == 0, ended
            log = sandbox.requests(since)
            first = next((each["seq"] for each in log if effective([each])), since)
            return Stage(name=name, path=path, last=since, log=log, first=first, digest=settled(sandbox))


def _write_whole(draft: Path, path: Path) -> None:
    """
    Write a sandbox's file without the log of pages beside it, so that it can be copied.
    """
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _last(sandbox: Sandbox) -> int:
    log = sandbox.requests()
    return int(log[-1]["seq"]) if log else 0


def _take_away(sandbox: Sandbox, resource: str) -> None:
    sandbox.fault(Fault(does="remove", resource=resource, times=1))
    _answer(sandbox, {"method": "GET", "path": "/subscriptions", "query": {"api-version": "2022-12-01"}})


def _answer(sandbox: Sandbox, request: Mapping[str, Any]) -> dict[str, Any]:
    client: PipelineClient[Any, Any] = PipelineClient(
        "https://management.azure.com", transport=sandbox.transport(), policies=[]
    )
    sent = HttpRequest(request["method"], request["path"], params=request["query"])
    sent.headers["Authorization"] = "Bearer t"
    answered: dict[str, Any] = client.send_request(sent).json()
    return answered
