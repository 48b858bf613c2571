"""
Where the backups of a VM go. Pure: imports `parameters` and `records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from runbook_lib.parameters import Parameters, fill_name
from runbook_lib.records import Inventory, ProtectedItem, VirtualMachine

__all__ = ["Place", "entry_of", "place_of", "vault_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where a VM's backups go.
    """

    location: str
    group_id: str
    vault_id: str


def place_of(vm: VirtualMachine, asked: Parameters) -> Place:
    """
    Say which vault a VM belongs into: one per region, named by the templates.

    Raises:
        InvalidParameters: a template makes a name that ARM refuses, with the region's name in it.
    """
    subscription = vm.subscription if asked.vault_subscription == "same" else asked.vault_subscription.lower()
    return _place(asked.resource_group, asked.vault_name, subscription, vm.location)


# Several checks ask for the place of every VM, and there is one for each region.
@lru_cache(maxsize=256)
def _place(resource_group: str, vault_name: str, subscription: str, location: str) -> Place:
    words = {"location": location, "subscription": subscription}
    group_id = f"/subscriptions/{subscription}/resourceGroups/{fill_name('resource_group', resource_group, **words)}"
    vault = fill_name("vault_name", vault_name, **words)
    return Place(
        location=location,
        group_id=group_id,
        vault_id=f"{group_id}/providers/Microsoft.RecoveryServices/vaults/{vault}",
    )


def entry_of(inventory: Inventory, vm: VirtualMachine) -> ProtectedItem | None:
    """
    Return the VM's entry in a vault: one under protection, else one that was stopped; a deleted one is none.
    """
    live = [item for item in inventory.items_of(vm.id) if not item.soft_deleted]
    return next((item for item in live if item.protection != "stopped"), live[0] if live else None)


def vault_of(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> str:
    """
    Return the id of the vault that the VM's recovery points are in, or are to go to: a second one would be refused.
    """
    entry = entry_of(inventory, vm)
    return entry.vault_id if entry else place_of(vm, asked).vault_id
