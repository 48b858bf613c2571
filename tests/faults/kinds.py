"""
The faults of the matrix, each with the forms that it comes in: what goes wrong, when, and how the job may end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from faults.bodies import PAGE, denied, error, throttled
from faults.calls import Call

from runbook_lib.sandbox import Fault

__all__ = ["FAULTS", "REASONS", "RESTING", "Form", "Kind", "Scene", "removal"]

# How a job may end: whole; with VMs that are not there; refused because the world moved; left open.
WHOLE = frozenset({0})
OPEN = frozenset({5})
RESTING = frozenset({0, 3, 4, 5})
# As long as nothing was sent, also an error or refused parameters: without VMs there is nothing to run on.
READING = frozenset({0, 1, 2, 3, 4, 5})
UNLESS_WAITED = frozenset({0, 5})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """
    What a rule may rest on: the call, the moment it is for the tenant, and what the call was answered without faults.

    Args:
        path: the path of the first such request, as a regular expression.
        page: the body of its answer.
        before: how many such requests come before the first write.
    """

    call: Call
    now: datetime
    path: str
    page: Mapping[str, Any]
    before: int


Rules = Callable[[Scene], list[Fault]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    One form of a fault.

    Args:
        rules: makes the sandbox's rules.
        ends: exit codes that the job may end with, by what the call does; those of `*` for all others.
        only: what calls it is for, by what they do; empty for all that the fault is for.
        settings: of the sandbox's profile, for as long as the job runs.
        void: whether what was accepted comes to nothing, so that it has to be sent again.
        gone: what disappears.
    """

    name: str
    rules: Rules
    ends: Mapping[str, frozenset[int]] = field(default_factory=lambda: {"*": WHOLE})
    only: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    void: bool = False
    gone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    One fault of the matrix.

    Args:
        on: what calls it can happen to, by what they do.
    """

    id: str
    name: str
    on: tuple[str, ...]
    forms: tuple[Form, ...] = ()


_READS = ("list", "read")
# Longer than anybody waits, and then an end after all.
_SLOW = {
    "durations": dict.fromkeys(
        ("container.refresh", "item.configure", "rule.put", "vault.create", "vault.update"), 3000
    )
}
_ALL = (*_READS, "ask", "poll", "write")
_ENDS = {"ask": WHOLE, "list": READING, "read": READING, "write": OPEN, "poll": UNLESS_WAITED}


def _rule(scene: Scene, **what: Any) -> Fault:
    known = {"method": scene.call.method, "path": scene.call.path, "skip": scene.call.skip}
    return Fault(**known | what)


def _once(**what: Any) -> Rules:
    return lambda scene: [_rule(scene, times=1, **what)]


def _always(**what: Any) -> Rules:
    return lambda scene: [_rule(scene, **what)]


def _later(**what: Any) -> Rules:
    # From the first write on: what was planned was read without a fault.
    return lambda scene: [_rule(scene, **what | {"skip": scene.before})]


def _throttle(times: int, seconds: int, told: Callable[[datetime], Mapping[str, str]]) -> Rules:
    def rules(scene: Scene) -> list[Fault]:
        content = throttled(scene.call.family, seconds)
        return [_rule(scene, status=429, times=times, content=content, headers=told(scene.now))]

    return rules


def _date(now: datetime) -> Mapping[str, str]:
    return {"Retry-After": format_datetime(now + timedelta(seconds=20), usegmt=True)}


def _deny(*, one: bool) -> Rules:
    def rules(scene: Scene) -> list[Fault]:
        scope = f"/subscriptions/{scene.call.denied}" if one else ""
        path = f"^{scope}.*{scene.call.path.removeprefix('^/subscriptions/[^/]+')}" if scope else scene.call.path
        content = denied("Microsoft.X/y/action", scope or "/subscriptions/all")
        return [_rule(scene, path=path, status=403, content=content, skip=0)]

    return rules


def _deny_later(scene: Scene) -> list[Fault]:
    return [_rule(scene, status=403, content=denied("Microsoft.X/y/read", "/subscriptions/all"), skip=scene.before)]


def removal(resource: str) -> Form:
    """
    Make the form in which *resource* is gone by the time that the service sees the call; what is read is gone since
    the plan was made.
    """

    def rules(scene: Scene) -> list[Fault]:
        skip = scene.before if scene.call.does in _READS else scene.call.skip
        return [_rule(scene, does="remove", resource=resource, times=1, skip=skip)]

    return Form(name="-".join(resource.split("/")[-2:]), rules=rules, ends={"*": RESTING}, gone=resource)


def _page(change: Callable[[Scene, dict[str, Any]], None], times: int = 1) -> Rules:
    def rules(scene: Scene) -> list[Fault]:
        page = json.loads(json.dumps(scene.page))
        change(scene, page)
        content = json.dumps(page)
        return [Fault(method="GET", path=scene.path, status=200, content=content, times=times, skip=scene.call.skip)]

    return rules


def _loops(scene: Scene, page: dict[str, Any]) -> None:
    page["nextLink"] = (
        "https://management.azure.com" + scene.path.strip("^$").replace("\\", "") + "?api-version=2026-01-01"
    )


def _foreign(_: Scene, page: dict[str, Any]) -> None:
    page["nextLink"] = "https://management.azure.com.example.org/subscriptions?api-version=2022-12-01"


def _doubled(_: Scene, page: dict[str, Any]) -> None:
    page["value"] = page["value"] * 2


def _shrunk(scene: Scene, page: dict[str, Any]) -> None:
    # All that was listed on the next page is gone by the time that it is asked for.
    host = "https://management.azure.com" + scene.path.strip("^$").replace("\\", "")
    page["nextLink"] = host + "?api-version=2026-01-01&%24skiptoken=fn5-"


def _stale(scene: Scene) -> list[Fault]:
    early = json.dumps(
        {"id": "x", "name": "x", "status": "Succeeded", "properties": {"provisioningState": "Succeeded"}}
    )
    return [_rule(scene, status=200, content=early, times=1)]


FAULTS = (
    Kind(
        id="F1",
        name="429 with Retry-After",
        on=_ALL,
        forms=(Form(name="seven-seconds", rules=_throttle(6, 7, lambda _: {"Retry-After": "7"})),),
    ),
    Kind(
        id="F2",
        name="429 told otherwise",
        on=_ALL,
        forms=(
            Form(name="in-words", rules=_throttle(6, 7, lambda _: {})),
            Form(name="date", rules=_throttle(2, 20, _date)),
            Form(name="zero", rules=_throttle(6, 1, lambda _: {"Retry-After": "0"})),
            Form(
                name="twenty-minutes",
                rules=_throttle(1, 1200, lambda _: {"Retry-After": "1200"}),
                ends={**_ENDS, "write": UNLESS_WAITED},
            ),
        ),
    ),
    Kind(
        id="F3",
        name="5xx",
        on=_ALL,
        forms=(
            Form(name="once", rules=_once(status=500, content=error("InternalServerError", echo=True))),
            Form(
                name="twice",
                rules=lambda scene: [
                    _rule(scene, times=1, status=502, content=PAGE),
                    _rule(scene, times=1, status=503, content=error("ServerTimeout"), headers={"Retry-After": "5"}),
                ],
            ),
            Form(
                name="for-good",
                rules=_always(status=500, content=error("InternalServerError", echo=True)),
                ends={**_ENDS, "write": OPEN},
            ),
            Form(
                name="for-good-later",
                rules=_later(status=504, content=error("GatewayTimeout", echo=True)),
                ends=_ENDS,
                only=_READS,
            ),
            Form(
                name="after-effect",
                rules=_once(status=504, content=error("GatewayTimeout"), after_effect=True),
                only=("write",),
            ),
            Form(
                name="internal-after-effect",
                rules=_once(status=500, content=error("RestApiInternalError"), after_effect=True),
                only=("write",),
            ),
        ),
    ),
    Kind(
        id="F4",
        name="connection broken",
        on=_ALL,
        forms=(
            Form(name="before", rules=_once(does="reset")),
            Form(name="after", rules=_once(does="reset", after_effect=True)),
            Form(name="mid-body", rules=_once(does="truncate")),
        ),
    ),
    Kind(
        id="F5",
        name="timeout",
        on=_ALL,
        forms=(
            Form(name="before", rules=_once(does="timeout")),
            Form(name="after", rules=_once(does="timeout", after_effect=True)),
        ),
    ),
    Kind(
        id="F6",
        name="answer that is none",
        on=_ALL,
        forms=(
            Form(name="half", rules=_once(does="garble"), ends={**_ENDS, "write": UNLESS_WAITED}),
            Form(name="list", rules=_once(status=200, content="[]"), ends={**_ENDS, "write": UNLESS_WAITED}),
            Form(name="empty", rules=_once(status=200, content=""), ends={**_ENDS, "write": UNLESS_WAITED}),
            Form(name="page", rules=_once(status=200, content=PAGE), ends={**_ENDS, "write": UNLESS_WAITED}),
            Form(name="object", rules=_once(status=200, content="{}"), ends={**_ENDS, "write": UNLESS_WAITED}),
            Form(
                name="later",
                rules=lambda s: [_rule(s, status=200, content='"x"', skip=s.before, times=1)],
                ends=_ENDS,
                only=_READS,
            ),
        ),
    ),
    Kind(
        id="F7",
        name="403",
        on=_ALL,
        forms=(
            Form(name="everywhere", rules=_deny(one=False), ends=_ENDS),
            Form(name="one-subscription", rules=_deny(one=True), ends=_ENDS, only=("list",)),
            Form(name="later", rules=_deny_later, ends=_ENDS, only=_READS),
        ),
    ),
    Kind(id="F8", name="gone midway", on=("list", "read", "poll", "write")),
    Kind(
        id="F9",
        name="conflict",
        on=("write",),
        forms=(
            Form(
                name="another-operation",
                rules=_once(status=429, content=error("RetryableErrorDueToAnotherOperation")),
            ),
            Form(name="etag", rules=_once(status=412, content=error("PreconditionFailed")), ends={"*": UNLESS_WAITED}),
            Form(
                name="too-often",
                rules=_always(status=400, content=error("CloudDosAbsoluteLimitReached")),
                ends={"*": OPEN},
            ),
        ),
    ),
    Kind(
        id="F10",
        name="operation failed",
        on=("write",),
        forms=(
            Form(
                name="agent",
                rules=_once(
                    does="fail_operation",
                    code="UserErrorGuestAgentStatusUnavailable",
                    message="VM agent is unable to communicate with the Azure Backup Service.",
                ),
                ends={"*": OPEN},
                void=True,
            ),
        ),
    ),
    Kind(
        id="F11",
        name="operation without end",
        on=("write", "poll"),
        forms=(
            Form(
                name="given-up",
                rules=_once(does="fail_operation", code="OperationTimedOut", message="The operation was given up."),
                ends={"*": OPEN},
                only=("write",),
                settings=_SLOW,
                void=True,
            ),
            Form(name="slow", rules=lambda _: [], ends={"*": UNLESS_WAITED}, only=("write",), settings=_SLOW),
            Form(
                name="nowhere",
                rules=_once(status=202, after_effect=True),
                ends={"*": UNLESS_WAITED},
                only=("write",),
            ),
            Form(
                name="lost",
                rules=_always(status=404, code="ResourceNotFound", message="The operation was not found."),
                ends=_ENDS,
                only=("poll",),
            ),
            Form(name="too-early", rules=_stale, ends={"*": frozenset({0, 3, 5})}, only=("poll",)),
        ),
    ),
    Kind(
        id="F12",
        name="pages",
        on=("list",),
        forms=(
            Form(name="loop", rules=_page(_loops, times=2), ends=_ENDS),
            Form(name="foreign", rules=_page(_foreign), ends=_ENDS),
            Form(name="doubled", rules=_page(_doubled)),
            Form(name="shrunk", rules=_page(_shrunk)),
        ),
    ),
    Kind(id="F13", name="SIGKILL", on=_ALL),
    Kind(id="F14", name="second operator", on=("write",)),
)
# Why a fault cannot happen to a call, by the fault and what the call does.
REASONS = {
    ("F8", "ask"): "nothing rests on the answer",
    ("F9", "*"): "the service names conflicts to those who write",
    ("F10", "*"): "only a write starts an operation of the job",
    ("F11", "*"): "only a write starts an operation of the job",
    ("F12", "*"): "the answer has no pages",
    ("F14", "*"): "two who read do not meet",
    ("F8", ""): "what it is about is in no other step, or cannot be taken away alone",
    ("F10", ""): "its answer is the end: there is no operation",
    ("F11", ""): "its answer is the end: there is no operation",
    ("F13", "led"): "it comes after another fault: killed here is killed after that write's send",
}
