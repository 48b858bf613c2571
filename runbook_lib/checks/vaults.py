"""
The vault that a VM's backups go to, its policy, and the locks around both (guide, creating a vault, its replication,
and the backup goal).
"""

from __future__ import annotations

from typing import Any

from runbook_lib.checks.limitations.disks import enhanced_storage
from runbook_lib.checks.limitations.platform import CONFIDENTIAL
from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.placement import entry_of, vault_of
from runbook_lib.policy import is_built_in
from runbook_lib.records import Finding, Inventory, Lock, Status, Unread, VirtualMachine, key

__all__ = [
    "LOCKS",
    "RECOVERY_SERVICES",
    "VAULTS",
    "is_offered",
    "locks",
    "policy_fit",
    "redundancy_locked",
    "vault_in_region",
]

RECOVERY_SERVICES = "Microsoft.RecoveryServices"
VAULTS = f"{RECOVERY_SERVICES}/vaults"
LOCKS = "Microsoft.Authorization/locks"
# Support matrix for Azure Backup: VMs in a vault; az and Az PowerShell check the same number for a policy.
MOST_VMS = 1000


def is_offered(inventory: Inventory, vm: VirtualMachine) -> bool | None:
    """
    Tell whether vaults are offered in the VM's region; None where that could not be read.
    """
    provider = inventory.providers.get(key(f"/subscriptions/{vm.subscription}/providers/{RECOVERY_SERVICES}"))
    return vm.location in provider.vault_locations if provider and provider.vault_locations else None


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
        elif is_offered(inventory, vm) is False:
            status, case = Status.FAIL, "not_offered"
        return result("vault-in-region", vm, status, case, vault=vault_id.rsplit("/", 1)[-1], location=vm.location)
    held = inventory.held_in(vault_id)
    facts: dict[str, Any] = {
        "vault": vault.name,
        "location": vault.location,
        "redundancy": vault.redundancy or "unknown",
        "soft_delete": vault.soft_delete or "unknown",
        # A vault that was never given one has no such setting in its answer.
        "immutability": vault.immutability or ("not set" if vault.soft_delete else "unknown"),
        "held": held,
        "most": MOST_VMS,
    }
    if vault.location != vm.location:
        return result("vault-in-region", vm, Status.FAIL, "other_region", **facts)
    if held >= MOST_VMS and not inventory.items_of(vm.id):
        return result("vault-in-region", vm, Status.FAIL, "full", guide=Status.NOT_NEEDED, **facts)
    if vault.soft_delete.lower() == "disabled":
        return result("vault-in-region", vm, Status.WARN, "no_soft_delete", guide=Status.PASS, **facts)
    return result("vault-in-region", vm, Status.PASS, "fits", **facts)


def redundancy_locked(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Tell whether the replication that was asked for can still be had in the VM's vault.
    """
    vault = inventory.vaults.get(key(vault_of(inventory, vm, asked)))
    if vault is None:
        return result("redundancy-locked", vm, Status.PASS, "free", guide=Status.NOT_NEEDED, to=asked.redundancy)
    status, case = Status.PASS, "free"
    if vault.redundancy == asked.redundancy:
        case = "as_asked"
    elif vault.redundancy_locked is None:
        status, case = Status.UNKNOWN, "unread"
    elif vault.redundancy_locked:
        # What is protected there cannot just go to another vault.
        status, case = Status.WARN, "locked_held" if entry_of(inventory, vm) else "locked"
    facts: dict[str, Any] = {"vault": vault.name, "from": vault.redundancy or "unknown", "to": asked.redundancy}
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
    elif kind != "Enhanced" and (needs or unclear):
        if not kind:
            status, case = Status.UNKNOWN, "unread"
        else:
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


def _policy_type(inventory: Inventory, vault_id: str, asked: Parameters) -> str:
    """
    Return Standard or Enhanced: of the policy that is there, else of the one that the plan or the service will make;
    empty where the vault's policies could not be read.
    """
    there = inventory.policies.get(key(f"{vault_id}/backupPolicies/{asked.policy_name}"))
    if there:
        return str(there.terms.get("policy_type", ""))
    vault = inventory.vaults.get(key(vault_id))
    if vault and not vault.policies_read:
        return ""
    if vault is None and is_built_in(asked.policy_name):
        return "Enhanced" if asked.policy_name.lower() == "enhancedpolicy" else "Standard"
    return asked.policy_type


def _is_for_others(inventory: Inventory, vault_id: str, name: str) -> bool:
    vault = inventory.vaults.get(key(vault_id))
    return vault is not None and name.lower() in {each.lower() for each in vault.other_policies}


def locks(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Finding:
    """
    Look for locks on the VM, on the vault, on their groups and subscriptions, and on the groups of restore points.
    """
    vault_id = vault_of(inventory, vm, asked)
    scopes = [vm.id, vault_id, *_restore_point_groups(inventory, vm)]
    found = {key(lock.id): lock for scope in scopes for lock in inventory.locks_on(scope)}
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
    unread = _unread_locks(inventory, scopes)
    if unread:
        return result("locks", vm, Status.UNKNOWN, "unread", guide=Status.NOT_NEEDED, code=unread[0].code)
    return result("locks", vm, Status.PASS, "none", guide=Status.NOT_NEEDED)


def _is_read_only(lock: Lock) -> bool:
    return lock.level.lower() == "readonly"


def _told(lock: Lock) -> str:
    return f"{lock.name} ({lock.level}, {lock.scope.rsplit('/', 1)[-1]})"


def _restore_point_groups(inventory: Inventory, vm: VirtualMachine) -> list[str]:
    return [
        group.id
        for group in inventory.restore_point_groups
        if group.location == vm.location and group.subscription == vm.subscription
    ]


def _unread_locks(inventory: Inventory, scopes: list[str]) -> list[Unread]:
    return [gap for scope in scopes for gap in inventory.unread_under(scope, LOCKS)]
