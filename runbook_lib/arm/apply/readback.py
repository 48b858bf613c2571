"""
What became of a write: the one resource that it is about, read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runbook_lib.arm import networks, shapes
from runbook_lib.arm.apply.operations import is_broken, is_running
from runbook_lib.arm.reader import API_VERSIONS
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.wire import as_list, as_object, name_of, properties_of
from runbook_lib.plan import is_done
from runbook_lib.records import Change, Inventory, Resource, key

__all__ = ["is_under_way", "items_of", "leaves_trace", "what_became"]

Json = dict[str, Any]


def leaves_trace(change: Change) -> bool:
    """
    Tell whether a change can be read back; discovery cannot.
    """
    return change.kind in _READERS


def is_under_way(world: Inventory, change: Change) -> bool:
    """
    Tell whether a provider is being registered: that may take longer than the run that asked for it.
    """
    provider = world.providers.get(key(change.target))
    return provider is not None and is_running({"registrationState": provider.registration_state})


def what_became(session: Session, world: Inventory, change: Change) -> str:
    """
    Read whether the world is as *change* would make it: `there`, `coming` as long as the service works on it, `broken`
    where making it failed, or `absent`.

    Args:
        world: read before; only what the change writes is read again.

    Raises:
        ArmError: it could not be read.
    """
    if not leaves_trace(change):
        return "absent"
    kind, family, read = _READERS[change.kind]
    try:
        row = session.get(change.target, API_VERSIONS[family])
        if not row.get("id"):
            raise ArmError(200, "MalformedBody", "the answer does not say what it is about")
        own = [row, *_rules_of(row, change)]
        # What it is made of may not be there to be read yet.
        if any(map(is_running, own)):
            return "coming"
        found = read(session, world, change, row)
    except ArmError as error:
        if error.status != 404:
            raise
        return "absent"
    # Nothing else of its kind matters, and a world of one is projected at once.
    alone: dict[str, Any] = {kind: {key(found.id): found} if found else {}}
    if any(map(is_broken, own)):
        return "broken"
    return "there" if is_done(replace(world, **alone), change) else "absent"


def _rules_of(row: Json, change: Change) -> list[Json]:
    """
    List the rule of an NSG that a change writes, where it is there: an NSG may be made while its rule still is not.
    """
    rules = [as_object(each) for each in as_list(properties_of(row).get("securityRules"))]
    return [each for each in rules if name_of(each).lower() == str(change.facts.get("rule")).lower()]


def items_of(session: Session, world: Inventory, vault_id: str) -> dict[str, Inventory]:
    """
    Read all protected VMs of a vault: by key of the item, a world that has no other.

    Raises:
        ArmError: the list could not be read whole.
    """
    wanted = "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"
    rows = session.rows(f"{vault_id}/backupProtectedItems", API_VERSIONS["backup"], **{"$filter": wanted})
    found = {}
    for row in rows:
        try:
            item = shapes.protected_item(row)
        except ValueError:
            # It names no VM, so it is none of those that were sent.
            continue
        if item is not None:
            found[key(item.id)] = replace(world, items={key(item.id): item})
    return found


def _provider(_: Session, __: Inventory, ___: Change, row: Json) -> Resource:
    return shapes.provider(row)


def _group(_: Session, __: Inventory, ___: Change, row: Json) -> Resource:
    return shapes.group(row)


def _vault(session: Session, world: Inventory, change: Change, row: Json) -> Resource:
    storage = session.get(f"{change.target}/backupstorageconfig/vaultstorageconfig", API_VERSIONS["backup"])
    now = shapes.vault(row, items_read=False, policies=None)
    known = replace(world.vaults.get(key(change.target)) or now, failed=now.failed, making=now.making)
    return replace(known, **shapes.vault_settings(row, storage))


def _policy(_: Session, __: Inventory, ___: Change, row: Json) -> Resource | None:
    return shapes.policy(row)


def _item(_: Session, __: Inventory, change: Change, row: Json) -> Resource | None:
    try:
        return shapes.protected_item(row)
    except ValueError as error:
        raise ArmError(200, "MalformedBody", str(error)) from error


def _security_group(_: Session, __: Inventory, ___: Change, row: Json) -> Resource:
    return networks.security_group(row)


_Reader = Callable[[Session, Inventory, Change, Json], Resource | None]
_READERS: dict[str, tuple[str, str, _Reader]] = {
    "register-provider": ("providers", "resources", _provider),
    "create-resource-group": ("groups", "resources", _group),
    "create-vault": ("vaults", "vaults", _vault),
    "set-redundancy": ("vaults", "vaults", _vault),
    "create-policy": ("policies", "backup", _policy),
    "protect": ("items", "backup", _item),
    "undelete": ("items", "backup", _item),
    "resume": ("items", "backup", _item),
    "protect-again": ("items", "backup", _item),
    "change-policy": ("items", "backup", _item),
    "add-security-rule": ("nsgs", "network", _security_group),
    "add-range-rule": ("nsgs", "network", _security_group),
    "update-range-rule": ("nsgs", "network", _security_group),
}
