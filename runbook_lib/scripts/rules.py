"""
The NSG rules of a plan as commands: the guide's third proxy step in the words of today's Azure CLI and Az PowerShell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runbook_lib.records import Change, Inventory, SecurityRule, key, resource_group_of, subscription_of
from runbook_lib.scripts.quoting import posix, powershell

__all__ = ["RULES", "cli_lines", "powershell_lines"]

# Kinds of change that write a rule.
RULES = ("add-security-rule", "add-range-rule", "update-range-rule")
Properties = Mapping[str, Any]


def cli_lines(inventory: Inventory, changes: Sequence[Change]) -> dict[str, list[str]]:
    """
    Write the commands that make the rules, and those that take them back, for the Azure CLI.
    """
    return {
        "apply": [_cli_set(each, each.body["properties"]) for each in changes],
        "undo": [
            _cli_set(each, _as_asked(before)) if before else f"az network nsg rule delete {_cli_place(each)}"
            for each, before in _with_earlier(inventory, changes)
        ],
    }


def powershell_lines(inventory: Inventory, changes: Sequence[Change]) -> dict[str, list[str]]:
    """
    Write the same for Az PowerShell: calls of the template's own functions.
    """
    return {
        "apply": [_powershell_set(each, each.body["properties"]) for each in changes],
        "undo": [
            _powershell_set(each, _as_asked(before)) if before else f"Remove-Rule {_powershell_place(each)}"
            for each, before in _with_earlier(inventory, changes)
        ],
    }


def _with_earlier(inventory: Inventory, changes: Sequence[Change]) -> Iterator[tuple[Change, SecurityRule | None]]:
    """
    Pair each change, the last first, with the rule that it replaces.
    """
    for change in reversed(changes):
        rules = inventory.nsgs[key(change.target)].rules
        yield change, next((each for each in rules if each.name.lower() == change.facts["rule"].lower()), None)


def _as_asked(rule: SecurityRule) -> Properties:
    return {
        "protocol": rule.protocol,
        "sourceAddressPrefix": rule.sources[0],
        "destinationAddressPrefixes": list(rule.destinations),
        "destinationPortRanges": list(rule.ports),
        "access": rule.access,
        "priority": rule.priority,
        "direction": rule.direction,
    }


def _destinations(asked: Properties) -> list[str]:
    return list(asked.get("destinationAddressPrefixes") or [asked["destinationAddressPrefix"]])


def _place(change: Change) -> dict[str, str]:
    return {
        "subscription": subscription_of(change.target),
        "resource_group": resource_group_of(change.target),
        "nsg": change.target.rsplit("/", 1)[-1],
        "rule": change.facts["rule"],
    }


def _cli_place(change: Change) -> str:
    place = _place(change)
    names = {"subscription": "subscription", "resource-group": "resource_group", "nsg-name": "nsg", "name": "rule"}
    # With an equals sign: the name of a resource group may begin with a hyphen.
    return " ".join(f"--{option}={posix(place[name])}" for option, name in names.items())


def _cli_set(change: Change, asked: Properties) -> str:
    several = {
        "--source-address-prefixes": [asked["sourceAddressPrefix"]],
        "--source-port-ranges": ["*"],
        "--destination-address-prefixes": _destinations(asked),
        "--destination-port-ranges": asked["destinationPortRanges"],
    }
    words = [
        "az network nsg rule create",
        _cli_place(change),
        f"--priority={posix(asked['priority'])}",
        *(f"--{name}={posix(asked[name])}" for name in ("direction", "access", "protocol")),
        *(f"--{name}={posix(asked[name])}" for name in ("description",) if name in asked),
        *(f"{option} {' '.join(posix(each) for each in values)}" for option, values in several.items()),
    ]
    return " ".join(words)


def _powershell_place(change: Change) -> str:
    place = _place(change)
    names = {"Subscription": "subscription", "ResourceGroupName": "resource_group", "NsgName": "nsg", "Name": "rule"}
    return " ".join(f"-{option} {powershell(place[name])}" for option, name in names.items())


def _powershell_set(change: Change, asked: Properties) -> str:
    several = {
        "SourceAddressPrefix": [asked["sourceAddressPrefix"]],
        "DestinationAddressPrefix": _destinations(asked),
        "DestinationPortRange": asked["destinationPortRanges"],
    }
    single = {
        "Priority": asked["priority"],
        "Direction": asked["direction"],
        "Access": asked["access"],
        "Protocol": asked["protocol"],
    } | ({"Description": asked["description"]} if "description" in asked else {})
    words = [
        f"Set-Rule {_powershell_place(change)}",
        *(f"-{option} {powershell(value)}" for option, value in single.items()),
        *(f"-{option} @({', '.join(powershell(each) for each in values)})" for option, values in several.items()),
    ]
    return " ".join(words)
