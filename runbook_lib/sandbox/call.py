"""
A request as the resource providers see it, the tenant that it acts on, and the route that leads to a handler.

Imports the standard library and the sandbox's state, profile and answers only.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from runbook_lib.sandbox.answers import Answer, ArmError, resource_not_found
from runbook_lib.sandbox.odata import parse_filter
from runbook_lib.sandbox.profile import Profile
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = ["Call", "Caller", "Effect", "Failure", "Handler", "Route", "Tenant", "member", "paged"]

# What ARM leaves as it is in the path of a URL that it writes.
_PATH_SAFE = "/;:@!$&'()*+,=~"
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    Who sent a request, as the claims of the token tell.

    Args:
        object_id: empty when neither the token nor the profile names one.
        groups: object ids of the groups that the token lists.
    """

    object_id: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """
    The simulated tenant at one moment, inside one transaction.

    Args:
        fate: what a fault rule makes of the operations that begin: `held`, or the `error` that they end with.
    """

    state: State
    now: datetime
    profile: Profile
    fate: Body | None = None

    def begin(
        self, kind: str, target: str, args: Body, *, operation_id: str | None = None, seconds: float | None = None
    ) -> str:
        """
        Start an operation on *target* and return its id; its effect comes when its time is over.

        Args:
            seconds: how long it runs; None takes the profile's duration for *kind*.
        """
        operation_id = operation_id or str(uuid.uuid4())
        started = self.now.timestamp()
        ready = started + (self.profile.duration(kind, key_of(target)) if seconds is None else seconds)
        if self.fate is not None:
            ready = _NEVER if self.fate.get("held") else ready
            args = args | {"fate": self.fate}
        self.state.add_operation(operation_id, kind, target, (started, ready), args)
        return operation_id


# Applies a finished operation to the tenant; an ArmError makes the operation fail.
Effect = Callable[[Tenant, Body], None]
# Takes back what the start of an operation left halfway, once the operation has failed.
Failure = Callable[[Tenant, Body, ArmError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    A request that has passed the front door.

    Args:
        path: decoded, in the caller's case.
        names: the variable parts of the path by the route's names for them, in the caller's case.
        query: by lower-cased name.
        headers: by lower-cased name.
        body: an empty object when the request has no content.
        base: scheme and host that the caller used, for the URLs in the answer.
        seen: keys of the scopes whose resources the caller may see in a list; None for all.
    """

    tenant: Tenant
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    base: str
    caller: Caller
    seen: tuple[str, ...] | None

    @property
    def state(self) -> State:
        """
        Return the state that the call reads or changes.
        """
        return self.tenant.state

    @property
    def now(self) -> datetime:
        """
        Return the moment of the call.
        """
        return self.tenant.now

    @property
    def api_version(self) -> str:
        """
        Return the api-version that the caller asks for.
        """
        return self.query["api-version"]

    @property
    def subscription_scope(self) -> str:
        """
        Return the id of the call's subscription.
        """
        return f"/subscriptions/{self.names['subscription']}"

    @property
    def group_scope(self) -> str:
        """
        Return the id of the call's resource group.
        """
        return f"{self.subscription_scope}/resourceGroups/{self.names['group']}"

    def url(self, path: str) -> str:
        """
        Return an absolute URL for the answer, with the caller's api-version.
        """
        return f"{self.base}{quote(path, safe=_PATH_SAFE)}?{urlencode({'api-version': self.api_version})}"

    def resource(self, kind: str, name: str) -> Body:
        """
        Return the resource of this group that is of *kind* and called *name*.

        Raises:
            ArmError: there is none.
        """
        body = self.state.get(f"{self.group_scope}/providers/{kind}/{name}")
        if body is None:
            raise resource_not_found(kind, name, self.names["group"])
        return body

    def echo(self, body: Body, depth: int = 4) -> Body:
        """
        Return *body* with the first *depth* parts of its id as the caller wrote them.
        """
        own, asked = body["id"].split("/"), self.path.split("/")
        # The kinds keep their spelling; names follow the caller.
        parts = [
            asked[place] if place <= depth and not place % 2 and place < len(asked) else part
            for place, part in enumerate(own)
        ]
        return {**body, "id": "/".join(parts)}

    def sees(self, key: str) -> bool:
        """
        Tell whether the caller may see the resource of that key in the list that the call asks for.
        """
        return self.seen is None or any(f"{key}/".startswith(f"{scope}/") for scope in self.seen)

    def filter(self) -> dict[str, str]:
        """
        Return the values that the call's `$filter` asks for, by lower-cased name.

        Raises:
            ArmError: the filter is not understood.
        """
        try:
            return parse_filter(self.query.get("$filter", ""))
        except ValueError as error:
            raise ArmError(400, "BadRequest", f"Invalid $filter: {error}.") from error


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    What serves a method on the paths of a form, such as `/subscriptions/{subscription}/locations`.

    Args:
        writes: whether the service treats the request as a change.
    """

    method: str
    path: str
    handler: Handler
    writes: bool = False


def paged(
    call: Call,
    kind: str,
    rows: Callable[[str], Iterable[tuple[str, Body]]],
    *,
    keep: Callable[[Body], bool] = bool,
    shape: Callable[[Body], Body] = dict,
    size: int | None = None,
) -> Answer:
    """
    Answer one page of a list, with a `nextLink` when more follows.

    Args:
        kind: the name of the list in the profile's page sizes.
        rows: gives the keys and bodies that come after a key, in the order of the keys.
        keep: tells which bodies belong to the list.
        shape: makes of a body what the list shows.
        size: rows in a page; None takes the profile's.
    """
    size = size or call.tenant.profile.page_sizes[kind]
    value: list[Body] = []
    last = ""
    for key, body in rows(_skipped(call)):
        if not keep(body) or not call.sees(key):
            continue
        if len(value) == size:
            return Answer(status=200, body={"value": value, "nextLink": _next_link(call, last)})
        value.append(shape(body))
        last = key
    return Answer(status=200, body={"value": value})


def member(body: Mapping[str, Any], name: str) -> Body:
    """
    Return the object *name* of a request's body, an empty one when it is absent or null.

    Raises:
        ArmError: the member is something other than an object.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{name}' must be an object.",
        )
    return value


def _skipped(call: Call) -> str:
    token = call.query.get("$skiptoken", "")
    try:
        return key_of(base64.urlsafe_b64decode(token).decode())
    except (binascii.Error, ValueError) as error:
        raise ArmError(400, "BadRequest", f"The skip token '{token}' is not valid.") from error


def _next_link(call: Call, last: str) -> str:
    token = base64.urlsafe_b64encode(last.encode()).decode()
    query = {**call.query, "$skiptoken": token}
    return f"{call.base}{quote(call.path, safe=_PATH_SAFE)}?{urlencode(query, safe='$', quote_via=quote)}"
