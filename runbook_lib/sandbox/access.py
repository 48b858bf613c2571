"""
Who calls, what a request asks to do, and whether roles and locks let it: Azure RBAC and management locks.

A caller to whom the tenant assigns a role is held to the assigned ones; any other caller may do everything, as in a
tenant that assigns none. Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from functools import lru_cache

from runbook_lib.sandbox.answers import ArmError, gateway_error
from runbook_lib.sandbox.call import Caller, Route
from runbook_lib.sandbox.roles import BUILT_IN, allows
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = [
    "ASSIGNMENT_TYPE",
    "LOCK_TYPE",
    "ROLE_TYPE",
    "action_of",
    "check_locks",
    "named_caller",
    "permissions",
    "reach",
    "require_linked",
    "scope_of",
    "sees_subscription",
]

ASSIGNMENT_TYPE = "microsoft.authorization/roleassignments"
LOCK_TYPE = "microsoft.authorization/locks"
ROLE_TYPE = "microsoft.authorization/roledefinitions"

_MARK = "/providers/microsoft.authorization/"
# What a list over a whole subscription is asked of.
_WHOLE = re.compile(r"/subscriptions/[^/]+(?:/providers/[^/]+/locations/[^/]+)?", re.IGNORECASE)
_OWN = re.compile(re.escape(_MARK), re.IGNORECASE)
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


@lru_cache(maxsize=256)
def named_caller(token: str, otherwise: str) -> Caller:
    """
    Return the caller that the claims of a token name.

    The claims are not verified: the sandbox opens nothing that would need it.

    Args:
        otherwise: the object id of a caller whose token names none.
    """
    parts, claims = token.split("."), {}
    if len(parts) == 3:
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (ValueError, RecursionError):
            claims = {}
    if not isinstance(claims, dict):
        claims = {}
    object_id = _written(claims.get("oid") or otherwise)
    groups = claims.get("groups")
    return Caller(
        object_id=object_id,
        name=_written(claims.get("upn") or claims.get("appid") or object_id),
        groups=tuple(map(_written, groups)) if isinstance(groups, list) else (),
    )


def _written(claim: object) -> str:
    # Half a surrogate pair is a text in JSON, and none that can be stored.
    return str(claim).encode(errors="replace").decode()


@lru_cache(maxsize=512)
def action_of(route: Route) -> str:
    """
    Name what a request on a route asks to do, as roles name it: `Microsoft.RecoveryServices/vaults/write`.
    """
    _, found, after = route.path.rpartition("/providers/")
    verb = _VERBS[route.method]
    if not found or after.startswith("{namespace}"):
        if after.endswith("/register"):
            return "{namespace}/register/action"
        return "/".join(["Microsoft.Resources", *route.path.strip("/").split("/")[::2], verb])
    namespace, *rest = after.split("/")
    return "/".join([namespace, *rest[::2], verb])


def permissions(state: State, caller: Caller, scope: str) -> list[Body]:
    """
    Return the permissions that a caller has at *scope*: those of each role assigned there or above.
    """
    assigned = _assignments(state, caller)
    if not assigned:
        return [{"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}]
    target = f"{key_of(scope)}/"
    return [
        permission
        for place, role in assigned
        if target.startswith(f"{place}/")
        for permission in _permissions_of(state, role)
    ]


def sees_subscription(state: State, caller: Caller, subscription_id: str) -> bool:
    """
    Tell whether a list of subscriptions shows one to a caller: with any role in it, or with none anywhere.
    """
    assigned = _assignments(state, caller)
    scope = f"{key_of(subscription_id)}/"
    return not assigned or any(f"{place}/".startswith(scope) for place, _ in assigned)


def reach(state: State, caller: Caller, route: Route, path: str, namespace: str) -> tuple[str, ...] | None:
    """
    Tell where a caller may do what a request asks.

    Args:
        namespace: the provider that the path names, where the route leaves it open.

    Returns:
        None when they may do it at the request's own scope; for a list over a subscription, the keys of the scopes
        below it whose rows they may see.

    Raises:
        ArmError: 403 AuthorizationFailed, with the action and the scope.
    """
    assigned = _assignments(state, caller)
    if not assigned or not path.lower().startswith("/subscriptions/"):
        return None
    if route.path.endswith("/{operation}"):
        # Whoever started an operation may ask for it: its URL is signed.
        return None
    action = action_of(route).replace("{namespace}", namespace)
    scope = _scope_of(route, path)
    allowed = [place for place, role in assigned if _role_allows(state, role, action)]
    if any(f"{key_of(scope)}/".startswith(f"{place}/") for place in allowed):
        return None
    subscription = "/".join(key_of(scope).split("/")[:3])
    below = tuple(place for place in allowed if place.startswith(f"{subscription}/"))
    if below and route.method == "GET" and _WHOLE.fullmatch(scope):
        return below
    raise gateway_error(
        403,
        "AuthorizationFailed",
        f"The client '{caller.name}' with object id '{caller.object_id}' does not have authorization to perform action"
        f" '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your"
        " credentials.",
    )


def require_linked(state: State, caller: Caller, doing: str, scope: str, action: str, linked: str) -> None:
    """
    Refuse a request that refers to a resource on which the caller lacks a right.

    Args:
        doing: the action of the request itself, at *scope*.
        action: the right that is needed at *linked*.

    Raises:
        ArmError: 403 LinkedAuthorizationFailed.
    """
    if any(allows(permission, action) for permission in permissions(state, caller, linked)):
        return
    raise gateway_error(
        403,
        "LinkedAuthorizationFailed",
        f"The client '{caller.name}' with object id '{caller.object_id}' has permission to perform action '{doing}' on"
        f" scope '{scope}'; however, it does not have permission to perform action(s) '{action}' on the linked"
        f" scope(s) '{linked}' (respectively) or the linked scope(s) are invalid.",
    )


def check_locks(state: State, route: Route, path: str) -> None:
    """
    Refuse to change or delete what a lock at its scope or above holds.

    Raises:
        ArmError: 409 ScopeLocked.
    """
    scope = _scope_of(route, path)
    target = f"{key_of(scope)}/"
    holding = ("cannotdelete", "readonly") if route.method == "DELETE" else ("readonly",)
    locked = [
        place
        for place, lock in _locks(state)
        if target.startswith(f"{key_of(place)}/")
        and key_of(str((lock.get("properties") or {}).get("level"))) in holding
    ]
    if not locked or _MARK in route.path.lower():
        return
    word = "delete" if route.method == "DELETE" else "write"
    raise ArmError(
        409,
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {word} operation because following scope(s) are locked:"
        f" '{','.join(locked)}'. Please remove the lock and try again.",
        headers={"x-ms-failure-cause": "gateway"},
    )


def _locks(state: State) -> Iterable[tuple[str, Body]]:
    # Each with the scope that it holds.
    return ((scope_of(lock["id"]), lock) for _, lock in state.scan(LOCK_TYPE))


def scope_of(resource_id: str) -> str:
    """
    Return what a lock, a role assignment or a role definition is about: its id without its own part.
    """
    return resource_id[: max(found.start() for found in _OWN.finditer(resource_id))]


def _assignments(state: State, caller: Caller) -> list[tuple[str, str]]:
    # The key of each scope at which the caller has a role, with the name of the role's definition.
    if not caller.object_id:
        return []
    own = {key_of(one) for one in (caller.object_id, *caller.groups)}
    found = []
    for key, body in state.scan(ASSIGNMENT_TYPE):
        properties = body.get("properties") or {}
        if key_of(str(properties.get("principalId", ""))) in own:
            place = key_of(str(properties.get("scope") or key[: key.rindex(_MARK)]))
            found.append((place, key_of(str(properties.get("roleDefinitionId", ""))).rpartition("/")[2]))
    return found


def _permissions_of(state: State, role: str) -> list[Body]:
    built_in = BUILT_IN.get(role)
    if built_in is not None:
        return list(built_in["permissions"])
    for key, body in state.scan(ROLE_TYPE):
        if key.rpartition("/")[2] == role:
            own = (body.get("properties") or {}).get("permissions")
            return [each for each in own if isinstance(each, dict)] if isinstance(own, list) else []
    return []


def _role_allows(state: State, role: str, action: str) -> bool:
    return any(allows(permission, action) for permission in _permissions_of(state, role))


def _scope_of(route: Route, path: str) -> str:
    # A list and an action belong to what they are asked of: pairs of a kind and a name are a scope, the rest is not.
    # The form tells which part is which, whatever a resource is called.
    form, parts = route.path.strip("/").split("/"), path.strip("/").split("/")
    providers = max((place for place, part in enumerate(form) if part == "providers"), default=None)
    if providers is None or len(form) == providers + 1:
        return "/" + "/".join(parts[: len(parts) // 2 * 2])
    inner = parts[providers + 2 :]
    kept = parts[:providers] if len(inner) < 2 else parts[: providers + 2 + len(inner) // 2 * 2]
    return "/" + "/".join(kept)
