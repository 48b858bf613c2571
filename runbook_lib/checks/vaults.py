"""
The vault that a VM's backups go to, its policy, and the locks around both (guide, creating a vault, its replication,
and the backup goal).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from runbook_lib.checks.kinds import GROUPS, LOCKS, RECOVERY_SERVICES, SETTINGS, VAULTS
from runbook_lib.checks.limitations.disks import enhanced_storage
from runbook_lib.checks.limitations.platform import CONFIDENTIAL
from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.placement import MOST_VMS, Place, entry_of, policy_type
from runbook_lib.policy import described
from runbook_lib.records import Finding, Inventory, Lock, ProtectedItem, Status, VirtualMachine, key
from runbook_lib.retention import lost

__all__ = [
    "is_offered",
    "locks",
    "needs_enhanced",
    "policy_change",
    "policy_fit",
    "policy_of",
    "redundancy_locked",
    "unread_vaults",
    "vault_in_region",
    "vault_locks",
]


def is_offered(inventory: Inventory, vm: VirtualMachine) -> bool | None:
    """
    Tell whether vaults are offered in the VM's region; None where that could not be read.
    """
    provider = inventory.providers.get(key(f"/subscriptions/{vm.subscription}/providers/{RECOVERY_SERVICES}"))
    return vm.location in provider.vault_locations if provider and provider.vault_locations else None


def vault_in_region(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place) -> Finding:
    """
    Judge the vault that the VM's backups go to; one that is not there yet is for the plan to make.
    """
    vault_id = place.vault_id
    vault = inventory.vaults.get(key(vault_id))
    if vault is None:
        status, case = Status.PASS, "planned"
        if place.lacks == "room":
            status, case = Status.FAIL, "full"
        elif inventory.unread_under(vault_id, VAULTS):
            status, case = Status.UNKNOWN, "unread"
        elif is_offered(inventory, vm) is False:
            status, case = Status.FAIL, "not_offered"
        name = vault_id.rsplit("/", 1)[-1]
        return result("vault-in-region", vm, status, case, vault=name, location=vm.location, held=0, most=MOST_VMS)
    held = inventory.held_in(vault_id)
    unread = "items_unread" if not vault.items_read else ""
    if inventory.unread_under(vault.id, SETTINGS):
        unread = "settings_unread"
    facts: dict[str, Any] = {
        "vault": vault.name,
        "location": vault.location,
        "redundancy": vault.redundancy or "unknown",
        "soft_delete": vault.soft_delete or "unknown",
        # A vault that was never given one has no such setting in its answer.
        "immutability": vault.immutability or ("not set" if vault.soft_delete else "unknown"),
        "held": held if vault.items_read else "unknown",
        "most": MOST_VMS,
    }
    if vault.location != vm.location:
        return result("vault-in-region", vm, Status.FAIL, "other_region", **facts)
    if place.lacks == "room":
        return result("vault-in-region", vm, Status.FAIL, "full", guide=Status.NOT_NEEDED, **facts)
    if unread:
        return result("vault-in-region", vm, Status.UNKNOWN, unread, guide=Status.PASS, **facts)
    if vault.soft_delete.lower() == "disabled":
        return result("vault-in-region", vm, Status.WARN, "no_soft_delete", guide=Status.PASS, **facts)
    return result("vault-in-region", vm, Status.PASS, "fits", **facts)


def redundancy_locked(inventory: Inventory, vm: VirtualMachine, asked: Parameters, place: Place) -> Finding:
    """
    Tell whether the replication that was asked for can still be had in the VM's vault.
    """
    vault_id = place.vault_id
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
        # What is protected there cannot just go to another vault.
        status, case = Status.WARN, "locked_held" if entry_of(inventory, vm) else "locked"
    facts = {"vault": vault.name, "from": vault.redundancy or "unknown", "to": asked.redundancy}
    return result("redundancy-locked", vm, status, case, guide=Status.NOT_NEEDED, **facts)


def policy_fit(inventory: Inventory, vm: VirtualMachine, asked: Parameters, place: Place) -> Finding:
    """
    Judge whether the policy that was asked for takes the VM; one under protection keeps its policy unless told.
    """
    entry = entry_of(inventory, vm)
    if entry and entry.protection != "stopped":
        return _policy_kept(inventory, vm, asked, entry, place)
    _, unclear = enhanced_storage(inventory, vm)
    needs = needs_enhanced(inventory, vm)
    kind = policy_type(inventory, place.vault_id, place.policy_name, place.policy_type)
    status, case = Status.PASS, "fits"
    if _is_for_others(inventory, place.vault_id, place.policy_name):
        status, case = Status.FAIL, "other_workload"
    elif inventory.using(place.policy_id) >= MOST_VMS:
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
        policy=place.policy_name,
        vault=place.vault_id.rsplit("/", 1)[-1],
        type=kind or "unknown",
        needs=", ".join(needs),
        disks=", ".join(unclear),
        most=MOST_VMS,
    )


def needs_enhanced(inventory: Inventory, vm: VirtualMachine) -> tuple[str, ...]:
    """
    Name what the VM has that needs an Enhanced policy.
    """
    storage, _ = enhanced_storage(inventory, vm)
    return storage + ((vm.security_type,) if vm.security_type.lower() == CONFIDENTIAL else ())


def _policy_kept(
    inventory: Inventory, vm: VirtualMachine, asked: Parameters, entry: ProtectedItem, place: Place
) -> Finding:
    """
    Tell what becomes of the policy of a VM under protection; whatever it is, the VM stays protected.
    """
    if key(place.policy_id) == key(entry.policy_id) or not entry.policy_id:
        return result("policy-fit", vm, Status.NOT_NEEDED, "protected")
    case, points = policy_change(inventory, entry, place, asked)
    return result(
        "policy-fit",
        vm,
        Status.PASS if case == "changes" else Status.WARN,
        case,
        guide=Status.NOT_NEEDED,
        policy=place.policy_name,
        vault=place.vault_id.rsplit("/", 1)[-1],
        now=entry.policy_id.rsplit("/", 1)[-1],
        lost=len(points),
        points=len(entry.points or ()),
    )


def policy_change(
    inventory: Inventory, entry: ProtectedItem, place: Place, asked: Parameters
) -> tuple[str, tuple[datetime, ...]]:
    """
    Say what a change of an item's policy would do: `changes`, `loses` recovery points, or why it is refused; and the
    points that would be lost.
    """
    now = inventory.policies.get(key(entry.policy_id))
    kind = policy_type(inventory, place.vault_id, place.policy_name, place.policy_type)
    if _is_for_others(inventory, place.vault_id, place.policy_name):
        return "other_workload", ()
    if now is None or not kind or entry.points is None:
        return "change_unread", ()
    if now.terms.get("policy_type") == "Enhanced" and kind != "Enhanced":
        return "no_way_back", ()
    # Only the time of day counts; ARM wants a date before it.
    made = described(place.described(asked), place.vault_id, date(2000, 1, 1))
    gone = lost(inventory.policies.get(key(place.policy_id), made), entry.points, inventory.read_at)
    if gone is None:
        return "change_unread", ()
    return ("loses" if gone else "changes"), gone


def policy_of(inventory: Inventory, vm: VirtualMachine, place: Place) -> str:
    """
    Return the id of the policy that the VM has, or is to get.
    """
    entry = entry_of(inventory, vm)
    return entry.policy_id if entry and entry.protection != "stopped" else place.policy_id


def unread_vaults(inventory: Inventory, vm: VirtualMachine) -> list[str]:
    """
    Name what may hold the VM and could not be read: vaults of its region, and subscriptions that may have more.
    """
    blind = [gap.scope for gap in inventory.unread if gap.what == VAULTS]
    return blind + [vault.name for vault in inventory.dark_vaults if vault.location == vm.location]


def _is_for_others(inventory: Inventory, vault_id: str, name: str) -> bool:
    vault = inventory.vaults.get(key(vault_id))
    return vault is not None and name.lower() in {each.lower() for each in vault.other_policies}


def locks(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place) -> Finding:
    """
    Look for locks on the VM, on the vault, on their groups and subscriptions, and on the groups of restore points.
    """
    scopes = (vm.id, place.vault_id)
    points = inventory.restore_point_locks(vm.subscription, vm.location, policy_of(inventory, vm, place))
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


def vault_locks(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place) -> Finding:
    """
    Look for read-only locks where enabling writes: on the vault, its group and its subscription.

    A lock on the VM alone does not stop it: the right to write the VM is asked for, but no request of ours writes it.
    """
    entry = entry_of(inventory, vm)
    vault_id = place.vault_id
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
