"""
The rules that Microsoft.Network holds a security rule to, and the rules that every security group has.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from runbook_lib.sandbox.answers import network_error
from runbook_lib.sandbox.state import Body

__all__ = ["check_conflict", "checked_rule", "with_default_rules"]

_NAME = re.compile(r"[a-zA-Z0-9](?:[\w.-]{0,78}[\w])?", re.ASCII)
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)*")
_PORT = re.compile(r"\d{1,5}(?:-\d{1,5})?", re.ASCII)
_CHOICES = {
    "protocol": ("*", "Tcp", "Udp", "Icmp", "Esp", "Ah"),
    "access": ("Allow", "Deny"),
    "direction": ("Inbound", "Outbound"),
}
_LISTS = ("sourcePortRanges", "destinationPortRanges", "sourceAddressPrefixes", "destinationAddressPrefixes")
_SINGLES = ("sourcePortRange", "destinationPortRange", "sourceAddressPrefix", "destinationAddressPrefix")
_GROUPS = ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups")
_ENDS = (
    ("sourcePortRange", "sourcePortRanges", None),
    ("destinationPortRange", "destinationPortRanges", None),
    ("sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups"),
    ("destinationAddressPrefix", "destinationAddressPrefixes", "destinationApplicationSecurityGroups"),
)


def _default(
    name: str, description: str, source: str, destination: str, access: str, priority: int, direction: str
) -> Body:
    return {
        "name": name,
        "properties": {
            "provisioningState": "Succeeded",
            "description": description,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "access": access,
            "priority": priority,
            "direction": direction,
            **{name: [] for name in _LISTS},
        },
    }


_DEFAULT_RULES = (
    _default(
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        *("VirtualNetwork",) * 2,
        "Allow",
        65000,
        "Inbound",
    ),
    _default(
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "AzureLoadBalancer",
        "*",
        "Allow",
        65001,
        "Inbound",
    ),
    _default("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    _default(
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        *("VirtualNetwork",) * 2,
        "Allow",
        65000,
        "Outbound",
    ),
    _default(
        "AllowInternetOutBound",
        "Allow outbound traffic from all VMs to Internet",
        "*",
        "Internet",
        "Allow",
        65001,
        "Outbound",
    ),
    _default("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
)


def with_default_rules(group: Body) -> Body:
    """
    Return a security group with the rules that every group has, unless it shows its own.
    """
    defaults = [
        {
            "name": rule["name"],
            "id": f"{group['id']}/defaultSecurityRules/{rule['name']}",
            "etag": group.get("etag", ""),
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": rule["properties"],
        }
        for rule in _DEFAULT_RULES
    ]
    properties = {"securityRules": [], "defaultSecurityRules": defaults} | (group.get("properties") or {})
    return {**group, "properties": properties}


def checked_rule(rule_id: str, name: str, asked: Body) -> Body:
    """
    Return the properties of a rule as the service stores them.

    Args:
        asked: the properties of the request.

    Raises:
        ArmError: a property is missing or has a value that it cannot have.
    """
    if not _NAME.fullmatch(name):
        raise network_error(
            400,
            "InvalidResourceName",
            f"Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a letter or"
            " digit and end with a letter, digit or '_', and may contain '.', '-' and '_' between.",
        )
    properties: Body = {"provisioningState": "Updating"}
    description = asked.get("description")
    if description is not None:
        if not isinstance(description, str):
            raise _unparsed("description", description)
        if len(description) > 140:
            raise network_error(
                400, "SecurityRuleDescriptionTooLong", "Security rule description cannot exceed 140 chars."
            )
        properties["description"] = description
    for field, choices in _CHOICES.items():
        spelled = {choice.lower(): choice for choice in choices}.get(str(asked.get(field)).lower())
        if spelled is None:
            raise _unparsed(field, asked.get(field))
        properties[field] = spelled
    priority = asked.get("priority")
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise _unparsed("priority", priority)
    if not 100 <= priority <= 4096:
        raise network_error(
            400,
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096.",
        )
    properties["priority"] = priority
    for single, plural, groups in _ENDS:
        properties |= _end(rule_id, asked, single, plural, groups)
    return properties


def check_conflict(name: str, properties: Body, others: list[Body]) -> None:
    """
    Refuse a rule whose priority another rule of its direction has.

    Raises:
        ArmError: 400 SecurityRuleConflict.
    """
    for other in others:
        own = other.get("properties") or {}
        same = (own.get("priority"), str(own.get("direction")).lower()) == (
            properties["priority"],
            properties["direction"].lower(),
        )
        if same and other["name"].lower() != name.lower():
            raise network_error(
                400,
                "SecurityRuleConflict",
                f"Security rule {name} conflicts with rule {other['name']}."
                " Rules cannot have the same Priority and Direction.",
            )


def _end(rule_id: str, asked: Body, single: str, plural: str, groups: str | None) -> Body:
    one, many = asked.get(single), asked.get(plural) or []
    if not isinstance(many, list):
        raise _unparsed(plural, many)
    members = (asked.get(groups) or []) if groups else []
    if not isinstance(members, list):
        raise _unparsed(str(groups), members)
    if not one and not many and not members:
        raise _unparsed(single, one)
    for value in ([one] if one else []) + many:
        if not isinstance(value, str):
            raise _unparsed(single, value)
        _check_value(rule_id, value, is_port="Port" in single)
    end: Body = {single: one} if one else {}
    end[plural] = many
    if members and groups:
        end[groups] = members
    return end


def _check_value(rule_id: str, value: str, *, is_port: bool) -> None:
    if value == "*":
        return
    if is_port:
        bounds = [int(bound) for bound in value.split("-")] if _PORT.fullmatch(value) else [1, 0]
        if bounds != sorted(bounds) or bounds[-1] > 65535:
            raise network_error(
                400,
                "SecurityRuleInvalidPortRange",
                f"Security rule has invalid Port range. Value provided: {value}. Value should be an integer OR integer"
                " range with '-' delimiter. Valid range 0-65535.",
            )
        return
    if _TAG.fullmatch(value):
        return
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise network_error(
            400,
            "SecurityRuleInvalidAddressPrefix",
            f"Security rule {rule_id} has invalid Address prefix. Value provided: {value}",
        ) from error


def _unparsed(field: str, value: Any) -> Exception:
    found = "is missing" if value is None else f"cannot be {value!r}"
    detail = {"code": "InvalidJson", "message": f"The member 'properties.{field}' {found}."}
    return network_error(400, "InvalidRequestFormat", "Cannot parse the request.", details=[detail])
