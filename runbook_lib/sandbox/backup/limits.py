"""
How much a vault, a policy and an item take. The numbers are the profile's.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.call import Tenant
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import key_of
from runbook_lib.sandbox.vaults import ITEM_TYPE

__all__ = ["check_room", "spend"]

_SECONDS_A_DAY = 86400
_VM_ITEM = "/protecteditems/vm;"


def check_room(tenant: Tenant, vault_id: str, policy_id: str, item_id: str) -> None:
    """
    Refuse one virtual machine too many in a vault, or with a policy.

    Args:
        item_id: the item that is to be protected with the policy; it may be there already.

    Raises:
        ArmError: the vault or the policy is full.
    """
    limits, own = tenant.profile.limits, key_of(item_id)
    fabrics = f"{vault_id}/backupFabrics"
    held = sum(_VM_ITEM in key and key != own for key in tenant.state.holds(fabrics))
    if held >= limits["vault_vms"] and tenant.state.get(item_id) is None:
        raise refusal("BMSUserErrorVaultItemLimitReached", limit=limits["vault_vms"])
    if held < limits["policy_vms"]:
        return
    uses = tenant.state.policy_uses(ITEM_TYPE, vault_id).get(key_of(policy_id), 0)
    item = tenant.state.get(item_id)
    already = item is not None and key_of(item["properties"].get("policyId", "")) == key_of(policy_id)
    if uses - already >= limits["policy_vms"]:
        raise refusal("BMSUserErrorPolicyItemLimitReached", limit=limits["policy_vms"])


def spend(tenant: Tenant, resource_id: str, name: str) -> None:
    """
    Count one of what may be done *name* times in 24 hours with a resource.

    Raises:
        ArmError: CloudDosAbsoluteLimitReached.
    """
    facts = tenant.state.runtime(resource_id)
    now = tenant.now.timestamp()
    spent = [moment for moment in facts.get(name, ()) if moment > now - _SECONDS_A_DAY]
    if len(spent) >= tenant.profile.limits[name]:
        raise refusal("CloudDosAbsoluteLimitReached")
    tenant.state.set_runtime(resource_id, facts | {name: [*spent, now]})
