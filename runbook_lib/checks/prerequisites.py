"""
The guide's first two prerequisites: a region that offers vaults, and what is protected already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from runbook_lib.checks.kinds import VAULTS
from runbook_lib.checks.result import result
from runbook_lib.checks.vaults import is_offered, unread_vaults
from runbook_lib.parameters import Parameters
from runbook_lib.placement import Place, entry_of
from runbook_lib.policy import longest_gap
from runbook_lib.records import Finding, Inventory, ProtectedItem, Status, Vault, VirtualMachine, key

__all__ = ["ENABLING_FAILED", "listed", "protection", "region"]

# What a healthy item reports; anything else is either a fault or not understood.
HEALTHY = ("healthy", "")
PASSED = ("passed", "actionsuggested", "")
CANCELLED = "cancelled"
FAILED = ("failed", CANCELLED)
# States other than on and stopped (ProtectionState of SDK 11.0.0); any other word is not understood.
_OTHER_STATES = {
    "protectionpaused": (Status.FAIL, "suspended"),
    "backupssuspended": (Status.FAIL, "suspended"),
}
# A backup time may run ahead of the clock that the inventory was read by, but not by more than this.
SKEW = timedelta(hours=1)
# Enabling failed: the same request may be sent again.
ENABLING_FAILED = "protectionerror"


def region(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Judge whether a vault can stand in the VM's region: the vault must be where the VM is.
    """
    offered = is_offered(inventory, vm)
    if offered is None:
        return result("region", vm, Status.UNKNOWN, "unread", location=vm.location)
    status, case = (Status.PASS, "offered") if offered else (Status.FAIL, "not_offered")
    return result("region", vm, status, case, location=vm.location)


def protection(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Judge whether the VM is protected, by its full ARM id over every vault that could be read.
    """
    items = inventory.items_of(vm.id)
    live = [item for item in items if not item.soft_deleted]
    running = [item for item in live if item.protection != "stopped"]
    if running:
        return _running(inventory, vm, running[0])
    if unread := unread_vaults(inventory, vm):
        # A vault that nobody could look into may protect this VM: "not protected" would be a guess.
        return result("protection", vm, Status.UNKNOWN, "unread", vaults=", ".join(unread))
    if live:
        return result("protection", vm, Status.WARN, "stopped", vault=_vault_name(inventory, vm, live[0]))
    if items:
        status, case = (Status.WARN, "undelete") if asked.undelete else (Status.FAIL, "soft_deleted")
        return result("protection", vm, status, case, vault=_vault_name(inventory, vm, items[0]))
    return result("protection", vm, Status.PASS, "none")


def _running(inventory: Inventory, vm: VirtualMachine, item: ProtectedItem) -> Finding:
    facts: dict[str, Any] = {
        "vault": _vault_name(inventory, vm, item),
        "state": item.protection_state or "unknown",
        "health": item.health_status or item.protection_status or "unknown",
        "last_backup": item.last_backup_time.isoformat(timespec="minutes") if item.last_backup_time else "never",
        "last_status": item.last_backup_status or "unknown",
    }
    if item.protection == ENABLING_FAILED:
        return result("protection", vm, Status.WARN, "failed", **facts)
    if item.protection != "on":
        status, case = _OTHER_STATES.get(item.protection, (Status.UNKNOWN, "unclear_state"))
        return result("protection", vm, status, case, **facts)
    if item.protection_status.lower() == "unhealthy" or item.health_status.lower() == "actionrequired":
        return result("protection", vm, Status.FAIL, "unhealthy", **facts)
    if item.protection_status.lower() not in HEALTHY or item.health_status.lower() not in PASSED:
        return result("protection", vm, Status.UNKNOWN, "unclear_health", **facts)
    ended = item.last_backup_status.lower()
    if item.protection_state.lower() == "irpending" and ended not in FAILED:
        return result("protection", vm, Status.PASS, "pending", **facts)
    if item.protection_state.lower() == "irpending" and ended == CANCELLED:
        return result("protection", vm, Status.WARN, "first_cancelled", **facts)
    if ended in FAILED or item.last_backup_time is None:
        return result("protection", vm, Status.FAIL, "last_failed", **facts)
    if not ended.startswith("completed"):
        case = "in_progress" if ended == "inprogress" else "unclear_health"
        return result("protection", vm, Status.UNKNOWN, case, **facts)
    policy = inventory.policies.get(key(item.policy_id))
    allowed = longest_gap(policy) if policy else None
    if allowed is None:
        return result("protection", vm, Status.UNKNOWN, "policy_unread", **facts)
    age = inventory.read_at - item.last_backup_time
    facts |= {"age_hours": _hours(age), "allowed_hours": _hours(allowed)}
    if age < -SKEW:
        return result("protection", vm, Status.UNKNOWN, "unclear_health", **facts)
    if age > allowed:
        return result("protection", vm, Status.FAIL, "stale", **facts)
    return result("protection", vm, Status.PASS, "protected", **facts)


def _hours(span: timedelta) -> int:
    return int(span / timedelta(hours=1))


def _vault_name(inventory: Inventory, vm: VirtualMachine, item: ProtectedItem) -> str:
    """
    Name a VM's vault, with its subscription where that is not the VM's own.
    """
    vault = inventory.vaults.get(key(item.vault_id))
    name = vault.name if vault else item.vault_id.rsplit("/", 1)[-1]
    if item.subscription == vm.subscription:
        return name
    subscription = inventory.subscriptions.get(f"/subscriptions/{item.subscription}")
    return f"{name} ({subscription.name if subscription else item.subscription})"


def listed(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place) -> Finding:
    """
    Say whether the portal lists the VM among those that its vault can protect, and if not, why.
    """
    entry = entry_of(inventory, vm)
    if entry:
        case = "stopped" if entry.protection == "stopped" else "protected"
        return result("listed", vm, Status.NOT_NEEDED, case, vault=_vault_name(inventory, vm, entry))
    vault_id = place.vault_id
    vault = inventory.vaults.get(key(vault_id))
    facts: dict[str, Any] = {"vault": vault_id.rsplit("/", 1)[-1], "location": vault.location if vault else vm.location}
    status, case = _list_of(inventory, vm, vault, vault_id)
    return result("listed", vm, status, case, **facts)


def _list_of(inventory: Inventory, vm: VirtualMachine, vault: Vault | None, vault_id: str) -> tuple[Status, str]:
    if vault is None:
        if inventory.unread_under(vault_id, VAULTS):
            return Status.UNKNOWN, "unread"
        return (Status.FAIL, "not_offered") if is_offered(inventory, vm) is False else (Status.PASS, "planned")
    if vault.location != vm.location:
        return Status.FAIL, "other_region"
    if vault.subscription != vm.subscription:
        return Status.WARN, "other_subscription"
    return (Status.WARN, "soft_deleted") if inventory.items_of(vm.id) else (Status.PASS, "listed")
