"""
IP ranges instead of service tags (guide, "Allow the datacenter's IP ranges"): rules of our own that hold the addresses
of the service tags list, and what in them is missing or obsolete since it was read last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from runbook_lib.checks.network import HTTPS, SERVICES, TAGS, Decision, Destination, Tracer
from runbook_lib.plan.denials import FIRST_PRIORITY, free_priority, groups_met, nics_of, note_unread, unused_name, worst
from runbook_lib.plan.wanted import Notes, add_note
from runbook_lib.records import (
    SERVICE_TAGS,
    Change,
    Inventory,
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    ServiceTag,
    ServiceTagsList,
    VirtualMachine,
)

__all__ = ["Ranges", "plan_ranges", "ranges"]

# Azure's limit on the addresses and ranges that a rule names (subscription limits, page of 2022-12-05); that page has
# it for a whole NSG, so an NSG that gets more is told of.
MOST_PREFIXES = 4000
SOURCE = "VirtualNetwork"
# The other services are one for all regions (service tags overview: "can be regional").
REGIONAL = ("Storage",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """
    What the VMs of a region need of one service tag, in one NSG.

    Attributes:
        tag: name of the service.
        listed: the tag of the list that holds its addresses there: of the region, or of all regions.
        group: the NSG; None where none stands in the way.
        rules: those of the NSG that an earlier plan made for the tag.
        decision: what the NSG does without any rules of ranges.
    """

    location: str
    tag: str
    listed: ServiceTag
    group: SecurityGroup | None = None
    rules: tuple[SecurityRule, ...] = ()
    decision: Decision | None = None

    @property
    def there(self) -> tuple[str, ...]:
        """
        The prefixes that the NSG has for the tag.
        """
        return tuple(dict.fromkeys(prefix for rule in self.rules for prefix in rule.destinations))

    @property
    def missing(self) -> tuple[str, ...]:
        """
        The prefixes of the list that the NSG lacks; none where no NSG stands in the way.
        """
        known = set(self.there)
        return tuple(each for each in self.listed.prefixes if each not in known) if self.group else ()

    @property
    def obsolete(self) -> tuple[str, ...]:
        """
        The prefixes in the NSG that the list has no more.
        """
        listed = set(self.listed.prefixes)
        return tuple(each for each in self.there if each not in listed)


def ranges(world: Inventory, going: Sequence[VirtualMachine]) -> tuple[Ranges, ...]:
    """
    Say for each region of *going*, each service and each NSG in the way what the list has and what the NSG has.
    """
    listed = _list_of(world)
    tracer = Tracer(world)
    found: list[Ranges] = []
    for location in sorted({vm.location for vm in going}) if listed else ():
        met = list(groups_met(world, nics_of(world, [vm for vm in going if vm.location == location])))
        for service in SERVICES:
            known = listed.tag(service.where, location if service.where in REGIONAL else "") if listed else None
            if known is None:
                continue
            each = Ranges(location=location, tag=service.where, listed=known)
            stand = [_in_group(tracer, each, group, senders, service) for group, senders in met]
            found += [made for made in stand if made] or [each]
    return tuple(found)


def plan_ranges(world: Inventory, going: Sequence[VirtualMachine], notes: Notes) -> Iterator[Change]:
    """
    Plan the rules that let the VMs of each region reach the services' addresses, where an NSG denies them.
    """
    listed = _list_of(world)
    if listed is None:
        problem = next((f"{gap.code}: {gap.message}" for gap in world.unread if gap.what == SERVICE_TAGS), "")
        add_note(notes, id="ranges_unread", problem=problem)
        return
    add_note(notes, id="ranges_list", cloud=listed.cloud, number=listed.change_number)
    note_unread(world, going, notes)
    _note_doubts(world, going, notes)
    taken: dict[str, set[int]] = {}
    for each in ranges(world, going):
        if each.group is None:
            continue
        changes, denied = _changes(each, each.group, listed, taken.setdefault(each.group.id, set()))
        if denied:
            add_note(notes, id="no_priority", nsg=each.group.name, rule=denied)
        if each.missing and _held(each.group) + len(each.missing) > MOST_PREFIXES:
            add_note(notes, id="many_ranges", nsg=each.group.name, most=str(MOST_PREFIXES))
        yield from changes


def _note_doubts(world: Inventory, going: Sequence[VirtualMachine], notes: Notes) -> None:
    tracer = Tracer(world)
    for group, senders in groups_met(world, nics_of(world, going)):
        for service in SERVICES:
            if worst(tracer, group, senders, service).access == "Unknown":
                add_note(notes, id="service_unclear", nsg=group.name, tag=service.name)


def _list_of(world: Inventory) -> ServiceTagsList | None:
    return next(iter(world.service_tags.values()), None)


def _in_group(
    tracer: Tracer, each: Ranges, group: SecurityGroup, senders: Sequence[NetworkInterface], service: Destination
) -> Ranges | None:
    """
    Add what *group* has and does; None where it lets the packets through without rules of ours.
    """
    ours = tuple(rule for rule in group.standing if _is_ours(rule, each.tag))
    # Nobody can tell offline whether the addresses of one service are those of another.
    without = replace(group, rules=tuple(rule for rule in group.rules if not any(_is_ours(rule, tag) for tag in TAGS)))
    decision = worst(tracer, without, senders, service)
    # A rule is planned against a denial, not against a doubt; one that is there is kept up to date.
    if decision.access == "Deny" or (decision.access == "Unknown" and ours):
        return replace(each, group=group, rules=ours, decision=decision)
    return None


def _is_ours(rule: SecurityRule, tag: str) -> bool:
    named = re.fullmatch(rf"{_name(tag)}(-[0-9]+)?", rule.name, re.IGNORECASE)
    return bool(named) and (rule.direction, rule.access, rule.sources) == ("Outbound", "Allow", (SOURCE,))


def _name(tag: str) -> str:
    return f"allow-backup-ranges-{tag}"


def _changes(each: Ranges, group: SecurityGroup, listed: ServiceTagsList, taken: set[int]) -> tuple[list[Change], str]:
    """
    Make the rules of one tag in one NSG what they should be; with the denying rule where no priority is left.
    """
    denial = each.decision if each.decision and each.decision.access == "Deny" else None
    late = [rule for rule in each.rules if denial and rule.priority >= denial.priority]
    if not (each.missing or each.obsolete or late):
        return [], ""
    count = max(len(each.rules), ceil(len(each.listed.prefixes) / MOST_PREFIXES))
    made: list[Change] = []
    names = [rule.name for rule in each.rules]
    for number in range(count):
        rule = each.rules[number] if number < len(each.rules) else None
        priority: int | None = rule.priority if rule else None
        if denial and (rule is None or rule in late):
            priority = free_priority(group, taken, denial.priority, max(denial.priority - 10, FIRST_PRIORITY))
        if priority is None:
            return made, denial.rule if denial else ""
        if rule is None:
            names.append(unused_name(group, _name(each.tag), names))
        # Dealt out in turn, so that no rule is left empty.
        prefixes = each.listed.prefixes[number::count]
        made.append(_change(each, group, listed, names[number], rule, priority, prefixes))
    return made, ""


def _change(
    each: Ranges,
    group: SecurityGroup,
    listed: ServiceTagsList,
    name: str,
    rule: SecurityRule | None,
    priority: int,
    prefixes: Sequence[str],
) -> Change:
    before = set(rule.destinations) if rule else set()
    facts = {
        "rule": name,
        "nsg": group.name,
        "tag": each.listed.name,
        "number": listed.change_number,
        "count": len(prefixes),
        "port": HTTPS,
        "priority": priority,
    }
    if rule:
        facts |= {"added": len(set(prefixes) - before), "removed": len(before - set(prefixes))}
    return Change(
        kind="update-range-rule" if rule else "add-range-rule",
        step="06",
        target=group.id,
        reads=(listed.id,),
        body={
            "properties": {
                # ARM takes 140 characters.
                "description": f"{each.listed.name}, service tags list {listed.change_number}"[:140],
                "protocol": "Tcp",
                "sourcePortRange": "*",
                "sourceAddressPrefix": SOURCE,
                "destinationAddressPrefixes": list(prefixes),
                "destinationPortRanges": [str(HTTPS)],
                "access": "Allow",
                "priority": priority,
                "direction": "Outbound",
            }
        },
        facts=facts,
    )


def _held(group: SecurityGroup) -> int:
    return sum(len(rule.destinations) for rule in group.standing)
