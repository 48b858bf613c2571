"""
Where NSGs stand in the way of the chosen VMs, and where in an NSG a new rule can go.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from runbook_lib.checks.network import HTTPS, Decision, addresses_of, decide, groups_of
from runbook_lib.records import Inventory, NetworkInterface, SecurityGroup, VirtualMachine, key

__all__ = ["FIRST_PRIORITY", "Sender", "free_priority", "groups_met", "unused_name", "worst"]

# ARM takes 100 to 4096.
FIRST_PRIORITY = 100
Sender = tuple[VirtualMachine, NetworkInterface]


def groups_met(world: Inventory, vms: Iterable[VirtualMachine]) -> Iterator[tuple[SecurityGroup, list[Sender]]]:
    """
    List the NSGs that outbound packets of *vms* meet, each once, with the VMs and NICs behind it.
    """
    met: dict[str, tuple[SecurityGroup, list[Sender]]] = {}
    for vm in vms:
        for nic_id in vm.nic_ids:
            nic = world.nics.get(key(nic_id))
            if nic is None:
                continue
            for group in groups_of(world, nic) or ():
                met.setdefault(key(group.id), (group, []))[1].append((vm, nic))
    yield from met.values()


def worst(group: SecurityGroup, senders: Sequence[Sender], tag: str) -> Decision:
    """
    Say what *group* does with HTTPS to *tag*: the first denial of all senders, else a doubt, else that it is allowed.

    VMs behind one NSG may be denied by different rules: a new one must come before all of them.
    """
    decisions = [decide(group, addresses_of(nic), tag, vm.location, HTTPS) for vm, nic in senders]
    order = ("Deny", "Unknown", "Allow")
    return min(decisions, key=lambda each: (order.index(each.access), each.priority))


def free_priority(group: SecurityGroup, taken: set[int], below: int, wanted: int) -> int | None:
    """
    Return a priority that no outbound rule has and that comes before the rule that denies; None when there is none.

    Args:
        taken: by rules of the same plan; what is returned is added.
    """
    used = {rule.priority for rule in group.rules if rule.direction == "Outbound"} | taken
    start = min(max(wanted, FIRST_PRIORITY), below - 1)
    for priority in itertools.chain(range(start, below), range(start - 1, FIRST_PRIORITY - 1, -1)):
        if priority >= FIRST_PRIORITY and priority not in used:
            taken.add(priority)
            return priority
    return None


def unused_name(group: SecurityGroup, name: str, taken: Iterable[str] = ()) -> str:
    """
    Return *name*, numbered if a rule of the NSG has it: to write that name again would replace that rule.

    Args:
        taken: names of rules of the same plan.
    """
    used = {rule.name.lower() for rule in group.rules} | {each.lower() for each in taken}
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in numbered if each.lower() not in used)
