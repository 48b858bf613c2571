"""
The network step: NSG rules for service tags or for the proxy (guide, section "Network connectivity").
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from runbook_lib.checks.network import HTTPS, TAGS, Decision, addresses_of, decide, groups_of
from runbook_lib.parameters import Parameters
from runbook_lib.plan.wanted import Notes, Wanted
from runbook_lib.records import Change, Inventory, NetworkInterface, SecurityGroup, VirtualMachine, key

__all__ = ["plan_network"]

# The guide's proxy rule has priority 200 (network, step 3); ARM takes 100 to 4096.
PROXY_PRIORITY = 200
FIRST_PRIORITY = 100


def plan_network(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    """
    Plan the NSG rules of the chosen network option, where an NSG stands in the way.
    """
    if wanted.asked.network_option == "service_tags":
        yield from _plan_tags(world, wanted.going, wanted.notes)
    elif wanted.asked.network_option == "http_proxy":
        yield from _plan_proxy(world, wanted.asked, wanted.notes)


def _plan_tags(world: Inventory, going: Sequence[VirtualMachine], notes: Notes) -> Iterator[Change]:
    """
    Plan one rule per NSG and tag that is denied: a rule takes one service tag.
    """
    # VMs behind one NSG may be denied by different rules: the new one must come before all of them.
    first: dict[tuple[str, str], Decision] = {}
    for vm in going:
        for nic in _nics(world, vm):
            for group in groups_of(world, nic) or ():
                for tag in TAGS:
                    decision = decide(group, addresses_of(nic), tag, vm.location, HTTPS)
                    known = first.get((group.id, tag))
                    if decision.access == "Deny" and (known is None or decision.priority < known.priority):
                        first[group.id, tag] = decision
    taken: dict[str, set[int]] = {}
    for (group_id, tag), decision in first.items():
        group = world.nsgs[key(group_id)]
        priority = _free(group, taken.setdefault(group_id, set()), decision.priority, decision.priority - 10)
        if priority is None:
            _note(notes, id="no_priority", nsg=group.name, rule=decision.rule)
            continue
        yield _rule(group, f"allow-backup-{tag}", priority, source="VirtualNetwork", to=tag, ports=[str(HTTPS)])


def _plan_proxy(world: Inventory, asked: Parameters, notes: Notes) -> Iterator[Change]:
    """
    Plan the guide's third proxy step: the NSG of the proxy VM lets it out, on 80 and 443.
    """
    owners = [
        nic for nic in world.nics.values() if any(each.private_ip == asked.proxy_host for each in nic.ip_configurations)
    ]
    notes.append({"id": "proxy_clients", "host": asked.proxy_host, "port": asked.proxy_port})
    if not owners:
        notes.append({"id": "proxy_outside", "host": asked.proxy_host})
    met: dict[str, SecurityGroup] = {}
    for nic in owners:
        groups = groups_of(world, nic)
        if groups is None:
            _note(notes, id="proxy_unclear", host=asked.proxy_host, where=nic.name)
        met |= {group.id: group for group in groups or ()}
    for group in met.values():
        decisions = [decide(group, (asked.proxy_host,), "Internet", group.location, port) for port in (80, HTTPS)]
        denied = [decision for decision in decisions if decision.access == "Deny"]
        if not denied:
            clear = all(decision.access == "Allow" for decision in decisions)
            said = {"id": "proxy_allowed", "nsg": group.name} if clear else {"id": "proxy_unclear", "where": group.name}
            _note(notes, **said, host=asked.proxy_host)
            continue
        first = min(denied, key=lambda each: each.priority)
        priority = _free(group, set(), first.priority, PROXY_PRIORITY)
        if priority is None:
            _note(notes, id="no_priority", nsg=group.name, rule=first.rule)
            continue
        yield _rule(
            group, "allow-proxy", priority, source=f"{asked.proxy_host}/32", to="Internet", ports=["80", str(HTTPS)]
        )


def _note(notes: Notes, **said: str) -> None:
    if said not in notes:
        notes.append(said)


def _nics(world: Inventory, vm: VirtualMachine) -> list[NetworkInterface]:
    return [world.nics[key(each)] for each in vm.nic_ids if key(each) in world.nics]


def _free(group: SecurityGroup, taken: set[int], below: int, wanted: int) -> int | None:
    """
    Return a priority that no outbound rule has and that comes before the rule that denies; None when there is none.
    """
    used = {rule.priority for rule in group.rules if rule.direction == "Outbound"} | taken
    start = min(max(wanted, FIRST_PRIORITY), below - 1)
    for priority in itertools.chain(range(start, below), range(start - 1, FIRST_PRIORITY - 1, -1)):
        if priority >= FIRST_PRIORITY and priority not in used:
            taken.add(priority)
            return priority
    return None


def _unused(group: SecurityGroup, name: str) -> str:
    """
    Return *name*, numbered if a rule of the NSG has it: to write that name again would replace that rule.
    """
    used = {rule.name.lower() for rule in group.rules}
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in numbered if each.lower() not in used)


def _rule(group: SecurityGroup, wanted: str, priority: int, *, source: str, to: str, ports: list[str]) -> Change:
    name = _unused(group, wanted)
    return Change(
        kind="add-security-rule",
        step="06",
        target=group.id,
        body={
            "properties": {
                "protocol": "Tcp",
                "sourcePortRange": "*",
                "sourceAddressPrefix": source,
                "destinationAddressPrefix": to,
                "destinationPortRanges": ports,
                "access": "Allow",
                "priority": priority,
                "direction": "Outbound",
            }
        },
        facts={
            "rule": name,
            "nsg": group.name,
            "source": source,
            "destination": to,
            "ports": ", ".join(ports),
            "priority": priority,
        },
    )
