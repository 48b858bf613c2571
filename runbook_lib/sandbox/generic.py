"""
Microsoft.Resources: the lists of all tracked resources, whatever their provider; and a Key Vault as a resource.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.sandbox.answers import Answer, ArmError, resource_group_not_found
from runbook_lib.sandbox.call import Call, Route, paged
from runbook_lib.sandbox.resources import page_size
from runbook_lib.sandbox.state import Body, key_of

__all__ = ["ROUTES"]

# What these lists show of a resource; the rest is its provider's to tell.
_SHOWN = ("id", "name", "type", "location", "tags", "sku", "kind", "identity", "zones", "plan", "managedBy")
_FILTERS = {"resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"}


def _all(call: Call) -> Answer:
    return _list(call, call.subscription_scope)


def _of_group(call: Call) -> Answer:
    if call.state.get(call.group_scope) is None:
        raise resource_group_not_found(call.names["group"])
    return _list(call, call.group_scope)


def _list(call: Call, scope: str) -> Answer:
    wanted = {name: key_of(value) for name, value in call.filter().items()}
    if set(wanted) - _FILTERS:
        raise ArmError(400, "InvalidFilterInQueryString", "Invalid $filter: a name in it is not supported here.")

    def keep(body: Body) -> bool:
        tags = {key_of(name): key_of(str(value)) for name, value in (body.get("tags") or {}).items()}
        own = {
            "resourcetype": body.get("type", ""),
            "name": body.get("name", ""),
            "location": body.get("location", ""),
            "resourcegroup": body["id"].split("/")[4],
        }
        if any(key_of(str(own[name])) != wanted[name] for name in own if name in wanted):
            return False
        tag = wanted.get("tagname")
        return tag is None or (tag in tags and wanted.get("tagvalue", tags[tag]) == tags[tag])

    def rows(after: str) -> Iterator[tuple[str, Body]]:
        return call.state.tracked(scope, after)

    return paged(call, "resources", rows, keep=keep, shape=_shape, size=page_size(call))


def _shape(body: Body) -> Body:
    return {name: body[name] for name in _SHOWN if body.get(name) is not None}


def _key_vault(call: Call) -> Answer:
    return Answer(status=200, body=call.echo(call.resource("Microsoft.KeyVault/vaults", call.names["name"])))


_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"

ROUTES = (
    Route(method="GET", path="/subscriptions/{subscription}/resources", handler=_all),
    Route(method="GET", path=f"{_GROUP}/resources", handler=_of_group),
    # What of a VM's keys Resource Manager itself tells; a Key Vault's own data is at another address.
    Route(method="GET", path=f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{name}}", handler=_key_vault),
)
