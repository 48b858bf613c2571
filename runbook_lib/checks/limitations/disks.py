"""
What the disks of a VM mean for its backup. All but their number came after the guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runbook_lib.checks.kinds import KEY_VAULTS
from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.records import (
    Disk,
    Encryption,
    Finding,
    Inventory,
    Status,
    VirtualMachine,
    key,
    subscription_of,
)

__all__ = [
    "data_disks",
    "disk_encryption",
    "enhanced_storage",
    "ephemeral_os_disk",
    "is_disk_encrypted",
    "key_vaults_of",
    "shared_disks",
    "ultra_disks",
    "unmanaged_disks",
    "write_accelerator",
]

GUIDE_DISKS = 16
# Support matrix for Azure VM backup: 32 for managed disks, still 16 for unmanaged ones.
MANAGED_DISKS = 32
# Storage that an Enhanced policy alone can back up (backup-azure-vms-enhanced-policy of 2025-06-11).
ENHANCED_STORAGE = frozenset({"ultrassd_lrs", "premiumv2_lrs"})
# Extensions by which Azure Disk Encryption works on Windows and on Linux.
ENCRYPTING = frozenset({"azurediskencryption", "azurediskencryptionforlinux"})


def data_disks(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Judge the number of data disks: 16 in the guide, 32 today for managed disks.
    """
    count = len(vm.data_disks)
    limit = GUIDE_DISKS if vm.unmanaged_disks else MANAGED_DISKS
    passes = count <= limit
    return result(
        "data-disks",
        vm,
        Status.PASS if passes else Status.FAIL,
        "within" if passes else "over",
        guide=Status.PASS if count <= GUIDE_DISKS else Status.FAIL,
        count=count,
        limit=limit,
        kind="unmanaged" if vm.unmanaged_disks else "managed",
    )


def unmanaged_disks(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Warn of disks that live in a storage account.
    """
    count = sum(disk.unmanaged for disk in vm.disks)
    status, case = (Status.WARN, "unmanaged") if count else (Status.PASS, "managed")
    return result("unmanaged-disks", vm, status, case, guide=Status.NOT_NEEDED, count=count)


def ultra_disks(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Tell of Ultra and Premium SSD v2 disks; whether the policy is made for them is for `policy-fit`.
    """
    kinds, unclear = enhanced_storage(inventory, vm)
    status, case = Status.NOT_NEEDED, "none"
    if kinds:
        status, case = Status.PASS, "present"
    elif unclear:
        status, case = Status.UNKNOWN, "unread"
    return result(
        "ultra-disks", vm, status, case, guide=Status.NOT_NEEDED, kinds=", ".join(kinds), unread=", ".join(unclear)
    )


def enhanced_storage(inventory: Inventory, vm: VirtualMachine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the kinds of storage of the VM's data disks that need an Enhanced policy, and the names of the disks whose
    kind nobody says.
    """
    kinds: dict[str, None] = {}
    unclear = []
    for disk in vm.data_disks:
        storage = _storage(inventory, disk)
        if storage.lower() in ENHANCED_STORAGE:
            kinds[storage] = None
        elif not storage and not disk.unmanaged:
            unclear.append(disk.name)
    return tuple(kinds), tuple(unclear)


def _storage(inventory: Inventory, disk: Disk) -> str:
    # The model of a deallocated VM does not say, the disk itself does.
    own = inventory.disks.get(key(disk.id)) if disk.id else None
    return own.storage if own and own.storage else disk.storage


def write_accelerator(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Warn of disks with Write Accelerator: today the only reason for a VM to need a way out.
    """
    count = sum(disk.write_accelerator for disk in vm.disks)
    status, case = (Status.WARN, "present") if count else (Status.NOT_NEEDED, "none")
    return result("write-accelerator", vm, status, case, guide=Status.NOT_NEEDED, count=count)


def disk_encryption(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Judge Azure Disk Encryption: the service must be able to read the keys, from a Key Vault beside the VM.

    Who the service is in a tenant only Entra ID tells, so that an access policy or a role may be another's.
    """
    settings = _encryptions(inventory, vm)
    facts: dict[str, Any] = {"vault": "", "unread": "", "code": ""}
    status, case = Status.NOT_NEEDED, "none"
    if is_disk_encrypted(inventory, vm):
        status, case, more = _key_access(inventory, vm, settings)
        facts |= more
    elif unclear := _unclear(inventory, vm):
        status, case, facts["unread"] = Status.UNKNOWN, "unread", ", ".join(unclear)
    return result("disk-encryption", vm, status, case, guide=Status.NOT_NEEDED, **facts)


def is_disk_encrypted(inventory: Inventory, vm: VirtualMachine) -> bool:
    """
    Tell whether Azure Disk Encryption is on: by the settings of a disk, or by its extension where it leaves none there.
    """
    return bool(_encryptions(inventory, vm)) or any(each.kind in ENCRYPTING for each in vm.extensions)


def key_vaults_of(inventory: Inventory, vm: VirtualMachine) -> tuple[str, ...]:
    """
    Name the Key Vaults that hold the secrets and keys of the VM's disks: ids, or names where no id is said.
    """
    settings = _encryptions(inventory, vm)
    return tuple(dict.fromkeys(vault for each in settings for vault in (*each.secret_vaults, *each.key_vaults)))


def _encryptions(inventory: Inventory, vm: VirtualMachine) -> list[Encryption]:
    # The VM's model has the settings of the first form of it, the disk those of the present one (backup of encrypted
    # VMs, page of 2026-01-22); a VM that is off has no extension in its instance view to tell by.
    owned = (inventory.disks.get(key(disk.id)) if disk.id else None for disk in vm.disks)
    found = (each.encryption for each in (*vm.disks, *owned) if each)
    return [each for each in found if each]


def _unclear(inventory: Inventory, vm: VirtualMachine) -> tuple[str, ...]:
    """
    Name what may hide the settings: disks that could not be read, and extensions of which nobody says what they are.
    """
    # One on the host alone is in no list, and Azure Disk Encryption does not take it.
    dark = tuple(d.name for d in vm.disks if d.id and not d.ephemeral and key(d.id) not in inventory.disks)
    told = all(disk.id or disk.unmanaged for disk in vm.disks)
    return dark or (() if told else vm.unknown_extensions)


def _key_access(
    inventory: Inventory, vm: VirtualMachine, settings: Iterable[Encryption]
) -> tuple[Status, str, dict[str, Any]]:
    held = [
        (vault, kind)
        for each in settings
        for kind, vaults in (("secrets", each.secret_vaults), ("keys", each.key_vaults))
        for vault in vaults
    ]
    judged = [_one_vault(inventory, vm, vault, kind) for vault, kind in held]
    named = ", ".join(dict.fromkeys(vault.rsplit("/", 1)[-1] for vault, _ in held))
    for case in ("elsewhere", "no_access"):
        if culprit := next((facts for found, facts in judged if found == case), None):
            return Status.FAIL, case, culprit
    for case in ("vault_unread", "by_role", "by_policy"):
        if doubt := next((facts for found, facts in judged if found == case), None):
            return Status.UNKNOWN, case, doubt | {"vault": named}
    return Status.UNKNOWN, "vault_unknown", {}


def _one_vault(inventory: Inventory, vm: VirtualMachine, vault_id: str, kind: str) -> tuple[str, dict[str, Any]]:
    facts = {"vault": vault_id.rsplit("/", 1)[-1], "code": ""}
    if "/" in vault_id and subscription_of(vault_id) != vm.subscription:
        return "elsewhere", facts
    vault = inventory.key_vaults.get(key(vault_id))
    if vault is None:
        gap = next(iter(inventory.unread_under(vault_id, KEY_VAULTS)), None)
        return "vault_unread", facts | {"code": gap.code if gap else "unknown"}
    if vault.location != vm.location:
        return "elsewhere", facts
    if vault.rbac:
        return "by_role", facts
    readers = vault.secret_readers if kind == "secrets" else vault.key_readers
    return "by_policy" if readers else "no_access", facts


def shared_disks(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Warn of data disks that other VMs may attach too.
    """
    attached = [(disk, inventory.disks.get(key(disk.id))) for disk in vm.data_disks if disk.id]
    shared = [disk.name for disk, own in attached if own and own.max_shares > 1]
    unread = [disk.name for disk, own in attached if own is None]
    status, case = Status.NOT_NEEDED, "none"
    if shared:
        status, case = Status.WARN, "shared"
    elif unread:
        status, case = Status.UNKNOWN, "unread"
    return result(
        "shared-disks", vm, status, case, guide=Status.NOT_NEEDED, disks=", ".join(shared), unread=", ".join(unread)
    )


def ephemeral_os_disk(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Refuse a VM whose system lives on its host only: there is nothing to take a snapshot of.
    """
    status, case = (Status.FAIL, "ephemeral") if vm.os_disk.ephemeral else (Status.PASS, "durable")
    return result("ephemeral-os-disk", vm, status, case, guide=Status.NOT_NEEDED)
