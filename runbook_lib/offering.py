"""
What there is to choose from in an estate, for the parameters that name something in it. Pure: imports `parameters`,
`records` and `text`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tzlocal.windows_tz import win_tz

from runbook_lib.parameters import WEEKDAYS, Parameters
from runbook_lib.records import Inventory, VirtualMachine
from runbook_lib.text import say

__all__ = ["Offer", "offers"]

# A list that is longer is not read; what is not in it can be typed.
_MOST_TAGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """
    The values that make sense for a parameter here, best first.

    Attributes:
        options: what a person reads, and the value.
        free: whether another value may be typed.
    """

    options: tuple[tuple[str, str], ...]
    free: bool = False


def offers(inventory: Inventory, chosen: Sequence[VirtualMachine], asked: Parameters) -> dict[str, Offer]:
    """
    Return what is on offer, by parameter: what exists first.
    """
    regions = {vm.location for vm in chosen}
    vaults = [vault for vault in inventory.vaults.values() if vault.location in regions]
    homes = {vault.id.lower() for vault in vaults}
    policies = {policy.name for policy in inventory.policies.values() if policy.vault_id.lower() in homes}
    groups = {group.name for group in inventory.groups.values()}
    defaults = Parameters()

    def named(existing: Iterable[str], default: str) -> Offer:
        return Offer(options=_same([*sorted(set(existing) - {default}, key=str.lower), default]), free=True)

    made: dict[str, Callable[[], Offer]] = {
        "vault_name": lambda: named((vault.name for vault in vaults), defaults.vault_name),
        "resource_group": lambda: named(groups, defaults.resource_group),
        "policy_name": lambda: named(policies, defaults.policy_name),
        "enhanced_policy_name": lambda: Offer(options=_same(sorted(policies, key=str.lower)), free=True),
        "vm_selector": lambda: Offer(options=_same(_selectors(inventory)), free=True),
        "location": lambda: _regions(inventory, asked.language),
        "subscription_ids": lambda: Offer(options=_subscriptions(inventory)),
        "vault_subscription": lambda: Offer(
            options=((say("say.same_subscription", asked.language), "same"), *_subscriptions(inventory))
        ),
        "time_zone": lambda: Offer(options=_same(sorted(win_tz))),
        "backup_time": lambda: Offer(
            options=_same(f"{hour:02}:{minute}" for hour in range(24) for minute in ("00", "30"))
        ),
        "weekly_days": lambda: Offer(options=tuple((say(f"weekday.{day}", asked.language), day) for day in WEEKDAYS)),
    }
    return {name: make() for name, make in made.items()}


def _same(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


def _selectors(inventory: Inventory) -> list[str]:
    tags = {f"tag:{name}={value}" for vm in inventory.vms.values() for name, value in vm.tags.items()}
    groups = {f"group:{vm.resource_group.lower()}" for vm in inventory.vms.values()}
    return ["all", *sorted(groups)[:_MOST_TAGS], *sorted(tags)[:_MOST_TAGS]]


def _regions(inventory: Inventory, language: str) -> Offer:
    counts: dict[str, int] = {}
    for vm in inventory.vms.values():
        counts[vm.location] = counts.get(vm.location, 0) + 1
    there = tuple(
        (say("say.region_of", language, region=region, count=count), region) for region, count in sorted(counts.items())
    )
    return Offer(options=((say("say.all_regions", language), ""), *there))


def _subscriptions(inventory: Inventory) -> tuple[tuple[str, str], ...]:
    guids = {each.id.rsplit("/", 1)[-1]: each.name for each in inventory.subscriptions.values()}
    return tuple((f"{name} ({guid})", guid) for guid, name in sorted(guids.items(), key=lambda each: each[1].lower()))
