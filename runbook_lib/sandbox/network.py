"""
Microsoft.Network: what a virtual network is made of, from interfaces and security groups to load balancers.

All are read-only but the rules of a security group. A subnet, rule or route lives in the body of its parent only, so
that both of its URLs show one state. Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from runbook_lib.sandbox.answers import Answer, ArmError, network_error
from runbook_lib.sandbox.call import Call, Effect, Failure, Handler, Route, Tenant, member, paged
from runbook_lib.sandbox.networkoperations import RULE_KINDS, start
from runbook_lib.sandbox.rules import check_conflict, checked_rule, with_default_rules
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = ["EFFECTS", "ROUTES", "fold_children"]

_NAMESPACE = "Microsoft.Network"
_TYPES = (
    "applicationSecurityGroups",
    "loadBalancers",
    "natGateways",
    "networkInterfaces",
    "networkSecurityGroups",
    "privateEndpoints",
    "publicIPAddresses",
    "routeTables",
    "virtualNetworks",
)
_NSG = "networkSecurityGroups"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """
    A kind of resource that stands inside the body of another.
    """

    parent: str
    name: str


_CHILDREN = (
    _Child(parent=_NSG, name="securityRules"),
    _Child(parent=_NSG, name="defaultSecurityRules"),
    _Child(parent="virtualNetworks", name="subnets"),
    _Child(parent="routeTables", name="routes"),
)


def fold_children(bodies: dict[str, Body]) -> None:
    """
    Move the subnets, rules and routes that stand beside their parents into copies of them.

    Args:
        bodies: by key; a child whose parent is not there stays.
    """
    for child in _CHILDREN:
        mark = f"/providers/{_NAMESPACE}/{child.parent}/".lower()
        for key in [key for key in bodies if mark in key and f"/{child.name}/".lower() in key]:
            parent = bodies.get(key.rpartition(f"/{child.name}/".lower())[0])
            if parent is None:
                continue
            body = bodies.pop(key)
            properties = member(parent, "properties")
            inline = properties.get(child.name) or []
            if key not in [key_of(one.get("id", "")) for one in inline]:
                bodies[key_of(parent["id"])] = {**parent, "properties": {**properties, child.name: [*inline, body]}}


def _list_all(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        return _list(call, kind, call.subscription_scope)

    return handler


def _list_group(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        return _list(call, kind, call.group_scope)

    return handler


def _list(call: Call, kind: str, scope: str) -> Answer:
    type_key = f"{_NAMESPACE}/{kind}".lower()
    return paged(call, kind, lambda after: call.state.scan(type_key, scope, after), shape=_with_defaults)


def _get(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        body = _with_defaults(call.resource(f"{_NAMESPACE}/{kind}", call.names["name"]))
        return Answer(status=200, body=call.echo(body), headers=_etag(body))

    return handler


def _list_children(child: _Child) -> Handler:
    def handler(call: Call) -> Answer:
        parent = call.resource(f"{_NAMESPACE}/{child.parent}", call.names["name"])
        return Answer(status=200, body={"value": _children(_with_defaults(parent), child.name)})

    return handler


def _get_child(child: _Child) -> Handler:
    def handler(call: Call) -> Answer:
        parent = _with_defaults(call.resource(f"{_NAMESPACE}/{child.parent}", call.names["name"]))
        body = _child(parent, child.name, call.names["child"])
        if body is None:
            raise network_error(
                404, "NotFound", f"Resource {parent['id']}/{child.name}/{call.names['child']} not found."
            )
        return Answer(status=200, body=body, headers=_etag(body))

    return handler


def _put_rule(call: Call) -> Answer:
    group = _free_group(call)
    name = call.names["child"]
    old = _child(group, "securityRules", name)
    _check_etag(call, old)
    rule_id = f"{group['id']}/securityRules/{name if old is None else old['name']}"
    properties = checked_rule(rule_id, name, member(call.body, "properties"))
    check_conflict(name, properties, _children(group, "securityRules"))
    rule: Body = {
        "name": name if old is None else old["name"],
        "id": rule_id,
        "etag": f'W/"{uuid.uuid4()}"',
        "type": f"{_NAMESPACE}/{_NSG}/securityRules",
        "properties": properties,
    }
    _store_rule(call.state, group, rule)
    headers = start(call, group, "rule.put", {"group": group["id"], "rule": rule["name"]})
    del headers["Location"]
    return Answer(status=201 if old is None else 200, body=rule, headers=headers)


def _rule_stored(tenant: Tenant, args: Body) -> None:
    _set_state(tenant, args, "Succeeded")


def _rule_failed(tenant: Tenant, args: Body, error: ArmError) -> None:
    _set_state(tenant, args, "Failed")


def _set_state(tenant: Tenant, args: Body, word: str) -> None:
    group = tenant.state.get(args["group"])
    rule = None if group is None else _child(group, "securityRules", args["rule"])
    if group is not None and rule is not None:
        rule["properties"]["provisioningState"] = word
        _store_rule(tenant.state, group, rule)


def _delete_rule(call: Call) -> Answer:
    group = _free_group(call)
    rule = _child(group, "securityRules", call.names["child"])
    if rule is None:
        return Answer(status=204)
    _check_etag(call, rule)
    headers = start(call, group, "rule.delete", {"group": group["id"], "rule": rule["name"]})
    return Answer(status=202, headers=headers)


def _rule_deleted(tenant: Tenant, args: Body) -> None:
    group = tenant.state.get(args["group"])
    if group is not None:
        group["properties"]["securityRules"] = [
            rule for rule in _children(group, "securityRules") if key_of(rule["name"]) != key_of(args["rule"])
        ]
        tenant.state.put(group)


def _check_etag(call: Call, rule: Body | None) -> None:
    """
    Refuse a change to another state of a rule than the caller knows.

    Neither the specs nor recordings have it; the code is the one that other services of Azure give.

    Raises:
        ArmError: 412 PreconditionFailed.
    """
    known = {etag.strip() for etag in call.headers.get("if-match", "*").split(",")}
    if not known & {"*", "" if rule is None else rule.get("etag", "")}:
        raise network_error(412, "PreconditionFailed", "Precondition failed.")


def _free_group(call: Call) -> Body:
    group = call.resource(f"{_NAMESPACE}/{_NSG}", call.names["name"])
    other = call.state.running(group["id"], RULE_KINDS)
    if other is not None:
        detail = {
            "code": "RetryableErrorDueToAnotherOperation",
            "message": f"Operation {other['kind']} ({other['id']}) is updating resource {group['id']}."
            " The call can be retried after it.",
        }
        raise network_error(
            429, "RetryableError", "A retryable error occurred.", details=[detail], headers={"Retry-After": "10"}
        )
    return group


def _store_rule(state: State, group: Body, rule: Body) -> None:
    rules = _children(group, "securityRules")
    kept = [rule if key_of(one["name"]) == key_of(rule["name"]) else one for one in rules]
    if rule not in kept:
        kept.append(rule)
    # A rule of an estate may come without one.
    group["etag"] = rule.get("etag", group.get("etag", ""))
    group.setdefault("properties", {})["securityRules"] = kept
    state.put(group)


def _with_defaults(body: Body) -> Body:
    if f"/{_NSG}/".lower() not in key_of(body["id"]):
        return body
    return with_default_rules(body)


def _children(parent: Body, kind: str) -> list[Body]:
    return [
        {"name": child.get("id", "").rpartition("/")[2]} | child
        for child in member(parent, "properties").get(kind) or []
    ]


def _child(parent: Body, kind: str, name: str) -> Body | None:
    return next((one for one in _children(parent, kind) if key_of(one["name"]) == key_of(name)), None)


def _etag(body: Body) -> dict[str, str]:
    return {"ETag": body["etag"]} if body.get("etag") else {}


_ALL = f"/subscriptions/{{subscription}}/providers/{_NAMESPACE}"
_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{_NAMESPACE}"
_RULE = f"{_GROUP}/{_NSG}/{{name}}/securityRules/{{child}}"

ROUTES = (
    *(Route(method="GET", path=f"{_ALL}/{kind}", handler=_list_all(kind)) for kind in _TYPES),
    *(Route(method="GET", path=f"{_GROUP}/{kind}", handler=_list_group(kind)) for kind in _TYPES),
    *(Route(method="GET", path=f"{_GROUP}/{kind}/{{name}}", handler=_get(kind)) for kind in _TYPES),
    *(
        Route(method="GET", path=f"{_GROUP}/{one.parent}/{{name}}/{one.name}", handler=_list_children(one))
        for one in _CHILDREN
    ),
    *(
        Route(method="GET", path=f"{_GROUP}/{one.parent}/{{name}}/{one.name}/{{child}}", handler=_get_child(one))
        for one in _CHILDREN
    ),
    Route(method="PUT", path=_RULE, handler=_put_rule, writes=True),
    Route(method="DELETE", path=_RULE, handler=_delete_rule, writes=True),
)
FAILURES: dict[str, Failure] = {"rule.put": _rule_failed, "rule.delete": _rule_failed}
EFFECTS: dict[str, Effect] = {"rule.put": _rule_stored, "rule.delete": _rule_deleted}
