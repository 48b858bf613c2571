"""
What a request meets before a provider sees it, and what every answer carries.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from runbook_lib.sandbox.access import check_locks, reach
from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error, resource_group_not_found
from runbook_lib.sandbox.bodies import SandboxError, parse
from runbook_lib.sandbox.call import Call, Caller, Route, Tenant
from runbook_lib.sandbox.clock import http_date, routing_time
from runbook_lib.sandbox.resources import require_registration
from runbook_lib.sandbox.state import Body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["Request", "admitted", "check_front", "headers_of", "log_entry", "no_such_path", "read_request"]

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?", re.ASCII)
_NAMESPACE = re.compile(r"/providers/(?P<name>Microsoft\.\w+)/")
_BODIES = ("PUT", "POST", "PATCH")
# What an auditor sees in a routing id: it came from no Azure region.
_REGION = "SANDBOX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request as it came in.

    Args:
        path: decoded, in the caller's case.
        query: by lower-cased name, as `headers` are.
        fate: what a fault rule makes of the operation that it starts.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    base: str
    request_id: str
    caller: Caller = field(default_factory=Caller)
    fate: Body | None = None

    @property
    def token(self) -> str:
        """
        Return the bearer token; empty when there is none.
        """
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def admitted(request: Request, route: Route, names: dict[str, str], tenant: Tenant) -> Call:
    """
    Return the call that a request makes, once nothing on the way to the provider refuses it.

    Raises:
        ArmError: there is no such scope, the caller may not do it, a lock holds, or the body is unreadable.
    """
    _check_subscription(tenant, names)
    seen = reach(tenant.state, request.caller, route, request.path, names.get("namespace", ""))
    _check_scope(tenant, route, names)
    if route.writes:
        check_locks(tenant.state, route, request.path)
    return Call(
        tenant=tenant,
        path=request.path,
        names=names,
        query=request.query,
        headers=request.headers,
        body=_content(request),
        base=request.base,
        caller=request.caller,
        seen=seen,
    )


def read_request(environ: WSGIEnvironment) -> Request:
    """
    Read a request from what a server or the transport hands over.
    """
    # WSGI hands over bytes as if they were Latin-1.
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    # One spelling for the router, for roles and for locks: empty segments are nobody's.
    path = "/" + "/".join(part for part in path.split("/") if part)
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    length = environ.get("CONTENT_LENGTH") or "0"
    return Request(
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


def headers_of(request: Request, answer: Answer, now: datetime) -> dict[str, str]:
    """
    Return all headers of an answer: those of the front door, then its own.
    """
    headers = _front_headers(request, now) | dict(answer.headers)
    if answer.content:
        headers.setdefault("Content-Type", "application/json; charset=utf-8")
    if answer.status != 204:
        headers["Content-Length"] = str(len(answer.content))
    return headers


def _front_headers(request: Request, now: datetime) -> dict[str, str]:
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


def log_entry(request: Request, answer: Answer | None, *, writes: bool, fault: bool) -> Body:
    """
    Return what the log keeps of a request and of what became of it.
    """
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


def check_front(request: Request) -> None:
    """
    Refuse a request without a token or with an api-version that is none.

    Raises:
        ArmError: 401 AuthenticationFailed, or 400.
    """
    if not request.token:
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
    if not _API_VERSION.fullmatch(version) or not _is_date(version[:10]):
        raise gateway_error(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. It must have the form yyyy-MM-dd or yyyy-MM-dd-preview.",
        )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_subscription(tenant: Tenant, names: dict[str, str]) -> None:
    subscription = names.get("subscription")
    if subscription is not None and tenant.state.get(f"/subscriptions/{subscription}") is None:
        raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def _check_scope(tenant: Tenant, route: Route, names: dict[str, str]) -> None:
    subscription = names.get("subscription")
    if subscription is None:
        return
    scope = f"/subscriptions/{subscription}"
    namespace = _NAMESPACE.search(route.path)
    group = names.get("group")
    if group is not None and namespace is not None and tenant.state.get(f"{scope}/resourceGroups/{group}") is None:
        raise resource_group_not_found(group)
    if route.writes and namespace is not None:
        require_registration(tenant, subscription, namespace["name"])


def _content(request: Request) -> Body:
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


def no_such_path(request: Request) -> ArmError:
    """
    Make the error for a path that leads to no operation.
    """
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
