"""
What changed between two runs: verdicts, protection, policies, settings of vaults, NSG rules. Imports `checks`,
`records` and `selection`.

What could not be read is unknown: it is never told as missing, nor as it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from runbook_lib.checks.kinds import ITEMS, NSGS, VAULTS
from runbook_lib.records import Inventory, Policy, Resource, SecurityGroup, Vault, encode, key
from runbook_lib.selection import VMS

__all__ = ["ABSENT", "PRESENT", "UNKNOWN", "Audit", "Changed", "compare_audits"]

# How a side reads that has nothing, one that has something of which more is not said, and one of which nobody knows.
ABSENT = "absent"
PRESENT = "present"
UNKNOWN = "unknown"
# Parameters that decide which VMs a run is about.
SELECTING = ("target", "subscription_ids", "vm_selector", "location", "vault_subscription")
SETTINGS = ("redundancy", "redundancy_locked", "cross_region_restore", "soft_delete", "immutability")
PROTECTION = ("policy_id", "protection", "protection_state", "protection_status", "soft_deleted")
POLICIES = "Microsoft.RecoveryServices/vaults/backupPolicies"
TYPES = {"vault": VAULTS, "policy": POLICIES, "rule": NSGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """
    One run, as far as it is compared.

    Attributes:
        mark: of the target.
        asked: the parameters by name.
        verdicts: by id of the VM.
        unread: ids of the selected VMs that could not be read.
        inventory: what was read last.
    """

    mark: str
    asked: Mapping[str, Any]
    verdicts: Mapping[str, str]
    unread: tuple[str, ...]
    inventory: Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """
    One thing that is not in the second run as in the first.

    Attributes:
        what: `run`, `vm`, `verdict`, `protection`, `vault`, `policy` or `rule`.
        resource: ARM id; empty for what is asked of the run itself.
        field: of the resource; empty where it is there in one run only.
        before: in the first run; `ABSENT` or `UNKNOWN` where there is no value.
        after: in the second run.
    """

    what: str
    resource: str
    field: str
    before: Any
    after: Any


def compare_audits(first: Audit, second: Audit) -> tuple[Changed, ...]:
    """
    List what changed from the first run to the second, by kind and resource.
    """
    return (
        *_runs(first, second),
        *_verdicts(first, second),
        *_protection(first.inventory, second.inventory),
        *_resources("vault", first.inventory, second.inventory),
        *_resources("policy", first.inventory, second.inventory),
        *_resources("rule", first.inventory, second.inventory),
    )


def _runs(first: Audit, second: Audit) -> Iterator[Changed]:
    if first.mark != second.mark:
        yield Changed(what="run", resource="", field="mark", before=first.mark, after=second.mark)
    for name in SELECTING:
        before, after = first.asked.get(name), second.asked.get(name)
        if before != after:
            yield Changed(what="run", resource="", field=name, before=before, after=after)


def _verdicts(first: Audit, second: Audit) -> Iterator[Changed]:
    before, after = _by_key(first), _by_key(second)
    ids = {key(vm): vm for audit in (first, second) for vm in (*audit.unread, *audit.verdicts)}
    for vm in sorted({*before, *after}):
        then = before.get(vm) or _gap(first.inventory, vm, VMS)
        now = after.get(vm) or _gap(second.inventory, vm, VMS)
        if then != now:
            what = "vm" if ABSENT in (then, now) else "verdict"
            yield Changed(what=what, resource=ids[vm], field="", before=then, after=now)


def _by_key(audit: Audit) -> dict[str, str]:
    return {key(vm): UNKNOWN for vm in audit.unread} | {key(vm): each for vm, each in audit.verdicts.items()}


def _protection(first: Inventory, second: Inventory) -> Iterator[Changed]:
    """
    Compare the entries of VMs in vaults, by VM and vault; times of backups change every day and are no difference.
    """
    before, after = _entries(first), _entries(second)
    ids = {key(each.source_id): each.source_id for one in (first, second) for each in one.items.values()}
    ids |= {vm: each.id for one in (first, second) for vm, each in one.vms.items()}
    for place in sorted({*before, *after}):
        vm, vault = place
        old, new = before.get(place), after.get(place)
        then = old if old is not None else _gap(first, vault, ITEMS, dark=True)
        now = new if new is not None else _gap(second, vault, ITEMS, dark=True)
        yield from _fields("protection", ids[vm], then, now, vault)


def _entries(inventory: Inventory) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (key(item.source_id), key(item.vault_id)): {name: encode(getattr(item, name)) for name in PROTECTION}
        for item in inventory.items.values()
    }


def _resources(what: str, first: Inventory, second: Inventory) -> Iterator[Changed]:
    before, after = _material(what, first), _material(what, second)
    ids = _ids(what, first) | _ids(what, second)
    for place in sorted({*before, *after}):
        owner = place.rsplit("/securityrules/", 1)[0] if what == "rule" else place
        then = before[place] if place in before else _gap(first, owner, TYPES[what])
        now = after[place] if place in after else _gap(second, owner, TYPES[what])
        yield from _fields(what, ids[place], then, now)


def _ids(what: str, inventory: Inventory) -> dict[str, str]:
    """
    Return the ids as they are spelled, by those in lower case.
    """
    if what == "rule":
        rules = (f"{group.id}/securityRules/{rule.name}" for group in inventory.nsgs.values() for rule in group.rules)
        return {key(each): each for each in rules}
    return {place: each.id for place, each in (inventory.vaults if what == "vault" else inventory.policies).items()}


def _material(what: str, inventory: Inventory) -> dict[str, dict[str, Any]]:
    if what == "vault":
        return {place: _settings(each) for place, each in inventory.vaults.items()}
    if what == "policy":
        return {place: _terms(each) for place, each in inventory.policies.items()}
    return {
        f"{place}/securityrules/{name.lower()}": rule
        for place, group in inventory.nsgs.items()
        for name, rule in _rules(group)
    }


def _settings(vault: Vault) -> dict[str, Any]:
    return {name: UNKNOWN if (value := getattr(vault, name)) in ("", None) else value for name in SETTINGS}


def _terms(policy: Policy) -> dict[str, Any]:
    return {name: encode(value) for name, value in policy.terms.items()}


def _rules(group: SecurityGroup) -> Iterator[tuple[str, dict[str, Any]]]:
    for rule in group.rules:
        yield rule.name, {each.name: encode(getattr(rule, each.name)) for each in fields(rule) if each.name != "name"}


def _gap(inventory: Inventory, resource: str, what: str, *, dark: bool = False) -> str:
    """
    Tell whether something that is not in an inventory is absent, or was not read.
    """
    vault: Resource | None = inventory.vaults.get("/".join(resource.split("/")[:9]))
    if isinstance(vault, Vault) and not (vault.items_read if dark else vault.policies_read or what != POLICIES):
        return UNKNOWN
    # A vault that is unread may hold anything.
    kinds: Iterable[str] = (what, VAULTS) if what in (POLICIES, ITEMS) else (what,)
    return UNKNOWN if any(inventory.unread_under(resource, kind) for kind in kinds) else ABSENT


def _fields(
    what: str, resource: str, before: Mapping[str, Any] | str, after: Mapping[str, Any] | str, within: str = ""
) -> Iterator[Changed]:
    if isinstance(before, str) or isinstance(after, str):
        then, now = (each if isinstance(each, str) else within or PRESENT for each in (before, after))
        yield Changed(what=what, resource=resource, field="", before=then, after=now)
        return
    for name in sorted({*before, *after}):
        then, now = before.get(name, ABSENT), after.get(name, ABSENT)
        if then != now:
            yield Changed(what=what, resource=resource, field=name, before=then, after=now)
