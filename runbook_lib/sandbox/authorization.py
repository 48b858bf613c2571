"""
Microsoft.Authorization: locks, and the roles and permissions of the caller.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runbook_lib.sandbox.access import ASSIGNMENT_TYPE, LOCK_TYPE, ROLE_TYPE, permissions, scope_of
from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error, resource_not_found
from runbook_lib.sandbox.call import Call, Handler, Route, member
from runbook_lib.sandbox.roles import BUILT_IN
from runbook_lib.sandbox.state import Body, key_of

__all__ = ["ROUTES"]

_NAMESPACE = "Microsoft.Authorization"
_MARK = f"/providers/{_NAMESPACE}/"
_LEVELS = ("CanNotDelete", "ReadOnly")


def _scope(call: Call) -> str:
    """
    Return what a call asks about: the part of its path before this provider, which has to exist.
    """
    scope = scope_of(call.path)
    if call.state.get(scope) is None:
        parts = scope.split("/")
        raise resource_not_found("/".join(parts[6:8]), parts[-1], call.names.get("group", ""))
    return scope


def _around(call: Call, type_key: str) -> Iterable[Body]:
    """
    Walk what is at the scope of the call, above it and, unless the filter says `atScope()`, below it.
    """
    scope = f"{key_of(_scope(call))}/"
    only = "atscope()" in call.query.get("$filter", "").lower()
    for key, body in call.state.scan(type_key):
        place = f"{scope_of(key)}/"
        if (scope.startswith(place) or (place.startswith(scope) and not only)) and call.sees(place.rstrip("/")):
            yield body


def _list(type_key: str) -> Handler:
    def handler(call: Call) -> Answer:
        return Answer(status=200, body={"value": list(_around(call, type_key))})

    return handler


def _get_lock(call: Call) -> Answer:
    return Answer(status=200, body=_lock(call))


def _put_lock(call: Call) -> Answer:
    scope = _scope(call)
    asked = member(call.body, "properties")
    if asked.get("level") not in _LEVELS:
        raise ArmError(400, "LockLevelInvalid", f"The lock level must be one of {', '.join(_LEVELS)}.")
    lock_id = f"{scope}{_MARK}locks/{call.names['lock']}"
    old = call.state.get(lock_id)
    body: Body = {
        "properties": {name: asked[name] for name in ("level", "notes", "owners") if asked.get(name) is not None},
        "id": lock_id if old is None else old["id"],
        "type": f"{_NAMESPACE}/locks",
        "name": call.names["lock"] if old is None else old["name"],
    }
    call.state.put(body)
    return Answer(status=201 if old is None else 200, body=body)


def _delete_lock(call: Call) -> Answer:
    lock = call.state.get(f"{_scope(call)}{_MARK}locks/{call.names['lock']}")
    if lock is None:
        return Answer(status=204)
    call.state.delete(lock["id"])
    return Answer(status=200)


def _lock(call: Call) -> Body:
    lock = call.state.get(f"{_scope(call)}{_MARK}locks/{call.names['lock']}")
    if lock is None:
        raise gateway_error(404, "LockNotFound", f"The lock '{call.names['lock']}' could not be found.")
    return lock


def _permissions(call: Call) -> Answer:
    return Answer(status=200, body={"value": permissions(call.state, call.caller, _scope(call))})


def _roles(call: Call) -> Answer:
    wanted = {name: key_of(value) for name, value in call.filter().items()}
    known: dict[str, Callable[[Body], str]] = {
        "rolename": lambda role: str(role["properties"].get("roleName", "")),
        "type": lambda role: str(role["properties"].get("type", "")),
    }
    value = [
        role
        for role in _definitions(call)
        if all(key_of(known[name](role)) == asked for name, asked in wanted.items() if name in known)
    ]
    return Answer(status=200, body={"value": value})


def _role(call: Call) -> Answer:
    for role in _definitions(call):
        if key_of(role["name"]) == key_of(call.names["role"]):
            return Answer(status=200, body=role)
    raise ArmError(
        404,
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{call.names['role']}' does not exist.",
    )


def _definitions(call: Call) -> Iterable[Body]:
    scope = _scope(call)
    subscription = "/".join(scope.split("/")[:3])
    for name, properties in sorted(BUILT_IN.items()):
        yield {
            "properties": properties,
            "id": f"{subscription}{_MARK}roleDefinitions/{name}",
            "type": f"{_NAMESPACE}/roleDefinitions",
            "name": name,
        }
    for _, body in call.state.scan(ROLE_TYPE):
        yield {**body, "properties": member(body, "properties")}


# Where these can be asked for: a subscription, a group, and a resource in a group.
_SCOPES = (
    "/subscriptions/{subscription}",
    "/subscriptions/{subscription}/resourceGroups/{group}",
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{kind}/{resource}",
)

ROUTES = tuple(
    Route(method=method, path=f"{scope}{_MARK}{rest}", handler=handler, writes=method in ("PUT", "DELETE"))
    for scope in _SCOPES
    for method, rest, handler in (
        ("GET", "locks", _list(LOCK_TYPE)),
        ("GET", "locks/{lock}", _get_lock),
        ("PUT", "locks/{lock}", _put_lock),
        ("DELETE", "locks/{lock}", _delete_lock),
        ("GET", "permissions", _permissions),
        ("GET", "roleAssignments", _list(ASSIGNMENT_TYPE)),
        ("GET", "roleDefinitions", _roles),
        ("GET", "roleDefinitions/{role}", _role),
    )
)
