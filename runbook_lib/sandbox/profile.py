"""
The settings of a sandbox that the estate or the caller may choose. Imports the standard library and `bodies` only.

What is not known of the service is a setting here, so that both answers can be tried.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from runbook_lib.sandbox.bodies import SandboxError

__all__ = ["Profile"]

# Seconds; the medians of recorded traffic where there is one.
_DURATIONS: dict[str, float] = {
    "backup.snapshot": 456,
    "backup.transfer": 6513,
    "backup.trigger": 2,
    "container.refresh": 13,
    "extension.delete": 17,
    "extension.put": 38,
    "extension.unanswered": 1510,
    "group.delete": 15,
    "item.configure": 34,
    "item.delete": 114,
    "item.job": 6,
    "item.stop": 12,
    "item.undelete": 12,
    "job.cancel": 1,
    "nic.effectiveNetworkSecurityGroups": 10,
    "nic.effectiveRouteTable": 10,
    "policy.update": 10,
    "provider.register": 10,
    "rule.delete": 3,
    "rule.put": 3,
    "vault.create": 61,
    "vault.delete": 62,
    "vault.undelete": 30,
    "vault.update": 62,
    "vm.deallocate": 91,
    "vm.powerOff": 14,
    "vm.restart": 20,
    "vm.runCommand": 44,
    "vm.start": 20,
}
# Rows in one answer, by the last part of the list's path; 200, 256 and the 200 of backup are known, the rest assumed.
_PAGE_SIZES: dict[str, int] = {
    "applicationSecurityGroups": 1000,
    "availabilitySets": 1000,
    "backupJobs": 200,
    "backupPolicies": 200,
    "backupProtectableItems": 200,
    "backupProtectedItems": 200,
    "backupProtectionContainers": 200,
    "deletedVaults": 256,
    "disks": 1000,
    "loadBalancers": 1000,
    "natGateways": 1000,
    "networkInterfaces": 1000,
    "networkSecurityGroups": 1000,
    "privateEndpoints": 1000,
    "publicIPAddresses": 1000,
    "recoveryPoints": 200,
    "resourceGroups": 1000,
    "resources": 1000,
    "routeTables": 1000,
    "subscriptions": 1000,
    "vaults": 256,
    "virtualMachines": 200,
    "virtualNetworks": 1000,
}
# What Azure Backup documents (FAQ, January 2026): vaults in a region of a subscription, VMs in a vault and with a
# policy, policies in a vault; in 24 hours, policies made or changed in a vault and backups of an item on demand.
_LIMITS: dict[str, int] = {
    "vaults": 500,
    "vault_vms": 1000,
    "policy_vms": 1000,
    "vault_policies": 200,
    "policy_changes": 50,
    "item_backups": 9,
}
# The shortest and the longest of what the medians above were recorded among.
_RECORDED: dict[str, tuple[float, float]] = {
    "backup.trigger": (1, 2),
    "container.refresh": (11, 16),
    "item.configure": (6, 58),
    "item.delete": (14, 118),
    "vault.create": (0, 122),
    "vault.update": (1, 530),
}
_CHOICES = {
    "status_only": ("full", "power"),
    "agent_check": ("backup", "protection"),
    "timing": ("recorded", "median"),
    "throttle": ("none", "arm2024", "backup-strict"),
}
_OTHERS = ("caller", "clock_scale", "durations", "latency", "limits", "page_sizes", "seed")
_MERGED = ("durations", "limits", "page_sizes")
_FASTEST = 1000
_NINETY_NINTH = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    The settings in force.

    Args:
        durations: how long each kind of operation takes, in seconds.
        page_sizes: how many rows each list answers at a time.
        limits: how many of something the service takes.
        status_only: what the VM list tells with `statusOnly=true`: the `full` instance view, or the `power` state only.
        agent_check: where a running VM without a working agent fails: in its `backup`, or when `protection` is enabled.
        timing: whether an operation takes a time between the `recorded` ones, drawn with the seed, or the `median`.
            Durations that the settings give are taken as they are.
        throttle: which limits hold: `none`; those that Azure Resource Manager, Compute and Network document
            (`arm2024`); the same with the read budgets that Azure Backup was recorded with (`backup-strict`).
        latency: `median` and `p99` of the seconds that an answer takes, lognormal; empty for none.
        clock_scale: how many of the tenant's seconds pass in one real second, waiting included. None: clients of this
            process that wait turn the clock instead of waiting.
        seed: of what is drawn: the same seed draws the same.
        caller: object id of the caller whose token names none.
    """

    durations: Mapping[str, float] = field(default_factory=lambda: dict(_DURATIONS))
    page_sizes: Mapping[str, int] = field(default_factory=lambda: dict(_PAGE_SIZES))
    limits: Mapping[str, int] = field(default_factory=lambda: dict(_LIMITS))
    own_durations: frozenset[str] = frozenset()
    status_only: str = "full"
    agent_check: str = "backup"
    timing: str = "recorded"
    throttle: str = "none"
    latency: Mapping[str, float] = field(default_factory=dict)
    clock_scale: float | None = None
    seed: int = 0
    caller: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Profile:
        """
        Return the profile that *settings* ask for, with the defaults for what they leave out.

        Raises:
            SandboxError: a setting is unknown, or has a value that it cannot have.
        """
        known = (*_CHOICES, *_OTHERS)
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise SandboxError("setting", place="profile", names=", ".join(unknown), known=", ".join(sorted(known)))
        for name, choices in _CHOICES.items():
            if settings.get(name, choices[0]) not in choices:
                raise SandboxError(
                    "choice", place=f"profile.{name}", value=repr(settings[name]), choices=", ".join(choices)
                )
        _check_others(settings)
        own = settings.get("durations", {})
        return cls(
            durations=_merged("durations", _DURATIONS, own, (int, float), 0),
            page_sizes=_merged("page_sizes", _PAGE_SIZES, settings.get("page_sizes", {}), int, 1),
            limits=_merged("limits", _LIMITS, settings.get("limits", {}), int, 1),
            own_durations=frozenset(own),
            **{name: value for name, value in settings.items() if name not in _MERGED},
        )

    def duration(self, kind: str, target: str) -> float:
        """
        Return how many seconds an operation of *kind* on the resource whose key is *target* takes.
        """
        median = self.durations[kind]
        if self.timing == "median" or kind in self.own_durations or kind not in _RECORDED:
            return median
        low, high = _RECORDED[kind]
        # One half of the recorded operations took less than the median.
        place = 2 * self._drawn(kind, target)
        return low + (median - low) * place if place < 1 else median + (high - median) * (place - 1)

    def delay(self, request: int) -> float:
        """
        Return how many seconds the answer to the request of that number takes.
        """
        if not self.latency:
            return 0.0
        median = self.latency["median"]
        spread = math.log(self.latency["p99"] / median) / _NINETY_NINTH
        return random.Random(f"{self.seed}:{request}").lognormvariate(math.log(median), spread)

    def _drawn(self, *of: str) -> float:
        digest = hashlib.sha256(":".join([str(self.seed), *of]).encode()).digest()
        return int.from_bytes(digest[:8]) / (1 << 64)


def _check_others(settings: Mapping[str, Any]) -> None:
    seed, caller, scale = (settings.get(name) for name in ("seed", "caller", "clock_scale"))
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise SandboxError("whole", place="profile.seed", value=repr(seed))
    if caller is not None and not isinstance(caller, str):
        raise SandboxError("caller", place="profile.caller", value=repr(caller))
    if scale is not None and not _is_number(scale, 1, _FASTEST):
        raise SandboxError("clock", place="profile.clock_scale", value=repr(scale), most=_FASTEST)
    latency = settings.get("latency", {})
    if latency == {}:
        return
    if not isinstance(latency, Mapping) or set(latency) != {"median", "p99"}:
        raise SandboxError("latency", place="profile.latency", value=repr(latency))
    median, p99 = latency["median"], latency["p99"]
    if not _is_number(median, 0.001, 60) or not _is_number(p99, median, 600):
        raise SandboxError("latency_order", place="profile.latency", value=repr(latency))


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _merged(name: str, defaults: Mapping[str, Any], own: Any, kind: Any, least: int) -> dict[str, Any]:
    if not isinstance(own, Mapping):
        raise SandboxError("numbers", place=f"profile.{name}")
    for key, value in own.items():
        if key not in defaults:
            known = ", ".join(sorted(defaults))
            raise SandboxError("unknown_name", place=f"profile.{name}", value=repr(key), known=known)
        if not isinstance(value, kind) or isinstance(value, bool) or not least <= value < math.inf:
            raise SandboxError("least", place=f"profile.{name}.{key}", value=repr(value), least=least)
    return {**defaults, **own}
