"""
The simulated service as a WSGI application: from a request over its faults and its provider to the answer.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from http.client import responses
from typing import TYPE_CHECKING

from runbook_lib.sandbox import (
    authorization,
    compute,
    computeoperations,
    deletedvaults,
    effective,
    generic,
    network,
    networkoperations,
    recoveryservices,
    resources,
    servicetags,
    vmactions,
    vmextensions,
)
from runbook_lib.sandbox.access import named_caller
from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error
from runbook_lib.sandbox.backup import (
    backups,
    config,
    containers,
    discovery,
    jobs,
    operations,
    policies,
    protection,
    recoverypoints,
)
from runbook_lib.sandbox.call import Effect, Failure, Route, Tenant
from runbook_lib.sandbox.clock import arm_time
from runbook_lib.sandbox.faults import ConnectionBroken, Fault
from runbook_lib.sandbox.front import Request, admitted, check_front, headers_of, log_entry, no_such_path, read_request
from runbook_lib.sandbox.profile import Profile
from runbook_lib.sandbox.router import Match, Router
from runbook_lib.sandbox.state import Body, State
from runbook_lib.sandbox.store import Store
from runbook_lib.sandbox.throttle import charge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ROUTES", "ArmApp", "profile_of", "settle"]

_PROVIDERS = (
    resources,
    generic,
    authorization,
    compute,
    computeoperations,
    vmactions,
    vmextensions,
    network,
    networkoperations,
    effective,
    servicetags,
    recoveryservices,
    deletedvaults,
    policies,
    operations,
    jobs,
    backups,
    protection,
    recoverypoints,
    containers,
    discovery,
    config,
)
ROUTES = tuple(route for provider in _PROVIDERS for route in provider.ROUTES)
_EFFECTS: dict[str, Effect] = {
    **resources.EFFECTS,
    **vmactions.EFFECTS,
    **vmextensions.EFFECTS,
    **network.EFFECTS,
    **effective.EFFECTS,
    **recoveryservices.EFFECTS,
    **deletedvaults.EFFECTS,
    **policies.EFFECTS,
    **jobs.EFFECTS,
    **backups.EFFECTS,
    **protection.EFFECTS,
    **discovery.EFFECTS,
}
_FAILURES: dict[str, Failure] = {
    **resources.FAILURES,
    **vmactions.FAILURES,
    **vmextensions.FAILURES,
    **network.FAILURES,
    **backups.FAILURES,
}
_CHANGING = ("Creating", "Provisioning", "Updating", "Deleting")


class ArmApp:
    """
    A WSGI application that answers for the tenant in a store.

    Args:
        wait: takes the seconds, on the tenant's clock, for which an answer is on its way.
    """

    def __init__(self, store: Store, wait: Callable[[float], None]) -> None:
        self._store = store
        self._wait = wait
        self._router = _routed(ROUTES)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """
        Answer one request.

        Raises:
            ConnectionBroken: a fault rule breaks the connection.
        """
        request = read_request(environ)
        with self._store.reading() as state:
            profile, rules = profile_of(state), state.faults()
            due = state.next_due(state.now().timestamp()) is not None
        fault = self._take_fault(request, rules) if rules else None
        if due:
            settle(self._store)
        request = replace(request, caller=named_caller(request.token, profile.caller))
        if fault is not None:
            request = replace(request, fate=fault.fate)
            self._remove(fault)
        match = self._router.match(request.path)
        route = None if match is None else match.routes.get(request.method)
        acted = fault is None or fault.acts
        answer = self._serve(request, match, route) if acted else None
        if fault is not None:
            answer = fault.spoil(answer)
        now = self._log(request, answer, profile, writes=acted and route is not None and route.writes, fault=fault)
        headers = {} if answer is None else headers_of(request, answer, now)
        if fault is not None and fault.breaks:
            raise ConnectionBroken(
                fault.breaks,
                acted=acted,
                seconds=fault.seconds,
                status=0 if answer is None else answer.status,
                headers=headers,
                content=b"" if answer is None else answer.content,
            )
        if answer is None:
            raise ValueError(f"no answer to {request.method} {request.path}")
        start_response(f"{answer.status} {responses.get(answer.status, 'Unknown')}", list(headers.items()))
        return [b"" if request.method == "HEAD" else answer.content]

    def _log(
        self, request: Request, answer: Answer | None, profile: Profile, *, writes: bool, fault: Fault | None
    ) -> datetime:
        broken = fault is not None and fault.breaks in ("reset", "timeout")
        entry = log_entry(request, None if broken else answer, writes=writes, fault=fault is not None)
        with self._store.writing() as state:
            now = state.now()
            number = state.log({"time": arm_time(now), **entry})
        delay = profile.delay(number)
        if delay:
            self._wait(delay)
        return now

    def _serve(self, request: Request, match: Match | None, route: Route | None) -> Answer:
        counters: dict[str, str] = {}
        try:
            check_front(request)
            if match is None:
                raise no_such_path(request)
            if route is None:
                raise gateway_error(
                    405,
                    "MethodNotAllowed",
                    f"The request URI '{request.path}' does not support HTTP method '{request.method}'.",
                    headers={"Allow": ", ".join(sorted(match.routes))},
                )
            counters = self._charge(request, route, match.names)
            with self._store.writing() if route.writes else self._store.reading() as state:
                tenant = Tenant(state=state, now=state.now(), profile=profile_of(state), fate=request.fate)
                answer = route.handler(admitted(request, route, match.names, tenant))
        except ArmError as error:
            answer = error.answer()
        return replace(answer, headers={**counters, **answer.headers}) if counters else answer

    def _charge(self, request: Request, route: Route, names: dict[str, str]) -> dict[str, str]:
        with self._store.reading() as state:
            profile = profile_of(state)
        if profile.throttle == "none":
            return {}
        # Apart from what the request changes: one that is refused later was a request all the same.
        with self._store.writing() as state:
            return charge(state, profile.throttle, state.now().timestamp(), request.caller, route, names)

    def _take_fault(self, request: Request, rules: list[tuple[int, Body]]) -> Fault | None:
        for seq, rule in rules:
            fault = Fault.of(rule)
            if not fault.matches(request.method, request.path, request.query):
                continue
            with self._store.writing() as state:
                if state.use_fault(seq):
                    return fault
        return None

    def _remove(self, fault: Fault) -> None:
        if fault.resource:
            with self._store.writing() as state:
                state.cancel_under(fault.resource)
                state.delete(fault.resource)


@lru_cache(maxsize=2)
def _routed(routes: tuple[Route, ...]) -> Router:
    # Every session on a sandbox makes an application, and they all have the same routes.
    return Router(routes)


def profile_of(state: State) -> Profile:
    """
    Return the profile that the tenant's settings ask for.
    """
    return _parsed(json.dumps(state.setting("profile", {})))


@lru_cache(maxsize=16)
def _parsed(settings: str) -> Profile:
    return Profile.of(json.loads(settings))


def settle(store: Store) -> None:
    """
    Give all operations whose time is over their effect, in the order in which they ended.
    """
    with store.reading() as state:
        if state.next_due(state.now().timestamp()) is None:
            return
    with store.writing() as state:
        now = state.now().timestamp()
        profile = profile_of(state)
        while (operation := state.next_due(now)) is not None:
            tenant = Tenant(state=state, now=datetime.fromtimestamp(operation["ready_at"], UTC), profile=profile)
            args = operation["args"]
            try:
                if "fate" in args:
                    raise ArmError(400, **args["fate"]["error"])
                _EFFECTS[operation["kind"]](tenant, args)
            except ArmError as error:
                _give_up(tenant, operation, error)
            else:
                state.end_operation(operation["id"], "Succeeded", None)


def _give_up(tenant: Tenant, operation: Body, error: ArmError) -> None:
    """
    End an operation that failed, and with it its job and the change of its target.
    """
    args = operation["args"]
    if operation["kind"] in _FAILURES:
        _FAILURES[operation["kind"]](tenant, args, error)
    elif "job" in args:
        jobs.end_job(tenant, args["vault"], args["job"], "Failed", error)
    target = tenant.state.get(operation["target"])
    properties = target.get("properties") if target is not None else None
    if target is not None and isinstance(properties, dict) and properties.get("provisioningState") in _CHANGING:
        tenant.state.put({**target, "properties": {**properties, "provisioningState": "Failed"}})
    tenant.state.end_operation(operation["id"], "Failed", {"code": error.code, "message": error.error["message"]})
