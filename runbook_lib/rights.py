"""
The caller's rights against what a plan needs: pure. Imports `records`.

What each change needs is Azure's own list of actions for the calls that `arm.apply` makes (Azure Backup's RBAC page and
the operations' paths). What could not be read is unknown, never granted and never missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from runbook_lib.records import Change, Plan, key, resource_group_of, subscription_of

__all__ = [
    "MOST",
    "NEEDS",
    "Right",
    "allowed",
    "custom_role",
    "groups_of",
    "needed",
    "resources_of",
    "roles_for",
    "subscriptions_of",
]

Permissions = Sequence[Mapping[str, Any]]
# How many resources are asked about one by one, where their group does not grant what is needed: each costs a call.
MOST = 20

_VAULTS = "Microsoft.RecoveryServices/vaults"
_ITEMS = f"{_VAULTS}/backupFabrics/protectionContainers/protectedItems"
_RULES = (
    "Microsoft.Network/networkSecurityGroups/securityRules/write",
    "Microsoft.Network/locations/operations/read",
)
_PROTECT = (f"{_ITEMS}/write", f"{_ITEMS}/operationsStatus/read", f"{_ITEMS}/read")
# By kind of change: the actions at the scope that is written; and those at another scope, which the change names.
NEEDS: dict[str, tuple[str, ...]] = {
    "register-provider": ("Microsoft.RecoveryServices/register/action",),
    "create-resource-group": ("Microsoft.Resources/subscriptions/resourceGroups/write",),
    "create-vault": (f"{_VAULTS}/write", f"{_VAULTS}/operationStatus/read"),
    "set-redundancy": (f"{_VAULTS}/write", f"{_VAULTS}/operationStatus/read"),
    "create-policy": (f"{_VAULTS}/backupPolicies/write",),
    "discover": (
        f"{_VAULTS}/backupFabrics/refreshContainers/action",
        f"{_VAULTS}/backupFabrics/operationResults/read",
        f"{_VAULTS}/backupFabrics/operationsStatus/read",
    ),
    "protect": _PROTECT,
    "undelete": _PROTECT,
    "resume": _PROTECT,
    "protect-again": _PROTECT,
    "change-policy": _PROTECT,
    "add-security-rule": _RULES,
    "add-range-rule": _RULES,
    "update-range-rule": _RULES,
}
# Enabling protection writes to the VM as well: the service's own rule (Azure Backup, RBAC page).
VM_NEEDS = ("Microsoft.Compute/virtualMachines/write",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """
    One action that a step of the plan needs at a scope.

    Attributes:
        scope: a subscription, a resource group, or a resource where its group does not grant the action.
        granted: None when the permissions there are not known.
    """

    step: str
    action: str
    scope: str
    granted: bool | None


def subscriptions_of(plan: Plan) -> tuple[str, ...]:
    """
    List the subscriptions in which the plan needs rights, each once: what is granted there holds in all their groups.
    """
    return tuple(dict.fromkeys(_above(scope) for _, _, scope, _ in _needs(plan)))


def groups_of(plan: Plan, permissions: Mapping[str, Permissions]) -> tuple[str, ...]:
    """
    List the resource groups that may have a role of their own: those whose subscription does not grant all that is
    needed there.
    """
    return tuple(
        dict.fromkeys(
            scope
            for _, action, scope, _ in _needs(plan)
            if scope != _above(scope) and not _granted(permissions, scope, action)
        )
    )


def resources_of(plan: Plan, permissions: Mapping[str, Permissions]) -> tuple[str, ...]:
    """
    List the resources that may have a role of their own: those whose group does not grant all that is needed there.
    """
    return tuple(
        dict.fromkeys(
            resource
            for _, action, scope, resource in _needs(plan)
            if resource and not _granted(permissions, scope, action)
        )
    )


def needed(plan: Plan, permissions: Mapping[str, Permissions]) -> tuple[Right, ...]:
    """
    Hold what the plan needs against what the caller has: at subscriptions, their groups, and the resources in these.

    Args:
        permissions: by key of the scope, as ARM answers them; without those that could not be read.
    """
    rights: dict[Right, None] = {}
    # Many VMs need the same in the same group.
    held = cache(partial(_granted, permissions))
    for step, action, scope, resource in _needs(plan):
        granted = held(scope, action)
        where = scope
        if not granted and resource:
            granted = held(resource, action)
            # Of what nobody was asked about one by one the group's row says that it is not known.
            where = scope if granted is None else resource
        rights[Right(step=step, action=action, scope=where, granted=granted)] = None
    return tuple(rights)


def _granted(permissions: Mapping[str, Permissions], scope: str, action: str) -> bool | None:
    # Roles are inherited (Azure RBAC, scope).
    above, own = permissions.get(key(_above(scope)), ()), permissions.get(key(scope))
    if any(allowed(each, action) for each in above):
        return True
    return None if own is None else any(allowed(each, action) for each in own)


def _above(scope: str) -> str:
    return f"/subscriptions/{subscription_of(scope)}"


def allowed(permission: Mapping[str, Any], action: str) -> bool:
    """
    Tell whether a permission allows *action*: `*` stands for anything, case does not count, `notActions` take away.
    """
    return _matches(permission.get("actions"), action) and not _matches(permission.get("notActions"), action)


def roles_for(actions: Iterable[str], roles: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """
    Name the built-in roles that allow all *actions*, the one with the fewest patterns first and those with `*` last.

    Args:
        roles: role definitions as ARM answers them.
    """
    wanted = tuple(actions)
    found = []
    for role in roles:
        properties = role.get("properties") or {}
        own = properties.get("permissions") or []
        if wanted and all(any(allowed(each, action) for each in own) for action in wanted):
            patterns = [pattern for each in own for pattern in each.get("actions") or []]
            found.append(("*" in patterns, len(patterns), str(properties.get("roleName") or "")))
    return tuple(name for _, _, name in sorted(found))


def custom_role(rights: Iterable[Right], name: str, description: str) -> dict[str, Any]:
    """
    Return the smallest custom role that has the missing actions, in the form that `az role definition create` takes.
    """
    missing = [right for right in rights if right.granted is False]
    return {
        "Name": name,
        "IsCustom": True,
        "Description": description,
        "Actions": sorted({right.action for right in missing}),
        "NotActions": [],
        "AssignableScopes": sorted({f"/subscriptions/{subscription_of(right.scope)}" for right in missing}),
    }


def _needs(plan: Plan) -> Iterable[tuple[str, str, str, str]]:
    """
    List step, action, scope, and the resource in that scope that a role may be assigned at; empty where there is none,
    or it is still to be made.
    """
    created = {
        key(change.target) for change in plan.changes if change.kind in ("create-resource-group", "create-vault")
    }
    for change in plan.changes:
        wanted = [(change.target, NEEDS[change.kind])]
        if NEEDS[change.kind] is _PROTECT:
            wanted.append((_source(change), VM_NEEDS))
        for arm_id, actions in wanted:
            scope, resource = _scope(arm_id, created), _resource(arm_id, created)
            yield from ((change.step, action, scope, resource) for action in actions)


def _resource(arm_id: str, created: set[str]) -> str:
    # What lies in a vault has no roles of its own.
    resource = "/".join(arm_id.split("/")[:9])
    return resource if resource_group_of(arm_id) and "/providers/" in resource and key(resource) not in created else ""


def _source(change: Change) -> str:
    return str(change.body["properties"]["sourceResourceId"])


def _scope(arm_id: str, created: set[str]) -> str:
    """
    Return the group of a resource; the subscription where the group is still to be made, or where there is none.
    """
    subscription, group = f"/subscriptions/{subscription_of(arm_id)}", resource_group_of(arm_id)
    scope = f"{subscription}/resourceGroups/{group}"
    is_group = len(arm_id.strip("/").split("/")) == 4
    return subscription if not group or is_group or key(scope) in created else scope


def _matches(patterns: Any, action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns or []
    )
