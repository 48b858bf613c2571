"""
Microsoft.RecoveryServices: deleted vaults, what is kept of them and for how long, and their way back.

A vault whose soft delete is always on goes here when it is deleted, with all that it holds, empty or not (Azure Backup,
"Secure by default with soft delete"). Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

from runbook_lib.sandbox.answers import Answer, gateway_error, resource_group_not_found
from runbook_lib.sandbox.backup.items import moment_of
from runbook_lib.sandbox.backup.protection import schedule_purges
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import arm_time, etag_of
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, State, key_of, normal_location
from runbook_lib.sandbox.vaults import VAULT, soft_delete

__all__ = ["EFFECTS", "ROUTES", "SINCE", "keep_vault"]

# The first stable api-version that knows deleted vaults.
SINCE = "2025-08-01"

_KIND = "Microsoft.RecoveryServices/locations/deletedVaults"
_GROUP_ID = re.compile(r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/?", re.IGNORECASE)
_BUSY = ("vault.undelete",)


def keep_vault(tenant: Tenant, vault: Body) -> None:
    """
    Take a vault and all under it out of sight, to be purged when the retention of its soft delete is over.
    """
    state = tenant.state
    days = soft_delete(vault)["softDeleteRetentionPeriodInDays"]
    purge = arm_time(tenant.now + timedelta(days=days))
    place = f"/subscriptions/{vault['id'].split('/')[2]}/providers/Microsoft.RecoveryServices/locations"
    scope = f"{place}/{normal_location(vault.get('location') or '')}/deletedVaults"
    # A vault may be made and deleted again under one name.
    name = vault["name"] if state.get(f"{scope}/{vault['name']}") is None else f"{vault['name']}-{uuid.uuid4()}"
    deleted: Body = {
        "id": f"{scope}/{name}",
        "name": name,
        "type": _KIND,
        "properties": {"vaultId": vault["id"], "vaultDeletionTime": arm_time(tenant.now), "purgeAt": purge},
    }
    kept = {key: state.get(key) for key in (key_of(vault["id"]), *list(state.holds(vault["id"])))}
    facts = {key: state.runtime(key) for key in kept}
    state.put(deleted)
    state.set_runtime(deleted["id"], {"bodies": list(kept.values()), "facts": facts})
    state.delete(vault["id"])
    tenant.begin("vault.purge", deleted["id"], {"deleted": deleted["id"], "until": purge}, seconds=days * 86400)


def _purged(tenant: Tenant, args: Body) -> None:
    deleted = tenant.state.get(args["deleted"])
    # Under the name of a vault that was brought back another one may have been deleted since.
    if deleted is not None and deleted["properties"]["purgeAt"] == args["until"]:
        tenant.state.delete(deleted["id"])


def _list(call: Call) -> Answer:
    return paged(
        call,
        "deletedVaults",
        lambda after: call.state.scan(_KIND.lower(), _scope(call), after),
        shape=lambda deleted: call.echo(deleted, 2),
    )


def _get(call: Call) -> Answer:
    return Answer(status=200, body=call.echo(_find(call), 2))


def _undelete(call: Call) -> Answer:
    deleted = _find(call)
    asked = member(call.body, "properties").get("recoveryResourceGroupId")
    named = _GROUP_ID.fullmatch(asked) if isinstance(asked, str) else None
    if named is None or key_of(named["subscription"]) != key_of(call.names["subscription"]):
        raise refusal("InvalidRecoveryResourceGroup")
    group = call.state.get(f"{call.subscription_scope}/resourceGroups/{named['group']}")
    if group is None:
        raise resource_group_not_found(named["group"])
    if call.state.running(deleted["id"], _BUSY) is not None:
        raise refusal("RSVaultUpdateErrorConflictingOperationInProgress")
    vault_id = _vault_in(group["id"], deleted)
    _refuse_taken(call.state, vault_id)
    if "bodies" not in call.state.runtime(deleted["id"]):
        # An estate may hold the deleted vault, but not what was in it.
        raise refusal("OperationNotFound", operation="undelete")
    operation = call.tenant.begin("vault.undelete", deleted["id"], {"deleted": deleted["id"], "vault": vault_id})
    url = call.url(f"{_scope(call)}/{call.names['deleted']}/operations/{operation}")
    return Answer(status=202, headers={"Azure-AsyncOperation": url, "Retry-After": "30"})


def _undeleted(tenant: Tenant, args: Body) -> None:
    state = tenant.state
    deleted = state.get(args["deleted"])
    if deleted is None:
        return
    _refuse_taken(state, args["vault"])
    kept = state.runtime(deleted["id"])
    old = re.compile(re.escape(deleted["properties"]["vaultId"]) + r"(?=/|$)", re.IGNORECASE)
    bodies = [_moved(body, old, args["vault"]) for body in kept["bodies"]]
    # The first is the vault itself.
    bodies[0]["etag"] = etag_of(tenant.now)
    state.put_all(bodies)
    for body, facts in zip(bodies, kept["facts"].values(), strict=True):
        if facts:
            state.set_runtime(body["id"], facts)
    state.delete(deleted["id"])
    schedule_purges(state, tenant.now, args["vault"])


def _operation_status(call: Call) -> Answer:
    operation = call.state.operation(call.names["operation"])
    if operation is None or operation["target"] != key_of(f"{_scope(call)}/{call.names['deleted']}"):
        _find(call)
        raise refusal("OperationNotFound", operation=call.names["operation"])
    body: Body = {
        "id": call.path,
        "name": operation["id"],
        "status": operation["status"],
        "startTime": arm_time(moment_of(operation["started"])),
    }
    if operation["status"] == "InProgress":
        return Answer(status=200, body=body, headers={"Retry-After": "30"})
    body["endTime"] = arm_time(moment_of(operation["ready_at"]))
    if operation["error"] is not None:
        body["error"] = operation["error"]
    return Answer(status=200, body=body)


def _vault_in(group_id: str, deleted: Body) -> str:
    return f"{group_id}/providers/{VAULT}/{deleted['properties']['vaultId'].rpartition('/')[2]}"


def _refuse_taken(state: State, vault_id: str) -> None:
    if state.get(vault_id) is not None:
        raise refusal("UserErrorDeletedVaultUndeleteConflictingVaultPresent")


def _moved(value: Any, old: re.Pattern[str], new: str) -> Any:
    """
    Return *value* with the ids of a vault, and of all under it, changed from *old* to *new*.
    """
    if isinstance(value, str):
        return old.sub(lambda _: new, value)
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    if isinstance(value, dict):
        return {name: _moved(one, old, new) for name, one in value.items()}
    return value


def _find(call: Call) -> Body:
    name = call.names["deleted"]
    deleted = call.state.get(f"{_scope(call)}/{name}")
    if deleted is None:
        raise gateway_error(404, "ResourceNotFound", f"The Resource '{_KIND}/{name}' was not found.")
    return deleted


def _scope(call: Call) -> str:
    location = normal_location(call.names["location"])
    return f"{call.subscription_scope}/providers/Microsoft.RecoveryServices/locations/{location}/deletedVaults"


_ALL = "/subscriptions/{subscription}/providers/Microsoft.RecoveryServices/locations/{location}/deletedVaults"

ROUTES = (
    Route(method="GET", path=_ALL, handler=_list),
    Route(method="GET", path=f"{_ALL}/{{deleted}}", handler=_get),
    Route(method="POST", path=f"{_ALL}/{{deleted}}/undelete", handler=_undelete, writes=True),
    Route(method="GET", path=f"{_ALL}/{{deleted}}/operations/{{operation}}", handler=_operation_status),
)
EFFECTS: dict[str, Effect] = {"vault.purge": _purged, "vault.undelete": _undeleted}
