"""
What the disks of a VM mean for its backup. All but their number came after the guide.
"""

from __future__ import annotations

from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.records import Disk, Finding, Inventory, Status, VirtualMachine, key

__all__ = [
    "data_disks",
    "disk_encryption",
    "enhanced_storage",
    "ephemeral_os_disk",
    "is_disk_encrypted",
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


def disk_encryption(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Warn of Azure Disk Encryption: the service must be able to read the keys.
    """
    status, case = (Status.WARN, "encrypted") if is_disk_encrypted(vm) else (Status.NOT_NEEDED, "none")
    return result("disk-encryption", vm, status, case, guide=Status.NOT_NEEDED)


def is_disk_encrypted(vm: VirtualMachine) -> bool:
    """
    Tell whether Azure Disk Encryption is on: by the settings of a disk, or by its extension where it leaves none there.
    """
    return any(disk.encrypted for disk in vm.disks) or any(each.kind in ENCRYPTING for each in vm.extensions)


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
