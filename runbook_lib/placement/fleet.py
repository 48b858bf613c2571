"""
A selection placed as a whole.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence, Set

from runbook_lib.parameters import Parameters
from runbook_lib.placement.place import Place, Placement, held_of, home_of
from runbook_lib.placement.policies import Policies
from runbook_lib.placement.vaults import Area
from runbook_lib.records import Inventory, VirtualMachine, key

__all__ = ["place"]


def place(
    inventory: Inventory, ranks: Iterable[Sequence[VirtualMachine]], asked: Parameters, enhanced: Set[str]
) -> Placement:
    """
    Say for every VM which vault and policy it belongs to.

    Args:
        ranks: the VMs in groups; those of a later one get what the earlier ones leave.
        enhanced: keys of the VMs that need an Enhanced policy.

    Raises:
        InvalidParameters: a template makes a name that ARM refuses, with the region's name in it.
    """
    ordered = [tuple(rank) for rank in ranks]
    entries = {key(vm.id): entry for rank in ordered for vm in rank if (entry := held_of(inventory, vm)) is not None}
    vaults = {vm: (entry.vault_id, "") for vm, entry in entries.items()}
    areas: dict[tuple[str, str], Area] = {}
    named: set[str] = set()
    own = Counter(key(entry.vault_id) for entry in entries.values())
    for rank in ordered:
        loose: dict[tuple[str, str], list[VirtualMachine]] = {}
        for vm in rank:
            if key(vm.id) not in entries:
                loose.setdefault((home_of(vm, asked), vm.location), []).append(vm)
        for where, vms in sorted(loose.items()):
            if where not in areas:
                areas[where] = Area(inventory, asked, *where, own=own, named=named)
            vaults |= areas[where].fill(vms)
    members: dict[str, list[VirtualMachine]] = {}
    for vm in itertools.chain.from_iterable(ordered):
        members.setdefault(key(vaults[key(vm.id)][0]), []).append(vm)
    policies = {
        vault: Policies(inventory, asked, vaults[key(vms[0].id)][0], vms, entries, enhanced)
        for vault, vms in members.items()
    }
    places: dict[str, Place] = {}
    for rank in ordered:
        together: dict[str, list[VirtualMachine]] = {}
        for vm in rank:
            together.setdefault(key(vaults[key(vm.id)][0]), []).append(vm)
        for vault, vms in together.items():
            places |= policies[vault].fill(vms, {key(vm.id): vaults[key(vm.id)][1] for vm in vms})
    return places
