"""
The policies for the VMs of a vault, and the times at which their backups start.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache, partial

from runbook_lib.naming import fill_name
from runbook_lib.parameters import Parameters
from runbook_lib.placement.place import Bin, Place, home_of, policy_type
from runbook_lib.placement.vaults import is_here
from runbook_lib.records import Inventory, ProtectedItem, VirtualMachine, key

__all__ = ["Policies"]

HALF_HOURS = 48


class Policies:
    """
    The policies for the selected VMs of one vault.
    """

    def __init__(
        self,
        inventory: Inventory,
        asked: Parameters,
        vault_id: str,
        vms: Iterable[VirtualMachine],
        entries: Mapping[str, ProtectedItem],
        enhanced: Set[str],
    ) -> None:
        self._inventory = inventory
        self._asked = asked
        self._vault_id = vault_id
        self._entries = entries
        self._enhanced = enhanced
        self._times = tuple(_start_times(asked)) if asked.vms_per_start else (asked.backup_time,)
        self._names = {
            name: tuple(fill_name(name, template, time=time.replace(":", "")) for time in self._times)
            for name in ("policy_name", "enhanced_policy_name")
            if (template := getattr(asked, name))
        }
        self._standard = policy_type(inventory, vault_id, self._names["policy_name"][0], asked.policy_type)
        self._is_here = lru_cache(maxsize=None)(partial(is_here, inventory, vault_id, asked))
        self._made = lru_cache(maxsize=None)(partial(Place, vault_id=vault_id))
        self._starts: Counter[str] = Counter()
        # Policies that VMs of an earlier rank make.
        self._opened: set[str] = set()
        if asked.vms_per_start:
            self._count_starts(vms)

    def fill(self, vms: Sequence[VirtualMachine], lacking: Mapping[str, str]) -> dict[str, Place]:
        """
        Return the place of each VM: it keeps the policy that it has, unless it is to come under another.

        Args:
            lacking: what each lacks in the vault.
        """
        places: dict[str, Place] = {}
        wanting: dict[str, list[VirtualMachine]] = {name: [] for name in self._names}
        for vm in vms:
            name = self._name_for(vm)
            kept = self._kept(vm, name)
            if kept is None:
                wanting[name].append(vm)
                continue
            kind = policy_type(self._inventory, self._vault_id, kept, "")
            places[key(vm.id)] = self._place(vm, kept, kind, self._asked.backup_time, "")
        for name, own in wanting.items():
            kind = self._asked.policy_type if name == "policy_name" else "Enhanced"
            slots = self._slots(len(own), name) if self._asked.vms_per_start else itertools.repeat((0, ""), len(own))
            for vm, (slot, late) in zip(own, slots, strict=True):
                policy = self._names[name][slot]
                places[key(vm.id)] = self._place(vm, policy, kind, self._times[slot], lacking[key(vm.id)] or late)
        return places

    def _place(self, vm: VirtualMachine, policy: str, kind: str, time: str, lacks: str) -> Place:
        here = key(vm.id) not in self._entries or self._is_here(home_of(vm, self._asked), vm.location)
        # Thousands of VMs share a place.
        return self._made(policy_name=policy, policy_type=kind, backup_time=time, lacks=lacks, here=here)

    def _name_for(self, vm: VirtualMachine) -> str:
        """
        Name the parameter with the VM's policy: the one that takes them all where there is such a one.
        """
        if "enhanced_policy_name" not in self._names or self._standard == "Enhanced":
            return "policy_name"
        entry = self._entries.get(key(vm.id))
        # From an Enhanced policy none goes back to a Standard one.
        bound = entry and policy_type(self._inventory, self._vault_id, _policy_name(entry), "") == "Enhanced"
        return "enhanced_policy_name" if bound or key(vm.id) in self._enhanced else "policy_name"

    def _kept(self, vm: VirtualMachine, name: str) -> str | None:
        """
        Return the name of the policy that the VM has and keeps; None for one that is to come under a policy.
        """
        entry = self._entries.get(key(vm.id))
        if entry is None or entry.soft_deleted or entry.protection == "stopped" or not entry.policy_id:
            return None
        now = _policy_name(entry)
        moves = (
            self._asked.change_policy
            and entry.protection == "on"
            and self._is_here(home_of(vm, self._asked), vm.location)
            and now.lower() not in {each.lower() for each in self._names[name]}
        )
        return None if moves else now

    def _count_starts(self, vms: Iterable[VirtualMachine]) -> None:
        """
        Count the VMs of the vault that start at each time already, without those that are to leave their policy.
        """
        leaving = Counter(
            key(entry.policy_id)
            for vm in vms
            if (entry := self._entries.get(key(vm.id))) is not None
            and not entry.soft_deleted
            and self._kept(vm, self._name_for(vm)) is None
        )
        for policy in self._inventory.policies_in(self._vault_id):
            if policy.terms.get("time_zone") == self._asked.time_zone:
                stay = self._inventory.using(policy.id) - leaving[key(policy.id)]
                self._starts[str(policy.terms.get("backup_time", ""))] += stay

    def _slots(self, count: int, name: str) -> Iterator[tuple[int, str]]:
        """
        Yield a start time, by its number, for each of *count* VMs: of policies that are there, then of as few more as
        suffice.
        """
        there: list[Bin] = []
        new: list[Bin] = []
        for number, policy in enumerate(self._names[name]):
            room = max(0, self._asked.vms_per_start - self._starts[self._time(number, policy)])
            policy_id = key(f"{self._vault_id}/backupPolicies/{policy}")
            is_there = policy_id in self._inventory.policies or policy_id in self._opened
            (there if is_there else new).append(Bin(id=policy_id, order=number, room=room))
        missing = count - sum(each.room for each in there)
        # The largest first, so that they are few.
        for each in sorted(new, key=lambda each: (-each.room, each.order)):
            if missing <= 0 or not each.room:
                break
            there.append(each)
            self._opened.add(each.id)
            missing -= each.room
        for each in sorted(there, key=lambda each: each.order):
            time = self._time(each.order, self._names[name][each.order])
            taken = min(count, max(0, self._asked.vms_per_start - self._starts[time]))
            self._starts[time] += taken
            count -= taken
            yield from itertools.repeat((each.order, ""), taken)
        yield from itertools.repeat((len(self._times) - 1, "start"), count)

    def _time(self, number: int, policy: str) -> str:
        there = self._inventory.policies.get(key(f"{self._vault_id}/backupPolicies/{policy}"))
        return str(there.terms.get("backup_time", "")) if there else self._times[number]


def _policy_name(entry: ProtectedItem) -> str:
    return entry.policy_id.rsplit("/", 1)[-1]


def _start_times(asked: Parameters) -> Iterator[str]:
    """
    Yield the start times from `backup_time` on, one for each half hour, as far as they differ.

    A later one of a weekly schedule would fall on another day; an hourly schedule comes around after its interval.
    """
    hours, minutes = asked.backup_time.split(":")
    first = 2 * int(hours) + int(minutes) // 30
    count = {"Daily": HALF_HOURS, "Weekly": HALF_HOURS - first, "Hourly": 2 * asked.hourly_interval}[asked.schedule]
    for number in range(first, first + count):
        yield f"{number % HALF_HOURS // 2:02}:{number % 2 * 30:02}"
