"""
How each kind of change alters an inventory: pure functions on a draft of it, one per kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from runbook_lib.checks.kinds import NSGS
from runbook_lib.policy import BUILT_IN, built_in, terms
from runbook_lib.records import (
    Change,
    Inventory,
    Policy,
    ProtectedItem,
    Resource,
    ResourceGroup,
    SecurityGroup,
    SecurityRule,
    Vault,
    key,
    material,
)
from runbook_lib.selection import VMS

__all__ = ["EFFECTS", "ENABLING", "Draft", "is_done", "is_gone", "project"]

# Kinds of change that switch the protection of a VM on.
ENABLING = frozenset({"protect", "resume", "protect-again"})


class Draft:
    """
    An inventory on the way to another one: what changes make is kept beside it, so that a change costs the same however
    large the estate is.
    """

    def __init__(self, base: Inventory) -> None:
        self._base = base
        self._made: dict[str, dict[str, Resource]] = {}

    def get(self, kind: str, arm_id: str) -> Any:
        """
        Return a record of the mapping *kind* of the inventory, or None.
        """
        wanted = key(arm_id)
        made = self._made.get(kind, {}).get(wanted)
        held: Mapping[str, Resource] = getattr(self._base, kind)
        return made or held.get(wanted)

    def put(self, kind: str, record: Resource) -> None:
        """
        Add a record to the mapping *kind*, or put it in the place of the one that has its id.
        """
        self._made.setdefault(kind, {})[key(record.id)] = record

    def find(self, arm_id: str) -> Resource | None:
        """
        Return the record with this id, of whatever kind, or None.
        """
        wanted = key(arm_id)
        return next((made[wanted] for made in self._made.values() if wanted in made), None) or self._base.find(wanted)

    def make(self, change: Change) -> None:
        """
        Make *change*.
        """
        EFFECTS[change.kind](self, change)

    def inventory(self) -> Inventory:
        """
        Return the inventory that it has become.
        """
        kinds: dict[str, Any] = {kind: {**getattr(self._base, kind), **made} for kind, made in self._made.items()}
        return replace(self._base, **kinds)


def project(inventory: Inventory, changes: Iterable[Change]) -> Inventory:
    """
    Return the inventory as it will be once *changes* are made.
    """
    draft = Draft(inventory)
    for change in changes:
        draft.make(change)
    return draft.inventory()


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
    if now is None or _is_unmade(now, change):
        return False
    draft = Draft(inventory)
    draft.make(change)
    then = draft.find(change.target)
    return then is not None and material(now) == material(then)


def is_gone(inventory: Inventory, change: Change) -> bool:
    """
    Tell whether the VMs or the NSG that *change* is about are no longer there, so that it can never be made.
    """
    body = change.body.get("properties", {})
    vms = change.facts["vm_ids"] if change.kind == "discover" else [body.get("sourceResourceId")]
    if any(vms):
        return not any(key(vm) in inventory.vms or inventory.unread_under(vm, VMS) for vm in vms)
    target = change.target
    is_rule = change.kind in ("add-security-rule", "add-range-rule", "update-range-rule")
    return is_rule and key(target) not in inventory.nsgs and not inventory.unread_under(target, NSGS)


def _is_unmade(now: Resource, change: Change) -> bool:
    """
    Tell whether the service says that it has not made, or could not make, what *change* is to make.
    """
    if isinstance(now, SecurityGroup):
        return any(rule.unmade and rule.name.lower() == change.facts["rule"].lower() for rule in now.rules)
    return isinstance(now, Vault) and now.failed


def _register_provider(world: Draft, change: Change) -> None:
    world.put("providers", replace(world.get("providers", change.target), registration_state="Registered"))


def _create_resource_group(world: Draft, change: Change) -> None:
    if world.get("groups", change.target) is None:
        world.put("groups", ResourceGroup(id=change.target, name=_name(change), location=change.body["location"]))


def _create_vault(world: Draft, change: Change) -> None:
    there = world.get("vaults", change.target)
    if there and there.location == change.body["location"]:
        # Made by an earlier try, perhaps configured since: creating it again would take that back.
        world.put("vaults", replace(there, failed=False, making=False))
        return
    vault = Vault(
        id=change.target,
        name=_name(change),
        location=change.body["location"],
        redundancy="GeoRedundant",
        redundancy_locked=False,
    )
    world.put("vaults", vault)
    for name in BUILT_IN:
        world.put("policies", built_in(name, change.target))


def _set_redundancy(world: Draft, change: Change) -> None:
    asked = change.body["properties"]["redundancySettings"]
    vault = replace(
        world.get("vaults", change.target),
        redundancy=asked["standardTierStorageRedundancy"],
        cross_region_restore=asked["crossRegionRestore"] == "Enabled",
    )
    world.put("vaults", vault)


def _create_policy(world: Draft, change: Change) -> None:
    given = change.body["properties"]
    made = Policy(
        id=change.target,
        name=_name(change),
        vault_id=change.target.rsplit("/backupPolicies/", 1)[0],
        terms=terms(given),
        properties=given,
    )
    world.put("policies", made)


def _discover(_: Draft, __: Change) -> None:
    return


def _protect(world: Draft, change: Change) -> None:
    # The id of an item that was there already has the service's casing.
    vault_id = change.target[: change.target.lower().index("/backupfabrics/")]
    asked = change.body["properties"]
    item = world.get("items", change.target) or ProtectedItem(
        id=change.target, name=_name(change), vault_id=vault_id, source_id=asked["sourceResourceId"]
    )
    item = replace(
        item,
        policy_id=asked["policyId"],
        protection="on",
        protection_state="IRPending" if item.last_backup_time is None else "Protected",
    )
    world.put("items", item)
    if vault := world.get("vaults", vault_id):
        world.put("vaults", replace(vault, redundancy_locked=True))


def _undelete(world: Draft, change: Change) -> None:
    item = world.get("items", change.target)
    # Else it was brought back by an earlier try, and perhaps protected since.
    if item is not None and item.soft_deleted:
        stopped = {"policy_id": "", "protection": "stopped", "protection_state": "ProtectionStopped"}
        world.put("items", replace(item, soft_deleted=False, **stopped))


def _change_policy(world: Draft, change: Change) -> None:
    item = world.get("items", change.target)
    if item is None:
        return
    gone = set(change.facts["lost_points"])
    kept = tuple(point for point in item.points or () if point.isoformat() not in gone)
    points = None if item.points is None else kept
    world.put("items", replace(item, policy_id=change.body["properties"]["policyId"], points=points))


def _add_security_rule(world: Draft, change: Change) -> None:
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
    group = world.get("nsgs", change.target)
    # Sorted, so that the same rules compare equal whatever order the service lists them in.
    rules = {each.name.lower(): each for each in group.rules} | {rule.name.lower(): rule}
    ordered = tuple(sorted(rules.values(), key=lambda each: (each.direction, each.priority)))
    world.put("nsgs", replace(group, rules=ordered))


def _name(change: Change) -> str:
    return change.target.rsplit("/", 1)[-1]


EFFECTS: dict[str, Callable[[Draft, Change], None]] = {
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
