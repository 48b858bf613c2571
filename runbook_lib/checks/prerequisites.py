"""
The guide's first two prerequisites: a vault in the VM's own region, and what is protected already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from runbook_lib.policy import longest_gap
from runbook_lib.records import Finding, Inventory, ProtectedItem, Status, VirtualMachine, key

__all__ = ["protection", "region"]

RECOVERY_SERVICES = "Microsoft.RecoveryServices"
VAULTS = "Microsoft.RecoveryServices/vaults"
# What a healthy item reports; anything else is either a fault or not understood.
HEALTHY = ("healthy", "")
PASSED = ("passed", "actionsuggested", "")
# A backup time may run ahead of the clock that the inventory was read by, but not by more than this.
SKEW = timedelta(hours=1)
ITEMS = "Microsoft.RecoveryServices/vaults/backupProtectedItems"


def region(inventory: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge whether a vault can stand in the VM's region: the vault must be where the VM is.
    """
    provider = inventory.providers.get(key(f"/subscriptions/{vm.subscription}/providers/{RECOVERY_SERVICES}"))
    if provider is None or not provider.vault_locations:
        return _finding("region", vm, Status.UNKNOWN, "unread", location=vm.location)
    if vm.location in provider.vault_locations:
        return _finding("region", vm, Status.PASS, "offered", location=vm.location)
    return _finding("region", vm, Status.FAIL, "not_offered", location=vm.location)


def protection(inventory: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge whether the VM is protected, by its full ARM id over every vault that could be read.
    """
    items = inventory.items_of(vm.id)
    live = [item for item in items if not item.soft_deleted]
    running = [item for item in live if item.protection != "stopped"]
    if running:
        return _running(inventory, vm, running[0])
    if unread := _unread_vaults(inventory, vm):
        # A vault that nobody could look into may protect this VM: "not protected" would be a guess.
        return _finding("protection", vm, Status.UNKNOWN, "unread", vaults=", ".join(unread))
    if live:
        return _finding("protection", vm, Status.WARN, "stopped", vault=_vault_name(inventory, live[0]))
    if items:
        return _finding("protection", vm, Status.FAIL, "soft_deleted", vault=_vault_name(inventory, items[0]))
    return _finding("protection", vm, Status.PASS, "none")


def _running(inventory: Inventory, vm: VirtualMachine, item: ProtectedItem) -> Finding:
    facts: dict[str, Any] = {
        "vault": _vault_name(inventory, item),
        "state": item.protection_state or "unknown",
        "health": item.health_status or item.protection_status or "unknown",
        "last_backup": item.last_backup_time.isoformat(timespec="minutes") if item.last_backup_time else "never",
        "last_status": item.last_backup_status or "unknown",
    }
    if item.protection != "on":
        return _finding("protection", vm, Status.FAIL, "error", **facts)
    if item.protection_status.lower() == "unhealthy" or item.health_status.lower() == "actionrequired":
        return _finding("protection", vm, Status.FAIL, "unhealthy", **facts)
    if item.protection_status.lower() not in HEALTHY or item.health_status.lower() not in PASSED:
        return _finding("protection", vm, Status.UNKNOWN, "unclear_health", **facts)
    if item.protection_state == "IRPending" and item.last_backup_status.lower() != "failed":
        return _finding("protection", vm, Status.PASS, "pending", **facts)
    if not item.last_backup_status.startswith("Completed") or item.last_backup_time is None:
        return _finding("protection", vm, Status.FAIL, "last_failed", **facts)
    policy = inventory.policies.get(key(item.policy_id))
    allowed = longest_gap(policy) if policy else None
    if allowed is None:
        return _finding("protection", vm, Status.UNKNOWN, "policy_unread", **facts)
    age = inventory.read_at - item.last_backup_time
    facts |= {"age_hours": _hours(age), "allowed_hours": _hours(allowed)}
    if age < -SKEW:
        return _finding("protection", vm, Status.UNKNOWN, "unclear_health", **facts)
    if age > allowed:
        return _finding("protection", vm, Status.FAIL, "stale", **facts)
    return _finding("protection", vm, Status.PASS, "protected", **facts)


def _hours(span: timedelta) -> int:
    return int(span / timedelta(hours=1))


def _vault_name(inventory: Inventory, item: ProtectedItem) -> str:
    vault = inventory.vaults.get(key(item.vault_id))
    return vault.name if vault else item.vault_id.rsplit("/", 1)[-1]


def _unread_vaults(inventory: Inventory, vm: VirtualMachine) -> list[str]:
    # Only vaults of the VM's region can hold it, but a list of vaults that failed may hide one of them.
    blind = [gap.scope for gap in inventory.unread if gap.what == VAULTS]
    return blind + [v.name for v in inventory.vaults.values() if not v.items_read and v.location == vm.location]


def _finding(check: str, vm: VirtualMachine, status: Status, case: str, **facts: Any) -> Finding:
    return Finding(check=check, resource=vm.id, status=status, guide=status, case=case, facts=facts)
