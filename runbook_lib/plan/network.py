"""
The network step: NSG rules for service tags, for their IP ranges or for the proxy (guide, section "Network
connectivity").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbook_lib.checks.network import (
    HTTPS,
    SERVICES,
    Decision,
    Destination,
    Tracer,
    groups_of,
    network_key,
    network_of,
)
from runbook_lib.parameters import Parameters
from runbook_lib.plan.denials import free_priority, groups_met, nics_of, note_unread, unused_name, worst
from runbook_lib.plan.ranges import plan_ranges
from runbook_lib.plan.wanted import Notes, Wanted, add_note
from runbook_lib.records import Change, Inventory, NetworkInterface, SecurityGroup, VirtualMachine, key

__all__ = ["plan_network"]

# The guide's proxy rule has priority 200 (network, step 3).
PROXY_PRIORITY = 200


def plan_network(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    """
    Plan the NSG rules of the chosen network option, where an NSG stands in the way.
    """
    if wanted.asked.network_option == "service_tags":
        yield from _plan_tags(world, wanted.going, wanted.notes)
    elif wanted.asked.network_option == "ip_ranges":
        yield from plan_ranges(world, wanted.going, wanted.notes)
    elif wanted.asked.network_option == "http_proxy":
        yield from _plan_proxy(world, wanted.asked, wanted.going, wanted.notes)


def _plan_tags(world: Inventory, going: Sequence[VirtualMachine], notes: Notes) -> Iterator[Change]:
    """
    Plan one rule per NSG and tag that is denied: a rule takes one service tag.
    """
    note_unread(world, going, notes)
    tracer = Tracer(world)
    for group, senders in groups_met(world, nics_of(world, going)):
        taken: set[int] = set()
        for service in SERVICES:
            decision = worst(tracer, group, senders, service)
            if decision.access == "Unknown":
                add_note(notes, id="service_unclear", nsg=group.name, tag=service.name)
            if decision.access != "Deny":
                continue
            priority = free_priority(group, taken, decision.priority, decision.priority - 10)
            if priority is None:
                add_note(notes, id="no_priority", nsg=group.name, rule=decision.rule)
                continue
            name = f"allow-backup-{service.name}"
            yield _rule(group, name, priority, source="VirtualNetwork", to=service.where, ports=[str(HTTPS)])


def _plan_proxy(world: Inventory, asked: Parameters, going: Sequence[VirtualMachine], notes: Notes) -> Iterator[Change]:
    """
    Plan the guide's third proxy step: the NSG of the proxy VM lets it out, on 80 and 443 or on the guide's range.
    """
    owners = _owners(world, asked.proxy_host, going)
    notes.append({"id": "proxy_clients", "host": asked.proxy_host, "port": asked.proxy_port})
    if not owners:
        notes.append(
            {"id": "proxy_outside" if network_of(asked.proxy_host) else "proxy_named", "host": asked.proxy_host}
        )
    if len(owners) > 1:
        # Two peers of a network that are no peers of each other may use one address.
        names = ", ".join(sorted(nic.name for nic in owners))
        notes.append({"id": "proxy_ambiguous", "host": asked.proxy_host, "nics": names})
        return
    for nic in owners:
        if groups_of(world, nic) is None:
            add_note(notes, id="proxy_unclear", host=asked.proxy_host, where=nic.name)
    ports = asked.proxy_ports.split(",")
    internet = [Destination(name="Internet", where="Internet", port=each) for each in _numbers(asked.proxy_ports)]
    tracer = Tracer(world)
    for group, senders in groups_met(world, owners):
        decisions = [worst(tracer, group, senders, each, asked.proxy_host) for each in internet]
        denied = [decision for decision in decisions if decision.access == "Deny"]
        if not denied:
            clear = all(decision.access == "Allow" for decision in decisions)
            facts = {"nsg": group.name, "ports": ", ".join(ports)} if clear else {"where": group.name}
            add_note(notes, id="proxy_allowed" if clear else "proxy_unclear", host=asked.proxy_host, **facts)
            continue
        first = min(denied, key=lambda each: each.priority)
        priority = free_priority(group, set(), first.priority, PROXY_PRIORITY)
        if priority is None:
            add_note(notes, id="no_priority", nsg=group.name, rule=first.rule)
            continue
        if priority != PROXY_PRIORITY:
            _note_priority(notes, group, first, priority)
        yield _rule(group, "allow-proxy", priority, source=f"{asked.proxy_host}/32", to="Internet", ports=ports)


def _owners(world: Inventory, host: str, going: Sequence[VirtualMachine]) -> list[NetworkInterface]:
    """
    List the NICs with the proxy's address that the VMs may reach by it: in their virtual networks or in peered ones.

    Virtual networks that are not connected use the same private addresses.
    """
    near = {each for nic in nics_of(world, going) for each in map(network_key, nic.ip_configurations)}
    reached = near | {
        key(peer)
        for each, subnet in world.subnets.items()
        if each.rpartition("/subnets/")[0] in near
        for peer in subnet.peer_ids
    }
    return [
        nic
        for nic in world.nics.values()
        if any(each.private_ip == host and network_key(each) in reached for each in nic.ip_configurations)
    ]


def _numbers(ports: str) -> Sequence[int]:
    """
    List the ports that `proxy_ports` names, singly or as one range.
    """
    low, dash, high = ports.partition("-")
    return range(int(low), int(high) + 1) if dash else [int(each) for each in ports.split(",")]


def _note_priority(notes: Notes, group: SecurityGroup, denial: Decision, priority: int) -> None:
    """
    Say why the guide's priority is not taken, and which is.
    """
    facts = {"nsg": group.name, "wanted": str(PROXY_PRIORITY), "priority": str(priority)}
    holder = next((r for r in group.standing if r.direction == "Outbound" and r.priority == PROXY_PRIORITY), None)
    if holder:
        add_note(notes, id="priority_taken", rule=holder.name, **facts)
    else:
        add_note(notes, id="priority_late", rule=denial.rule, **facts)


def _rule(group: SecurityGroup, wanted: str, priority: int, *, source: str, to: str, ports: list[str]) -> Change:
    name = unused_name(group, wanted)
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
