"""
The guide's limitations (section "Limitations when backing up and restoring a VM").
"""

from __future__ import annotations

from runbook_lib.records import Finding, Inventory, Status, VirtualMachine

__all__ = ["data_disks"]

GUIDE_DISKS = 16
# Support matrix for Azure VM backup: 32 for managed disks, still 16 for unmanaged ones.
MANAGED_DISKS = 32


def data_disks(_: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge the number of data disks: 16 in the guide, 32 today for managed disks.
    """
    limit = GUIDE_DISKS if vm.unmanaged_disks else MANAGED_DISKS
    passes = vm.data_disks <= limit
    return Finding(
        check="data-disks",
        resource=vm.id,
        status=Status.PASS if passes else Status.FAIL,
        guide=Status.PASS if vm.data_disks <= GUIDE_DISKS else Status.FAIL,
        case="within" if passes else "over",
        facts={"count": vm.data_disks, "limit": limit, "kind": "unmanaged" if vm.unmanaged_disks else "managed"},
    )
