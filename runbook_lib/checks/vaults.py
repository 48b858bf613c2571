"""
The vault that a VM's backups go to, its policy, and the locks around both (guide, creating a vault, its replication,
and the backup goal).
"""

from __future__ import annotations

from typing import Any

from runbook_lib.checks.kinds import GROUPS, LOCKS, SETTINGS, VAULTS
from runbook_lib.checks.limitations.disks import enhanced_storage
from runbook_lib.checks.limitations.platform import CONFIDENTIAL
from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.placement import entry_of, vault_of
from runbook_lib.policy import is_built_in
from runbook_lib.records import Finding, Inventory, Lock, Status, VirtualMachine, key

__all__ = [
    "locks",
    "policy_fit",
    "policy_of",
    "redundancy_locked",
    "unread_vaults",
    "vault_in_region",
    "vault_locks",
]

# Support matrix for Azure Backup: VMs in a vault; az and Az PowerShell check the same number for a policy.
MOST_VMS = 1000


def vault_in_region(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Judge the vault that the VM's backups go to; one that is not there yet is for the plan to make.
    """
    vault_id = vault_of(inventory, vm, asked)
    vault = inventory.vaults.get(key(vault_id))
    if vault is None:
        status, case = Status.PASS, "planned"
        if inventory.unread_under(vault_id, VAULTS):
            status, case = Status.UNKNOWN, "unread"
        return result("vault-in-region", vm, status, case, vault=vault_id.rsplit("/", 1)[-1], location=vm.location)
    held = inventory.held_in(vault_id)
    unread = "items_unread" if not vault.items_read else ""
    if inventory.unread_under(vault.id, SETTINGS):
        unread = "settings_unread"
    facts: dict[str, Any] = {
        "vault": vault.name,
        "location": vault.location,
        "redundancy": vault.redundancy or "unknown",
        "soft_delete": vault.soft_delete or "unknown",
        "immutability": vault.immutability or "unknown",
        "held": held if vault.items_read else "unknown",
        "most": MOST_VMS,
    }
    if vault.location != vm.location:
        return result("vault-in-region", vm, Status.FAIL, "other_region", **facts)
    if held >= MOST_VMS and not inventory.items_of(vm.id):
        return result("vault-in-region", vm, Status.FAIL, "full", guide=Status.NOT_NEEDED, **facts)
    if unread:
        return result("vault-in-region", vm, Status.UNKNOWN, unread, guide=Status.PASS, **facts)
    if vault.soft_delete.lower() == "disabled":
        return result("vault-in-region", vm, Status.WARN, "no_soft_delete", guide=Status.PASS, **facts)
    return result("vault-in-region", vm, Status.PASS, "fits", **facts)


def redundancy_locked(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Tell whether the replication that was asked for can still be had in the VM's vault.
    """
    vault_id = vault_of(inventory, vm, asked)
    vault = inventory.vaults.get(key(vault_id))
    status, case = Status.PASS, "free"
    if vault is None:
        if inventory.unread_under(vault_id, VAULTS):
            status, case = Status.UNKNOWN, "vault_unread"
        facts: dict[str, Any] = {"vault": vault_id.rsplit("/", 1)[-1], "to": asked.redundancy}
        return result("redundancy-locked", vm, status, case, guide=Status.NOT_NEEDED, **facts)
    if vault.redundancy.lower() == asked.redundancy.lower():
        case = "as_asked"
    elif vault.redundancy_locked is None:
        status, case = Status.UNKNOWN, "unread"
    elif vault.redundancy_locked:
        status, case = Status.WARN, "locked"
    facts = {"vault": vault.name, "from": vault.redundancy or "unknown", "to": asked.redundancy}
    return result("redundancy-locked", vm, status, case, guide=Status.NOT_NEEDED, **facts)


def policy_fit(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Judge whether the policy that was asked for takes the VM; one under protection has its policy already.
    """
    entry = entry_of(inventory, vm)
    if entry and entry.protection != "stopped":
        return result("policy-fit", vm, Status.NOT_NEEDED, "protected")
    vault_id = vault_of(inventory, vm, asked)
    policy_id = f"{vault_id}/backupPolicies/{asked.policy_name}"
    storage, unclear = enhanced_storage(inventory, vm)
    needs = storage + ((vm.security_type,) if vm.security_type.lower() == CONFIDENTIAL else ())
    kind = _policy_type(inventory, vault_id, asked)
    status, case = Status.PASS, "fits"
    if _is_for_others(inventory, vault_id, asked.policy_name):
        status, case = Status.FAIL, "other_workload"
    elif inventory.using(policy_id) >= MOST_VMS:
        status, case = Status.FAIL, "full"
    elif not kind:
        # Neither whether it is there, nor for which workload, nor of which kind.
        status, case = Status.UNKNOWN, "unread"
    elif kind.lower() != "enhanced" and (needs or unclear):
        status, case = (Status.FAIL, "needs_enhanced") if needs else (Status.UNKNOWN, "unclear_disks")
    return result(
        "policy-fit",
        vm,
        status,
        case,
        guide=Status.NOT_NEEDED,
        policy=asked.policy_name,
        vault=vault_id.rsplit("/", 1)[-1],
        type=kind or "unknown",
        needs=", ".join(needs),
        disks=", ".join(unclear),
        most=MOST_VMS,
    )


def policy_of(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> str:
    """
    Return the id of the policy that the VM has, or is to get.
    """
    entry = entry_of(inventory, vm)
    if entry and entry.protection != "stopped":
        return entry.policy_id
    return f"{vault_of(inventory, vm, asked)}/backupPolicies/{asked.policy_name}"


def _policy_type(inventory: Inventory, vault_id: str, asked: Parameters) -> str:
    """
    Return Standard or Enhanced: of the policy that is there, else of the one that the plan or the service will make;
    empty where that could not be read.
    """
    there = inventory.policies.get(key(f"{vault_id}/backupPolicies/{asked.policy_name}"))
    if there:
        return str(there.terms.get("policy_type", ""))
    vault = inventory.vaults.get(key(vault_id))
    if inventory.unread_under(vault_id, VAULTS) if vault is None else not vault.policies_read:
        return ""
    if vault is None and is_built_in(asked.policy_name):
        return "Enhanced" if asked.policy_name.lower() == "enhancedpolicy" else "Standard"
    return asked.policy_type


def unread_vaults(inventory: Inventory, vm: VirtualMachine) -> list[str]:
    """
    Name what may hold the VM and could not be read: vaults of its region, and subscriptions that may have more.
    """
    blind = [gap.scope for gap in inventory.unread if gap.what == VAULTS]
    return blind + [vault.name for vault in inventory.dark_vaults if vault.location == vm.location]


def _is_for_others(inventory: Inventory, vault_id: str, name: str) -> bool:
    vault = inventory.vaults.get(key(vault_id))
    return vault is not None and name.lower() in {each.lower() for each in vault.other_policies}


def locks(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Look for locks on the VM, on the vault, on their groups and subscriptions, and on the groups of restore points.
    """
    vault_id = vault_of(inventory, vm, asked)
    scopes = (vm.id, vault_id)
    points = inventory.restore_point_locks(vm.subscription, vm.location, policy_of(inventory, vm, asked))
    on_both = (lock for scope in scopes for lock in inventory.locks_on(scope))
    found = {key(lock.id): lock for lock in (*on_both, *points)}
    if found:
        strictest = min(found.values(), key=lambda lock: not _is_read_only(lock))
        status, case = (Status.FAIL, "read_only") if _is_read_only(strictest) else (Status.WARN, "delete")
        return result(
            "locks",
            vm,
            status,
            case,
            guide=Status.NOT_NEEDED,
            locks=", ".join(_told(lock) for lock in found.values()),
        )
    # The groups of restore points are in the VM's subscription.
    if unread := [gap for scope in scopes for gap in inventory.unread_under(scope, LOCKS)]:
        return result("locks", vm, Status.UNKNOWN, "unread", guide=Status.NOT_NEEDED, code=unread[0].code)
    if dark := inventory.unread_under(vm.id, GROUPS):
        # Which groups hold restore points is not known, so that locks on them are not seen.
        return result("locks", vm, Status.UNKNOWN, "groups_unread", guide=Status.NOT_NEEDED, code=dark[0].code)
    return result("locks", vm, Status.PASS, "none", guide=Status.NOT_NEEDED)


def vault_locks(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Look for read-only locks where enabling writes: on the vault, its group and its subscription.

    A lock on the VM alone does not stop it: the right to write the VM is asked for, but no request of ours writes it.
    """
    entry = entry_of(inventory, vm)
    vault_id = vault_of(inventory, vm, asked)
    holding = [lock for lock in inventory.locks_on(vault_id) if _is_read_only(lock)]
    unread = inventory.unread_under(vault_id, LOCKS)
    status, case = Status.PASS, "none"
    if entry and entry.protection != "stopped":
        status, case = Status.NOT_NEEDED, "protected"
    elif holding:
        status, case = Status.FAIL, "read_only"
    elif unread:
        status, case = Status.UNKNOWN, "unread"
    return result(
        "vault-locks",
        vm,
        status,
        case,
        guide=Status.NOT_NEEDED,
        vault=vault_id.rsplit("/", 1)[-1],
        locks=", ".join(_told(lock) for lock in holding),
        code=unread[0].code if unread else "",
    )


def _is_read_only(lock: Lock) -> bool:
    return lock.level.lower() == "readonly"


def _told(lock: Lock) -> str:
    return f"{lock.name} ({lock.level}, {lock.scope.rsplit('/', 1)[-1]})"
