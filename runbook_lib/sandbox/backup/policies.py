"""
The backup policies of a vault.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.backup.defaults import POLICY_KIND
from runbook_lib.sandbox.backup.limits import spend
from runbook_lib.sandbox.backup.operations import poll_headers
from runbook_lib.sandbox.backup.policyrules import checked_policy, is_enhanced
from runbook_lib.sandbox.call import Call, Effect, Route, Tenant, member, paged
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of
from runbook_lib.sandbox.vaults import ITEM_TYPE, VAULT_PATH, find_vault

__all__ = ["EFFECTS", "ROUTES"]

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,148}[a-zA-Z0-9]")
_OTHER_WORKLOADS = ("AzureWorkload", "AzureStorage")


def _list(call: Call) -> Answer:
    vault = find_vault(call)
    wanted = call.filter()
    uses = call.state.policy_uses(ITEM_TYPE, vault["id"])

    def keep(policy: Body) -> bool:
        kind = member(policy, "properties").get("backupManagementType", "")
        return key_of(wanted.get("backupmanagementtype") or kind) == key_of(kind)

    return paged(
        call,
        "backupPolicies",
        lambda after: call.state.scan(POLICY_KIND.lower(), vault["id"], after),
        keep=keep,
        shape=lambda policy: call.echo(_counted(policy, uses), 8),
    )


def _get(call: Call) -> Answer:
    vault = find_vault(call)
    policy = _find(call, vault)
    if policy is None:
        raise refusal("BMSUserErrorPolicyNotFound")
    uses = call.state.policy_uses(ITEM_TYPE, vault["id"])
    return Answer(status=200, body=call.echo(_counted(policy, uses), 8))


def _put(call: Call) -> Answer:
    vault = find_vault(call)
    name = call.names["policy"]
    old = _find(call, vault)
    if old is None and not _NAME.fullmatch(name):
        raise refusal("BMSUserErrorInvalidPolicyName", name=name)
    limit = call.tenant.profile.limits["vault_policies"]
    if old is None and sum(1 for _ in call.state.scan(POLICY_KIND.lower(), vault["id"])) >= limit:
        raise refusal("BMSUserErrorPolicyLimitReached", limit=limit)
    asked = member(call.body, "properties")
    if asked.get("backupManagementType") in _OTHER_WORKLOADS:
        properties = {field: value for field, value in asked.items() if field != "protectedItemsCount"}
    else:
        properties = _checked(asked)
    policy: Body = {
        "id": f"{vault['id']}/backupPolicies/{name if old is None else old['name']}",
        "name": name if old is None else old["name"],
        "type": POLICY_KIND,
        "properties": properties,
    }
    uses = call.state.policy_uses(ITEM_TYPE, vault["id"])
    if old is not None and key_of(old["id"]) in uses:
        _check_change(member(old, "properties"), properties)
        spend(call.tenant, vault["id"], "policy_changes")
        operation = call.tenant.begin("policy.update", vault["id"], {"policy": policy, "result": policy["id"]})
        place = f"{call.group_scope}/providers/{POLICY_KIND.split('/')[0]}/vaults/{call.names['vault']}"
        roads = (f"{place}/backupPolicies/{name}/operations", f"{place}/backupPolicies/{name}/operationResults")
        return Answer(status=202, headers=poll_headers(call, *roads, operation))
    spend(call.tenant, vault["id"], "policy_changes")
    call.state.put(policy)
    return Answer(status=200, body=call.echo(_counted(policy, uses), 8))


def _updated(tenant: Tenant, args: Body) -> None:
    tenant.state.put(args["policy"])


def _delete(call: Call) -> Answer:
    vault = find_vault(call)
    policy = _find(call, vault)
    if policy is None:
        return Answer(status=204)
    if key_of(policy["id"]) in call.state.policy_uses(ITEM_TYPE, vault["id"]):
        raise refusal("BMSUserErrorPolicyInUse")
    call.state.delete(policy["id"])
    return Answer(status=200)


def _checked(asked: Body) -> Body:
    if asked.get("backupManagementType") != "AzureIaasVM":
        raise refusal("BMSUserErrorInvalidPolicyForGivenProvider")
    return checked_policy(asked)


def _check_change(old: Body, new: Body) -> None:
    if old.get("backupManagementType") != new.get("backupManagementType"):
        raise refusal("BMSUserErrorInvalidPolicyForGivenProvider")
    if is_enhanced(old) and not is_enhanced(new):
        raise refusal("BMSUserErrorPolicyTypeChangeNotAllowed")


def _find(call: Call, vault: Body) -> Body | None:
    return call.state.get(f"{vault['id']}/backupPolicies/{call.names['policy']}")


def _counted(policy: Body, uses: dict[str, int]) -> Body:
    count = uses.get(key_of(policy["id"]), 0)
    return {**policy, "properties": {**member(policy, "properties"), "protectedItemsCount": count}}


_POLICY = f"{VAULT_PATH}/backupPolicies/{{policy}}"

ROUTES = (
    Route(method="GET", path=f"{VAULT_PATH}/backupPolicies", handler=_list),
    Route(method="GET", path=_POLICY, handler=_get),
    Route(method="PUT", path=_POLICY, handler=_put, writes=True),
    Route(method="DELETE", path=_POLICY, handler=_delete, writes=True),
)
EFFECTS: dict[str, Effect] = {"policy.update": _updated}
