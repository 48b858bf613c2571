"""
Where NSGs stand in the way of the chosen VMs, and where in an NSG a new rule can go.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from runbook_lib.checks.network import Decision, Destination, Tracer, groups_of, outbound
from runbook_lib.plan.wanted import Notes, add_note
from runbook_lib.records import Inventory, NetworkInterface, SecurityGroup, VirtualMachine, key

__all__ = ["FIRST_PRIORITY", "free_priority", "groups_met", "nics_of", "note_unread", "unused_name", "worst"]

# ARM takes 100 to 4096.
FIRST_PRIORITY = 100


def nics_of(world: Inventory, vms: Iterable[VirtualMachine]) -> list[NetworkInterface]:
    """
    List the NICs of *vms*, as far as they could be read.
    """
    return [nic for vm in vms for each in vm.nic_ids if (nic := world.nics.get(key(each)))]


def note_unread(world: Inventory, vms: Iterable[VirtualMachine], notes: Notes) -> None:
    """
    Say of which NICs of *vms* nobody knows what stands in their way.
    """
    for vm in vms:
        for each in vm.nic_ids:
            nic = world.nics.get(key(each))
            if nic is None or groups_of(world, nic) is None:
                add_note(notes, id="network_unread", vm=vm.name, nic=each.rsplit("/", 1)[-1])


def groups_met(
    world: Inventory, nics: Iterable[NetworkInterface]
) -> Iterator[tuple[SecurityGroup, list[NetworkInterface]]]:
    """
    List the NSGs that outbound packets of *nics* meet, each once, with the NICs behind it.
    """
    met: dict[str, tuple[SecurityGroup, list[NetworkInterface]]] = {}
    for nic in nics:
        for group in groups_of(world, nic) or ():
            met.setdefault(key(group.id), (group, []))[1].append(nic)
    yield from met.values()


def worst(
    tracer: Tracer,
    group: SecurityGroup,
    senders: Sequence[NetworkInterface],
    destination: Destination,
    address: str = "",
) -> Decision:
    """
    Say what *group* does with packets to *destination*: the first denial of all senders, else a doubt, else that it is
    allowed.

    VMs behind one NSG may be denied by different rules: a new one must come before all of them.

    Args:
        address: where one is given, what is sent from it alone counts.
    """
    decisions = []
    for nic in senders:
        packets = tracer.packets(nic, destination)
        decisions.append(outbound(group, [each for each in packets if address in ("", each.address)]))
    order = ("Deny", "Unknown", "Allow")
    return min(decisions, key=lambda each: (order.index(each.access), each.priority))


def free_priority(group: SecurityGroup, taken: set[int], below: int, wanted: int) -> int | None:
    """
    Return a priority that no outbound rule has and that comes before the rule that denies; None when there is none.

    Args:
        taken: by rules of the same plan; what is returned is added.
    """
    used = {rule.priority for rule in group.standing if rule.direction == "Outbound"} | taken
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
    used = {rule.name.lower() for rule in group.standing} | {each.lower() for each in taken}
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in numbered if each.lower() not in used)
