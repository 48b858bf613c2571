"""
The front door of the simulated service, as a WSGI application: what every request meets before a provider sees it.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import responses
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from runbook_lib.sandbox import compute, network, recoveryservices, resources
from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error, resource_group_not_found
from runbook_lib.sandbox.backup import config, discovery, jobs, operations, policies, protection
from runbook_lib.sandbox.bodies import SandboxError, parse
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant
from runbook_lib.sandbox.clock import arm_time, http_date, routing_time
from runbook_lib.sandbox.faults import ConnectionDropped, Fault
from runbook_lib.sandbox.profile import Profile
from runbook_lib.sandbox.resources import require_registration
from runbook_lib.sandbox.router import Match, Router
from runbook_lib.sandbox.state import Body
from runbook_lib.sandbox.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ROUTES", "ArmApp", "settle"]

_PROVIDERS = (resources, compute, network, recoveryservices, policies, operations, jobs, protection, discovery, config)
ROUTES = tuple(route for provider in _PROVIDERS for route in provider.ROUTES)
_EFFECTS: dict[str, Effect] = {
    **resources.EFFECTS,
    **network.EFFECTS,
    **recoveryservices.EFFECTS,
    **policies.EFFECTS,
    **jobs.EFFECTS,
    **protection.EFFECTS,
    **discovery.EFFECTS,
}
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?", re.ASCII)
_NAMESPACE = re.compile(r"/providers/(?P<name>Microsoft\.\w+)/")
_BODIES = ("PUT", "POST", "PATCH")
# What an auditor sees in a routing id: it came from no Azure region.
_REGION = "SANDBOX"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    base: str
    request_id: str


class ArmApp:
    """
    A WSGI application that answers for the tenant in a store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._router = Router(ROUTES)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """
        Answer one request.

        Raises:
            ConnectionDropped: a fault rule breaks the connection.
        """
        request = _read(environ)
        answer, now = self._answer(request)
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = _front_headers(request, now) | dict(answer.headers)
        if answer.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if answer.status != 204:
            headers["Content-Length"] = str(len(content))
        start_response(f"{answer.status} {responses.get(answer.status, 'Unknown')}", list(headers.items()))
        return [b"" if request.method == "HEAD" else content]

    def _answer(self, request: _Request) -> tuple[Answer, datetime]:
        fault = self._take_fault(request)
        acts = fault is None or fault.after_effect
        match = self._router.match(request.path)
        route = None if match is None else match.routes.get(request.method)
        settle(self._store)
        answer = self._serve(request, match, route) if acts else None
        if fault is not None:
            answer = fault.answer()
        entry = _log_entry(request, answer, writes=acts and route is not None and route.writes, fault=fault is not None)
        with self._store.writing() as state:
            now = state.now()
            state.log({"time": arm_time(now), **entry})
        if answer is None:
            raise ConnectionDropped(acted=acts)
        return answer, now

    def _serve(self, request: _Request, match: Match | None, route: Route | None) -> Answer:
        try:
            _check_caller(request)
            if match is None:
                raise _no_such_path(request)
            if route is None:
                raise gateway_error(
                    405,
                    "MethodNotAllowed",
                    f"The request URI '{request.path}' does not support HTTP method '{request.method}'.",
                    headers={"Allow": ", ".join(sorted(match.routes))},
                )
            with self._store.writing() if route.writes else self._store.reading() as state:
                tenant = Tenant(state=state, now=state.now(), profile=Profile.of(state.setting("profile", {})))
                _check_scope(tenant, route, match.names)
                call = Call(
                    tenant=tenant,
                    path=request.path,
                    names=match.names,
                    query=request.query,
                    body=_content(request),
                    base=request.base,
                )
                return route.handler(call)
        except ArmError as error:
            return error.answer()

    def _take_fault(self, request: _Request) -> Fault | None:
        with self._store.reading() as state:
            rules = state.faults()
        if not rules:
            return None
        with self._store.writing() as state:
            for seq, rule in state.faults():
                fault = Fault(**rule)
                if fault.matches(request.method, request.path):
                    state.use_fault(seq)
                    return fault
        return None


def settle(store: Store) -> None:
    """
    Give all operations whose time is over their effect, in the order in which they ended.
    """
    with store.reading() as state:
        if state.next_due(state.now().timestamp()) is None:
            return
    with store.writing() as state:
        now = state.now().timestamp()
        profile = Profile.of(state.setting("profile", {}))
        while (operation := state.next_due(now)) is not None:
            ended = datetime.fromtimestamp(operation["ready_at"], UTC)
            try:
                _EFFECTS[operation["kind"]](Tenant(state=state, now=ended, profile=profile), operation["args"])
            except ArmError as error:
                state.end_operation(operation["id"], "Failed", {"code": error.code, "message": error.error["message"]})
            else:
                state.end_operation(operation["id"], "Succeeded", None)


def _read(environ: WSGIEnvironment) -> _Request:
    # WSGI hands over bytes as if they were Latin-1.
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    length = environ.get("CONTENT_LENGTH") or "0"
    return _Request(
        method=environ["REQUEST_METHOD"],
        path=path,
        query={name.lower(): value for name, value in query},
        headers={
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        },
        content=environ["wsgi.input"].read(int(length)) if length != "0" else b"",
        base=f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', 'management.azure.com')}",
        request_id=str(uuid.uuid4()),
    )


def _front_headers(request: _Request, now: datetime) -> dict[str, str]:
    correlation = request.headers.get("x-ms-correlation-request-id", request.request_id)
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Expires": "-1",
        "Date": http_date(now),
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "x-ms-request-id": request.request_id,
        "x-ms-correlation-request-id": correlation,
        "x-ms-routing-request-id": f"{_REGION}:{routing_time(now)}:{request.request_id}",
    }
    own = request.headers.get("x-ms-client-request-id")
    if own and request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = own
    return headers


def _log_entry(request: _Request, answer: Answer | None, *, writes: bool, fault: bool) -> Body:
    error = answer.body.get("error") if answer is not None and isinstance(answer.body, dict) else None
    refused = answer is not None and answer.status >= 400
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "status": None if answer is None else answer.status,
        "code": error["code"] if refused and error else "",
        "client_request_id": request.headers.get("x-ms-client-request-id", ""),
        "request_id": request.request_id,
        "correlation_id": request.headers.get("x-ms-correlation-request-id", request.request_id),
        "writes": writes,
        "fault": fault,
    }


def _check_caller(request: _Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        message = "Authentication failed. The 'Authorization' header is missing or not a bearer token."
        challenge = (
            'Bearer authorization_uri="https://login.microsoftonline.com/common", error="invalid_token",'
            " error_description=\"The authentication failed because of missing 'Authorization' header.\""
        )
        raise gateway_error(401, "AuthenticationFailed", message, headers={"WWW-Authenticate": challenge})
    version = request.query.get("api-version")
    if not version:
        raise gateway_error(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not _API_VERSION.fullmatch(version):
        raise gateway_error(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. It must have the form yyyy-MM-dd or yyyy-MM-dd-preview.",
        )


def _check_scope(tenant: Tenant, route: Route, names: dict[str, str]) -> None:
    subscription = names.get("subscription")
    if subscription is None:
        return
    scope = f"/subscriptions/{subscription}"
    if tenant.state.get(scope) is None:
        raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    namespace = _NAMESPACE.search(route.path)
    group = names.get("group")
    if group is not None and namespace is not None and tenant.state.get(f"{scope}/resourceGroups/{group}") is None:
        raise resource_group_not_found(group)
    if route.writes and namespace is not None:
        require_registration(tenant, subscription, namespace["name"])


def _content(request: _Request) -> Body:
    if request.method not in _BODIES or not request.content.strip():
        return {}
    try:
        body = parse(request.content)
    except SandboxError as error:
        raise _unreadable(str(error)) from error
    if not isinstance(body, dict):
        raise _unreadable("it is no object")
    return body


def _unreadable(reason: str) -> ArmError:
    return gateway_error(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{reason}'."
    )


def _no_such_path(request: _Request) -> ArmError:
    if not request.path.lower().startswith("/subscriptions/"):
        return gateway_error(
            404,
            "MissingSubscription",
            "The request did not have a subscription or a valid tenant level resource provider.",
        )
    _, found, rest = request.path.rpartition("/providers/")
    namespace, _, kind = rest.partition("/")
    if not found or not kind:
        return gateway_error(404, "InvalidRequestUri", f"The request URI '{request.path}' is not valid.")
    return gateway_error(
        404,
        "InvalidResourceType",
        f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version"
        f" '{request.query['api-version']}'.",
    )
