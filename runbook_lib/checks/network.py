"""
Outbound traffic as network security groups decide it (guide, section "Network connectivity").

Outbound packets meet the NSG of the network interface first, then that of the subnet; both must allow. In each, the
rule with the lowest priority number that matches decides; below all rules, traffic to the Internet is allowed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbook_lib.records import (
    Finding,
    Inventory,
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Status,
    VirtualMachine,
    key,
)

__all__ = ["HTTPS", "TAGS", "Decision", "addresses_of", "decide", "groups_of", "network_outbound"]

# What the backup extension of the guide needed, as today's service tags.
TAGS = ("AzureBackup", "Storage", "AzureActiveDirectory")
HTTPS = 443
DEFAULT_RULE = "AllowInternetOutBound"
_EVERYWHERE = frozenset({"*", "internet", "0.0.0.0/0", "any"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What one NSG does with a packet.

    Attributes:
        access: Allow, Deny, or Unknown where a rule's addresses cannot be compared with a service tag offline.
        rule: name of the rule that decides.
        priority: of that rule; 65001 for the default rule.
    """

    access: str
    rule: str
    priority: int


def network_outbound(inventory: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge whether every NIC of the VM reaches the service over HTTPS, as the guide asks; today it is not needed.
    """
    guide, case, facts = _over_nics(inventory, vm)
    return Finding(
        check="network-outbound",
        resource=vm.id,
        status=Status.NOT_NEEDED,
        guide=guide,
        case=case,
        facts=facts,
    )


def _over_nics(inventory: Inventory, vm: VirtualMachine) -> tuple[Status, str, dict[str, str]]:
    unknown = {"nic": "", "nsg": "", "rule": "", "tag": ""}
    unclear: dict[str, str] | None = None if vm.nic_ids else unknown
    for nic_id in vm.nic_ids:
        nic = inventory.nics.get(key(nic_id))
        groups = groups_of(inventory, nic) if nic else None
        if nic is None or groups is None:
            unclear = unknown | {"nic": nic_id.rsplit("/", 1)[-1]}
            continue
        for group in groups:
            for tag in TAGS:
                decision = decide(group, addresses_of(nic), tag, vm.location, HTTPS)
                facts = {"nic": nic.name, "nsg": group.name, "rule": decision.rule, "tag": tag}
                if decision.access == "Deny":
                    return Status.FAIL, "denied", facts
                if decision.access == "Unknown":
                    unclear = facts
    if unclear:
        return Status.UNKNOWN, "unclear", unclear
    return Status.PASS, "allowed", unknown


def groups_of(inventory: Inventory, nic: NetworkInterface) -> tuple[SecurityGroup, ...] | None:
    """
    Return the NSGs that outbound packets of *nic* meet, in order; None when one that is named could not be read.
    """
    ids = [nic.nsg_id]
    for configuration in nic.ip_configurations:
        if not configuration.subnet_id:
            continue
        subnet = inventory.subnets.get(key(configuration.subnet_id))
        if subnet is None:
            return None
        ids.append(subnet.nsg_id)
    groups = []
    for nsg_id in dict.fromkeys(key(each) for each in ids if each):
        if nsg_id not in inventory.nsgs:
            return None
        groups.append(inventory.nsgs[nsg_id])
    return tuple(groups)


def addresses_of(nic: NetworkInterface) -> tuple[str, ...]:
    """
    Return the private addresses of *nic*; an IPv6 configuration may have none (real-shapes).
    """
    return tuple(each.private_ip for each in nic.ip_configurations if each.private_ip)


def decide(group: SecurityGroup, addresses: tuple[str, ...], destination: str, location: str, port: int) -> Decision:
    """
    Say what *group* does with an outbound TCP packet.

    Args:
        addresses: the sender's private addresses; which of them it sends from is the guest's choice.
        destination: a service tag, or `Internet`.
        location: region of the VM: `Storage.WestEurope` covers it there only.
    """
    decisions = [_decide(group, each, destination, location, port) for each in addresses or ("",)]
    first = min(decisions, key=lambda each: each.priority)
    return first if all(each.access == first.access for each in decisions) else replace(first, access="Unknown")


def _decide(group: SecurityGroup, address: str, destination: str, location: str, port: int) -> Decision:
    uncertain: list[SecurityRule] = []
    for rule in sorted(group.rules, key=lambda each: each.priority):
        if rule.direction != "Outbound" or rule.protocol.lower() not in ("*", "tcp", "all"):
            continue
        if not any(_port_in(port, each) for each in rule.ports):
            continue
        sender = _best(_covers_sender(each, address) for each in rule.sources)
        receiver = _best(_covers_destination(each, destination, location) for each in rule.destinations)
        if sender is False or receiver is False:
            continue
        if sender is None or receiver is None:
            uncertain.append(rule)
            continue
        return _settle(uncertain, rule.access, rule.name, rule.priority)
    return _settle(uncertain, "Allow", DEFAULT_RULE, 65001)


def _settle(uncertain: list[SecurityRule], access: str, name: str, priority: int) -> Decision:
    # A rule that may or may not match changes nothing as long as it says the same as the one that surely does.
    other = next((rule for rule in uncertain if rule.access != access), None)
    if other:
        return Decision(access="Unknown", rule=other.name, priority=other.priority)
    return Decision(access=access, rule=name, priority=priority)


def _best(answers: Iterable[bool | None]) -> bool | None:
    """
    Any yes is a yes; else any "cannot say" is that; else no.
    """
    found = set(answers)
    if True in found:
        return True
    return None if None in found else False


def _covers_sender(source: str, address: str) -> bool | None:
    if source.lower() in ("*", "any", "0.0.0.0/0", "virtualnetwork"):
        return True
    if source.lower().startswith("/subscriptions/"):
        return None
    network = _network(source)
    if network is None:
        return False
    return ipaddress.ip_address(address) in network if address else None


def _covers_destination(prefix: str, destination: str, location: str) -> bool | None:
    wanted = destination.lower()
    said = prefix.lower()
    if said in _EVERYWHERE or said == wanted:
        return True
    if wanted != "internet" and said in ("azurecloud", f"azurecloud.{location}", f"{wanted}.{location}"):
        return True
    if said.startswith("/subscriptions/"):
        return False
    network = _network(prefix)
    if network is None:
        return False
    # Azure's own ranges are public and change weekly: a public range may hold some of them.
    return False if network.is_private else None


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _port_in(port: int, written: str) -> bool:
    if written == "*":
        return True
    low, dash, high = written.partition("-")
    if not dash:
        high = low
    return low.isdecimal() and high.isdecimal() and int(low) <= port <= int(high)
