"""
The limitations of VM backup: those of the guide (section "Limitations when backing up and restoring a VM"), and those
that came with what Azure has had since. By what they look at: disks, guest, restore, security.
"""

from runbook_lib.checks.limitations.disks import (
    data_disks,
    disk_encryption,
    ephemeral_os_disk,
    shared_disks,
    ultra_disks,
    unmanaged_disks,
    write_accelerator,
)
from runbook_lib.checks.limitations.guest import docker_extension, domain_controller, network_drives, os_version
from runbook_lib.checks.limitations.platform import scale_set_member, trusted_launch
from runbook_lib.checks.limitations.restore import cross_region, replace_vm, reserved_ip, special_network

__all__ = [
    "cross_region",
    "data_disks",
    "disk_encryption",
    "docker_extension",
    "domain_controller",
    "ephemeral_os_disk",
    "network_drives",
    "os_version",
    "replace_vm",
    "reserved_ip",
    "scale_set_member",
    "shared_disks",
    "special_network",
    "trusted_launch",
    "ultra_disks",
    "unmanaged_disks",
    "write_accelerator",
]
