"""
How each kind of change alters an inventory: pure functions, one per kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from runbook_lib.policy import BUILT_IN, built_in, terms
from runbook_lib.records import (
    Change,
    Inventory,
    Policy,
    ProtectedItem,
    ResourceGroup,
    SecurityRule,
    Vault,
    key,
    material,
)

__all__ = ["EFFECTS", "ENABLING", "is_done", "project"]

T = TypeVar("T")
# Kinds of change that switch the protection of a VM on.
ENABLING = frozenset({"protect", "resume", "protect-again"})


def project(inventory: Inventory, changes: Iterable[Change]) -> Inventory:
    """
    Return the inventory as it will be once *changes* are made.
    """
    return reduce(lambda world, change: EFFECTS[change.kind](world, change), changes, inventory)


def is_done(inventory: Inventory, change: Change) -> bool:
    """
    Tell whether the world already is as *change* would make it, so that nothing needs to be sent.
    """
    if change.kind == "discover":
        # Discovery leaves no trace of its own: it has served its purpose once the VMs are in the vault.
        return all(
            any(item.protection == "on" and not item.soft_deleted for item in inventory.items_of(vm))
            for vm in change.facts["vm_ids"]
        )
    now = inventory.find(change.target)
    if now is None:
        return False
    then = project(inventory, [change]).find(change.target)
    return then is not None and material(now) == material(then)


def _with(mapping: Mapping[str, T], arm_id: str, record: T) -> dict[str, T]:
    return {**mapping, key(arm_id): record}


def _register_provider(world: Inventory, change: Change) -> Inventory:
    registered = replace(world.providers[key(change.target)], registration_state="Registered")
    return replace(world, providers=_with(world.providers, change.target, registered))


def _create_resource_group(world: Inventory, change: Change) -> Inventory:
    if key(change.target) in world.groups:
        return world
    group = ResourceGroup(id=change.target, name=_name(change), location=change.body["location"])
    return replace(world, groups=_with(world.groups, change.target, group))


def _create_vault(world: Inventory, change: Change) -> Inventory:
    there = world.vaults.get(key(change.target))
    if there and there.location == change.body["location"]:
        # Made by an earlier try, perhaps configured since: creating it again would take that back.
        return world
    vault = Vault(
        id=change.target,
        name=_name(change),
        location=change.body["location"],
        redundancy="GeoRedundant",
        redundancy_locked=False,
    )
    policies: dict[str, Policy] = {**world.policies}
    for name in BUILT_IN:
        made = built_in(name, change.target)
        policies[key(made.id)] = made
    return replace(world, vaults=_with(world.vaults, change.target, vault), policies=policies)


def _set_redundancy(world: Inventory, change: Change) -> Inventory:
    asked = change.body["properties"]["redundancySettings"]
    vault = replace(
        world.vaults[key(change.target)],
        redundancy=asked["standardTierStorageRedundancy"],
        cross_region_restore=asked["crossRegionRestore"] == "Enabled",
    )
    return replace(world, vaults=_with(world.vaults, change.target, vault))


def _create_policy(world: Inventory, change: Change) -> Inventory:
    given = change.body["properties"]
    made = Policy(
        id=change.target,
        name=_name(change),
        vault_id=change.target.rsplit("/backupPolicies/", 1)[0],
        terms=terms(given),
        properties=given,
    )
    return replace(world, policies=_with(world.policies, change.target, made))


def _discover(world: Inventory, _: Change) -> Inventory:
    return world


def _protect(world: Inventory, change: Change) -> Inventory:
    # The id of an item that was there already has the service's casing.
    vault_id = change.target[: change.target.lower().index("/backupfabrics/")]
    asked = change.body["properties"]
    item = world.items.get(key(change.target)) or ProtectedItem(
        id=change.target, name=_name(change), vault_id=vault_id, source_id=asked["sourceResourceId"]
    )
    item = replace(
        item,
        policy_id=asked["policyId"],
        protection="on",
        protection_state="IRPending" if item.last_backup_time is None else "Protected",
    )
    vaults = world.vaults
    if vault := vaults.get(key(vault_id)):
        vaults = _with(vaults, vault_id, replace(vault, redundancy_locked=True))
    return replace(world, items=_with(world.items, change.target, item), vaults={**vaults})


def _undelete(world: Inventory, change: Change) -> Inventory:
    item = world.items.get(key(change.target))
    if item is None or not item.soft_deleted:
        # Brought back by an earlier try, and perhaps protected since.
        return world
    back = replace(item, soft_deleted=False, policy_id="", protection="stopped", protection_state="ProtectionStopped")
    return replace(world, items=_with(world.items, change.target, back))


def _change_policy(world: Inventory, change: Change) -> Inventory:
    item = world.items.get(key(change.target))
    if item is None:
        return world
    gone = set(change.facts["lost_points"])
    kept = tuple(point for point in item.points or () if point.isoformat() not in gone)
    moved = replace(item, policy_id=change.body["properties"]["policyId"], points=None if item.points is None else kept)
    return replace(world, items=_with(world.items, change.target, moved))


def _add_security_rule(world: Inventory, change: Change) -> Inventory:
    asked = change.body["properties"]
    rule = SecurityRule(
        name=change.facts["rule"],
        direction=asked["direction"],
        access=asked["access"],
        priority=asked["priority"],
        protocol=asked["protocol"],
        sources=(asked["sourceAddressPrefix"],),
        destinations=tuple(asked.get("destinationAddressPrefixes") or [asked["destinationAddressPrefix"]]),
        ports=tuple(asked["destinationPortRanges"]),
        source_ports=(asked["sourcePortRange"],),
    )
    group = world.nsgs[key(change.target)]
    # Sorted, so that the same rules compare equal whatever order the service lists them in.
    rules = {each.name.lower(): each for each in group.rules} | {rule.name.lower(): rule}
    ordered = tuple(sorted(rules.values(), key=lambda each: (each.direction, each.priority)))
    return replace(world, nsgs=_with(world.nsgs, change.target, replace(group, rules=ordered)))


def _name(change: Change) -> str:
    return change.target.rsplit("/", 1)[-1]


EFFECTS: dict[str, Callable[[Inventory, Change], Inventory]] = {
    "register-provider": _register_provider,
    "create-resource-group": _create_resource_group,
    "create-vault": _create_vault,
    "set-redundancy": _set_redundancy,
    "create-policy": _create_policy,
    "discover": _discover,
    "protect": _protect,
    "undelete": _undelete,
    "resume": _protect,
    "protect-again": _protect,
    "change-policy": _change_policy,
    "add-security-rule": _add_security_rule,
    "add-range-rule": _add_security_rule,
    "update-range-rule": _add_security_rule,
}
