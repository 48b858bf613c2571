"""
The vaults for the VMs of a region: those that the templates name, others that are as asked for, and new ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from runbook_lib.naming import fill_name, has_hole
from runbook_lib.parameters import Parameters
from runbook_lib.placement.place import MOST_VMS, Bin
from runbook_lib.records import Inventory, Vault, VirtualMachine, key

__all__ = ["Area", "is_here"]


class Area:
    """
    The vaults for the VMs of one region whose vaults stand in one subscription.
    """

    def __init__(
        self,
        inventory: Inventory,
        asked: Parameters,
        subscription: str,
        location: str,
        *,
        own: Mapping[str, int],
        named: set[str],
    ) -> None:
        self._inventory = inventory
        self._where = (asked.resource_group, asked.vault_name, subscription, location)
        self._numbered = has_hole(asked.vault_name, "n") or has_hole(asked.resource_group, "n")
        # Ids that the plan gives to new vaults, over all areas: templates without a region share their numbers.
        self._named = named
        there = [
            vault
            for vault in inventory.vaults.values()
            if (vault.subscription, vault.location) == (subscription, location)
        ]
        self._vaults = [
            Bin(id=vault_id, order=number, room=MOST_VMS - inventory.held_in(vault_id))
            for number, vault_id in _numbers(there if self._numbered else inventory.vaults.values(), self._where)
        ]
        # As if none of the selected VMs were in yet: the order must not change while they come in.
        adopted = sorted(
            (-(MOST_VMS - inventory.held_in(vault.id) + own[key(vault.id)]), key(vault.id), vault)
            for vault in there
            if _is_free_to_adopt(inventory, vault, asked)
            and key(vault.id) not in {key(each.id) for each in self._vaults}
        )
        self._others = [Bin(id=vault.id, order=0, room=MOST_VMS - inventory.held_in(vault.id)) for *_, vault in adopted]

    def fill(self, vms: Sequence[VirtualMachine]) -> dict[str, tuple[str, str]]:
        """
        Return the vault of each VM, and what the VM lacks there.
        """
        missing = len(vms) - sum(max(0, each.room) for each in (*self._vaults, *self._others))
        new = self._new() if self._numbered or not self._vaults else iter(())
        while missing > 0 and (made := next(new, None)) is not None:
            self._vaults.append(made)
            missing -= made.room
        self._vaults.sort(key=lambda each: each.order)
        bins = [*self._vaults, *self._others]
        places: dict[str, tuple[str, str]] = {}
        waiting = iter(vms)
        for each in bins:
            for vm in itertools.islice(waiting, max(0, each.room)):
                places[key(vm.id)] = (each.id, "")
                each.room -= 1
        return places | {key(vm.id): (bins[0].id, "room") for vm in waiting}

    def _new(self) -> Iterator[Bin]:
        numbers: Iterable[int] = itertools.count(1) if self._numbered else (1,)
        for number in numbers:
            vault_id = _vault_id(*self._where, number)
            taken = key(vault_id) in self._inventory.vaults or key(vault_id) in self._named
            if not (self._numbered and taken):
                self._named.add(key(vault_id))
                yield Bin(id=vault_id, order=number, room=MOST_VMS)


def is_here(inventory: Inventory, vault_id: str, asked: Parameters, subscription: str, location: str) -> bool:
    """
    Tell whether a vault is one that the parameters name for a region; any of its subscription while they name none.
    """
    vault = inventory.vaults.get(key(vault_id))
    if vault is None or (vault.subscription, vault.location) != (subscription, location):
        return False
    where = (asked.resource_group, asked.vault_name, subscription, location)
    return asked.vault_name == Parameters().vault_name or bool(_numbers([vault], where))


@lru_cache(maxsize=4096)
def _vault_id(resource_group: str, vault_name: str, subscription: str, location: str, number: int) -> str:
    words = {"location": location, "subscription": subscription, "n": str(number)}
    group = fill_name("resource_group", resource_group, **words)
    vault = fill_name("vault_name", vault_name, **words)
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices/vaults/{vault}"


def _numbers(vaults: Iterable[Vault], where: tuple[str, str, str, str]) -> list[tuple[int, str]]:
    """
    List the vaults that have a name of the template, each with its number.
    """
    resource_group, vault_name, subscription, location = where
    words = {"location": location, "subscription": subscription[:8], "n": "\0"}
    pattern = re.escape(f"/resourcegroups/{resource_group.format(**words)}/".lower()) + ".*"
    pattern += re.escape(f"/vaults/{vault_name.format(**words)}".lower())
    pattern = pattern.replace(re.escape("\0"), "([1-9][0-9]{0,5})", 1).replace(re.escape("\0"), r"\1")
    known = re.compile(f"/subscriptions/{subscription}{pattern}")
    matches = ((known.fullmatch(key(vault.id)), vault) for vault in vaults)
    return sorted((int(match[1]) if known.groups else 0, vault.id) for match, vault in matches if match)


def _is_free_to_adopt(inventory: Inventory, vault: Vault, asked: Parameters) -> bool:
    """
    Tell whether a vault that no template names is as asked for and in use for VMs, as far as everything can be read.
    """
    # In a region without a pair the plan asks for none.
    restore = asked.cross_region_restore and not inventory.without_pair(vault.subscription, vault.location)
    read = vault.items_read and vault.policies_read and vault.redundancy_locked is not None and vault.soft_delete
    return (
        asked.vault_name == Parameters().vault_name
        and bool(read)
        and vault.soft_delete.lower() != "disabled"
        and (vault.redundancy, vault.cross_region_restore) == (asked.redundancy, restore)
        and 0 < inventory.held_in(vault.id) < MOST_VMS
        and not any(lock.level.lower() == "readonly" for lock in inventory.locks_on(vault.id))
    )
