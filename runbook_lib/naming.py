"""
What a name may be: of vaults, groups, policies, hosts, tenants and regions. Imports `errors`.
"""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterable

from runbook_lib.errors import InvalidParameters

__all__ = ["fill_name", "has_hole", "is_guid", "is_host", "is_tenant", "location_name"]

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Spec and guide agree: 2-50 characters, a letter first, then letters, digits and hyphens (guide, vault step 4).
_VAULT_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,49}")
_GROUP_NAME = re.compile(r"[-\w._()]{0,89}[-\w_()]")
_POLICY_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,148}[a-zA-Z0-9]")
_NAME_RULES = {
    "vault_name": _VAULT_NAME,
    "resource_group": _GROUP_NAME,
    "policy_name": _POLICY_NAME,
    "enhanced_policy_name": _POLICY_NAME,
}
_HOST = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9.]{0,251}[a-zA-Z0-9])?")


def fill_name(name: str, template: str, **words: str) -> str:
    """
    Fill the template of parameter *name*: `vault_name`, `resource_group`, or the name of a policy.

    Args:
        words: what may stand in braces; of a subscription's GUID eight digits tell it apart.

    Raises:
        InvalidParameters: it names anything but *words*, or makes a name that ARM refuses.
    """
    words = {word: value[:8] if word == "subscription" else value for word, value in words.items()}
    try:
        holes = [hole for _, *hole in string.Formatter().parse(template) if hole[0] is not None]
    except ValueError as error:
        raise _template_problem(name, template, words) from error
    # A format such as {location:>999999999} or {location.x} is no name of a place.
    if any(hole not in ([word, "", None] for word in words) for hole in holes):
        raise _template_problem(name, template, words)
    filled = template.format(**words)
    if not _NAME_RULES[name].fullmatch(filled):
        raise InvalidParameters(
            "policy_name" if name.endswith("policy_name") else name, name=name, value=filled, section="vault"
        )
    return filled


def has_hole(template: str, word: str) -> bool:
    """
    Tell whether a template, one that can be filled, has *word* in braces.
    """
    return any(hole == word for _, hole, *_ in string.Formatter().parse(template))


def _template_problem(name: str, template: str, words: Iterable[str]) -> InvalidParameters:
    return InvalidParameters(
        "template", name=name, value=template, words=", ".join(f"{{{word}}}" for word in words) or "nothing"
    )


def is_guid(value: str) -> bool:
    """
    Tell whether *value* is written as the ids of subscriptions and tenants are.
    """
    return bool(_GUID.fullmatch(value))


def is_tenant(value: str) -> bool:
    """
    Tell whether *value* may be a tenant: its id, or one of its domains.
    """
    return is_guid(value) or bool(_HOST.fullmatch(value) and "." in value)


def location_name(value: str) -> str:
    """
    Normalise a region: `West Europe` and `westeurope` are one.
    """
    return value.replace(" ", "").lower()


def is_host(value: str) -> bool:
    """
    Tell whether *value* may name a host: by an IPv4 address or a name.
    """
    try:
        return ipaddress.ip_address(value).version == 4
    except ValueError:
        return bool(_HOST.fullmatch(value)) and not value.replace(".", "").isdigit()
