"""
What runs in a VM, as far as its image, its instance view and its extensions tell; the rest is known to the guest only.
"""

from __future__ import annotations

import re

from runbook_lib.checks.result import GUEST, result
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Status, VirtualMachine

__all__ = ["docker_extension", "domain_controller", "network_drives", "os_version"]

DOCKER = "dockerextension"
# Words of the distributions that Azure endorses, in what an agent reports and in what images are called. No list of
# what may pass: what is not in it stays unknown, and keeps no VM back.
ENDORSED = (
    "almalinux",
    "azurelinux",
    "centos",
    "debian",
    "mariner",
    "opensuse",
    "oracle",
    "red hat",
    "redhat",
    "rhel",
    "rocky",
    "sles",
    "suse",
    "ubuntu",
)
REFUSED = "coreos"
# Windows NT versions: the guide begins at Server 2008 R2, the support matrix at Server 2008 (64-bit).
GUIDE_WINDOWS = (6, 1)
OLDEST_WINDOWS = (6, 0)
# Of servers older than 2012; the second of a year is its R2.
_NT_OF_YEAR = {"2003": ((5, 2), (5, 2)), "2008": ((6, 0), (6, 1))}
_YEAR = re.compile(r"(?<!\d)(20\d\d)[-_ ]?(r2)?(?![0-9])")
_CLIENT = re.compile(r"\bwin(?:dows)?[-_ ]?(?:7|8|10|11)\b")
_32_BIT = re.compile(r"\b(?:32[- ]?bit|i[36]86)\b|\bx86\b(?![-_]64)")


def os_version(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Judge the operating system: what the agent reports counts before what the image is called.
    """
    image = " ".join(part for part in (vm.image.publisher, vm.image.offer, vm.image.sku) if part)
    reported = " ".join(part for part in (vm.os_name, vm.os_version) if part)
    today, guide = _windows(vm, image) if vm.os_type == "Windows" else _linux(vm.os_name or image)
    cases = {Status.PASS: "supported", Status.FAIL: "refused", Status.UNKNOWN: GUEST}
    return result(
        "os-version", vm, today, cases[today], guide=guide, system=reported or image or vm.os_type or "unknown"
    )


def _windows(vm: VirtualMachine, image: str) -> tuple[Status, Status]:
    said = (vm.os_name or image).lower()
    version = _nt_version(vm, image)
    if _32_BIT.search(said) or (version and version < OLDEST_WINDOWS):
        return Status.FAIL, Status.FAIL
    if version is None:
        return Status.UNKNOWN, Status.UNKNOWN
    # The guide names Windows Server alone.
    server = version >= GUIDE_WINDOWS and not _CLIENT.search(said)
    return Status.PASS, Status.PASS if server else Status.FAIL


def _nt_version(vm: VirtualMachine, image: str) -> tuple[int, int] | None:
    if number := re.search(r"(\d{1,3})\.(\d{1,5})", vm.os_version):
        return int(number.group(1)), int(number.group(2))
    said = (vm.os_name or image).lower()
    if year := _YEAR.search(said):
        first, second = _NT_OF_YEAR.get(year.group(1), ((6, 2), (6, 3)))
        return second if year.group(2) else first
    return (10, 0) if _CLIENT.search(said) else None


def _linux(system: str) -> tuple[Status, Status]:
    said = system.lower()
    if REFUSED in said or _32_BIT.search(said):
        return Status.FAIL, Status.FAIL
    if any(word in said for word in ENDORSED):
        return Status.PASS, Status.PASS
    return Status.UNKNOWN, Status.UNKNOWN


def docker_extension(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Look for the Docker extension: the guide refuses it, today Docker's mount points cannot be left out.
    """
    if vm.os_type == "Windows":
        # The guide speaks of Linux, and so does the extension.
        return result("docker-extension", vm, Status.NOT_NEEDED, "windows")
    if any(each.kind == DOCKER for each in vm.extensions):
        return result("docker-extension", vm, Status.WARN, "present", guide=Status.FAIL)
    if vm.unknown_extensions:
        return result("docker-extension", vm, Status.UNKNOWN, "unread", extensions=", ".join(vm.unknown_extensions))
    return result("docker-extension", vm, Status.PASS, "absent")


def network_drives(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Say that mounted network drives are not backed up: which there are, only the guest knows.
    """
    return result("network-drives", vm, Status.UNKNOWN, GUEST)


def domain_controller(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Ask for domain controllers; names and tags are no facts, so only a Linux VM is known to be none.
    """
    if vm.os_type == "Linux":
        return result("domain-controller", vm, Status.NOT_NEEDED, "linux")
    return result("domain-controller", vm, Status.UNKNOWN, GUEST)
