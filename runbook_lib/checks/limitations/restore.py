"""
What a restore will not do, or not by itself: nothing here keeps a VM from being backed up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runbook_lib.checks.kinds import SETTINGS, STORAGE, VAULTS
from runbook_lib.checks.limitations.disks import is_disk_encrypted
from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.placement import Place
from runbook_lib.records import Finding, Inventory, NetworkInterface, Status, Vault, VirtualMachine, key

__all__ = ["cross_region", "replace_vm", "reserved_ip", "special_network"]


def reserved_ip(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Say that the guide's rule on reserved addresses without endpoints was for classic VMs: only they have endpoints.
    """
    return result("reserved-ip", vm, Status.NOT_NEEDED, "classic")


def replace_vm(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Tell whether a restore can replace the disks of the VM as it stands: of a managed VM without Azure Disk Encryption.
    """
    status, case = Status.PASS, "replaceable"
    if vm.unmanaged_disks:
        status, case = Status.WARN, "unmanaged"
    elif is_disk_encrypted(inventory, vm):
        status, case = Status.WARN, "encrypted"
    return result("replace-vm", vm, status, case, guide=Status.WARN)


def cross_region(inventory: Inventory, vm: VirtualMachine, asked: Parameters, place: Place) -> Finding:
    """
    Tell whether the VM can be restored in the paired region: by Cross Region Restore of its vault, there or planned.
    """
    vault = inventory.vaults.get(key(place.vault_id))
    redundancy = vault.redundancy if vault else asked.redundancy
    status, case = Status.NOT_NEEDED, "geo" if redundancy == "GeoRedundant" else "in_region"
    if inventory.without_pair(vm.subscription, vm.location):
        case = "no_pair"
    elif _restore_is_dark(inventory, place.vault_id, vault):
        status, case = Status.UNKNOWN, "unread"
    elif vault.cross_region_restore if vault else asked.cross_region_restore:
        status, case = Status.PASS, "restorable"
    return result(
        "cross-region",
        vm,
        status,
        case,
        guide=Status.WARN,
        location=vm.location,
        vault=vault.name if vault else place.vault_id.rsplit("/", 1)[-1],
    )


def _restore_is_dark(inventory: Inventory, vault_id: str, vault: Vault | None) -> bool:
    """
    Tell whether nobody can say if Cross Region Restore is on.
    """
    if vault is None:
        return bool(inventory.unread_under(vault_id, VAULTS))
    if vault.cross_region_restore:
        return False
    # Where the vault itself says its replication, it says this too.
    beside = inventory.unread_under(vault_id, STORAGE) if not vault.redundancy else ()
    return bool(inventory.unread_under(vault_id, SETTINGS) or beside)


def special_network(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Look for the guide's special network settings: load balancers, several reserved addresses, several interfaces.
    """
    nics = [nic for each in vm.nic_ids if (nic := inventory.nics.get(key(each)))]
    configurations = [each for nic in nics for each in nic.ip_configurations]
    pools = [key(part) for each in configurations for part in (*each.backend_pool_ids, *each.nat_rule_ids)]
    reserved, dark = _reserved(inventory, nics)
    # A pool or a rule stands right under its load balancer: two parts more than that has.
    owners = dict.fromkeys(part.rsplit("/", 2)[0] for part in pools)
    known = {each: inventory.load_balancers.get(each) for each in owners}
    facts: dict[str, Any] = {
        "balancers": _named(found.name if found else each.rsplit("/", 1)[-1] for each, found in known.items()),
        "external": _named(found.name for found in known.values() if found and found.public),
        "addresses": reserved,
        "interfaces": len(vm.nic_ids),
    }
    if pools or reserved > 1 or len(vm.nic_ids) > 1:
        return result("special-network", vm, Status.WARN, "special", **facts)
    if len(nics) < len(vm.nic_ids) or dark:
        return result("special-network", vm, Status.UNKNOWN, "unread", **facts)
    return result("special-network", vm, Status.PASS, "plain", **facts)


def _named(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _reserved(inventory: Inventory, nics: list[NetworkInterface]) -> tuple[int, bool]:
    """
    Count the reserved public addresses of *nics*, and tell whether there may be more that could not be read.
    """
    ids = [key(each.public_ip_id) for nic in nics for each in nic.ip_configurations if each.public_ip_id]
    known = [address for each in ids if (address := inventory.public_ips.get(each))]
    return sum(address.static for address in known), len(ids) > 1 and len(known) < len(ids)
