"""
The settings of a sandbox that the estate or the caller may choose. Imports the standard library and `bodies` only.

What is not known of the service is a setting here, so that both answers can be tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.bodies import SandboxError

__all__ = ["Profile"]

# Seconds; the medians of recorded traffic where there is one.
_DURATIONS: dict[str, float] = {
    "backup.snapshot": 456,
    "backup.transfer": 6513,
    "backup.trigger": 2,
    "container.refresh": 13,
    "group.delete": 15,
    "item.configure": 34,
    "item.delete": 114,
    "item.job": 6,
    "item.stop": 12,
    "item.undelete": 12,
    "policy.update": 10,
    "provider.register": 10,
    "rule.delete": 3,
    "rule.put": 3,
    "vault.create": 61,
    "vault.delete": 62,
    "vault.update": 62,
}
# Rows in one answer, by the last part of the list's path; 200, 256 and the 200 of backup are known, the rest assumed.
_PAGE_SIZES: dict[str, int] = {
    "backupJobs": 200,
    "backupPolicies": 200,
    "backupProtectableItems": 200,
    "backupProtectedItems": 200,
    "backupProtectionContainers": 200,
    "natGateways": 1000,
    "networkInterfaces": 1000,
    "networkSecurityGroups": 1000,
    "publicIPAddresses": 1000,
    "resourceGroups": 1000,
    "routeTables": 1000,
    "subscriptions": 1000,
    "vaults": 256,
    "virtualMachines": 200,
    "virtualNetworks": 1000,
}
_CHOICES = {"status_only": ("full", "power"), "agent_check": ("backup", "protection")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    The settings in force.

    Args:
        durations: how long each kind of operation takes, in seconds.
        page_sizes: how many rows each list answers at a time.
        status_only: what the VM list tells with `statusOnly=true`: the `full` instance view, or the `power` state only.
        agent_check: where a running VM without a working agent fails: in its `backup`, or when `protection` is enabled.
    """

    durations: Mapping[str, float] = field(default_factory=lambda: dict(_DURATIONS))
    page_sizes: Mapping[str, int] = field(default_factory=lambda: dict(_PAGE_SIZES))
    status_only: str = "full"
    agent_check: str = "backup"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Profile:
        """
        Return the profile that *settings* ask for, with the defaults for what they leave out.

        Raises:
            SandboxError: a setting is unknown, or has a value that it cannot have.
        """
        known = (*_CHOICES, "durations", "page_sizes")
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise SandboxError(f"profile: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        for name, choices in _CHOICES.items():
            if settings.get(name, choices[0]) not in choices:
                raise SandboxError(f"profile.{name}: {settings[name]!r} is none of {', '.join(choices)}")
        return cls(
            durations=_merged("durations", _DURATIONS, settings.get("durations", {}), (int, float), 0),
            page_sizes=_merged("page_sizes", _PAGE_SIZES, settings.get("page_sizes", {}), int, 1),
            **{name: settings[name] for name in _CHOICES if name in settings},
        )


def _merged(name: str, defaults: Mapping[str, Any], own: Any, kind: Any, least: int) -> dict[str, Any]:
    if not isinstance(own, Mapping):
        raise SandboxError(f"profile.{name}: must be an object of names and numbers")
    for key, value in own.items():
        if key not in defaults:
            raise SandboxError(f"profile.{name}: unknown name {key!r}; known are {', '.join(sorted(defaults))}")
        if not isinstance(value, kind) or isinstance(value, bool) or value < least:
            raise SandboxError(f"profile.{name}.{key}: {value!r} must be a number of at least {least}")
    return {**defaults, **own}
