"""
What changed between two runs: verdicts, protection, policies, settings of vaults, NSG rules. Imports `plan` and
`records`.

What could not be read is unknown: it is never told as missing, nor as it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from runbook_lib.records import Inventory, Policy, Resource, SecurityGroup, Vault, encode, key
from runbook_lib.selection import VMS

__all__ = ["ABSENT", "UNKNOWN", "Audit", "Changed", "compare_audits"]

# How a side reads that has nothing, and one of which nobody knows.
ABSENT = "absent"
UNKNOWN = "unknown"
# Parameters that decide which VMs a run is about.
SELECTING = ("target", "subscription_ids", "vm_selector", "location", "vault_subscription")
SETTINGS = ("redundancy", "redundancy_locked", "cross_region_restore", "soft_delete", "immutability")
PROTECTION = ("policy_id", "protection", "protection_state", "protection_status", "soft_deleted")
VAULTS = "Microsoft.RecoveryServices/vaults"
POLICIES = "Microsoft.RecoveryServices/vaults/backupPolicies"
ITEMS = "Microsoft.RecoveryServices/vaults/backupProtectedItems"
NSGS = "Microsoft.Network/networkSecurityGroups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """
    One run, as far as it is compared.

    Attributes:
        asked: content of `parameters.json`.
        outcome: content of `outcome.json`.
        inventory: what was read last.
    """

    asked: Mapping[str, Any]
    outcome: Mapping[str, Any]
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
    marks = first.outcome["target"], second.outcome["target"]
    if marks[0] != marks[1]:
        yield Changed(what="run", resource="", field="mark", before=marks[0], after=marks[1])
    for name in SELECTING:
        before, after = first.asked.get(name), second.asked.get(name)
        if before != after:
            yield Changed(what="run", resource="", field=name, before=before, after=after)


def _verdicts(first: Audit, second: Audit) -> Iterator[Changed]:
    before, after = (_by_vm(each) for each in (first, second))
    for vm in sorted({*before, *after}):
        sides = before.get(vm, (ABSENT, "")), after.get(vm, (ABSENT, ""))
        (then, old), (now, new) = sides
        if then == now:
            continue
        both = ABSENT not in (then, now)
        yield Changed(what="verdict" if both else "vm", resource=new or old, field="", before=then, after=now)


def _by_vm(audit: Audit) -> dict[str, tuple[str, str]]:
    """
    Return each VM's verdict and id, by key; of VMs that could not be read it is unknown.
    """
    found = {key(each["vm"]): (str(each["verdict"]), str(each["vm"])) for each in audit.outcome["verdicts"]}
    unread = {key(each["vm"]): (UNKNOWN, str(each["vm"])) for each in audit.outcome["missing"] if each["case"] == "unread"}
    return unread | found


def _protection(first: Inventory, second: Inventory) -> Iterator[Changed]:
    """
    Compare the entries of VMs in vaults, by VM and vault; times of backups change every day and are no difference.
    """
    before, after = _entries(first), _entries(second)
    for place in sorted({*before, *after}):
        vm, vault = place
        old, new = before.get(place), after.get(place)
        then = old if old is not None else _gap(first, vault, ITEMS, dark=True)
        now = new if new is not None else _gap(second, vault, ITEMS, dark=True)
        yield from _fields("protection", vm, then, now, vault)


def _entries(inventory: Inventory) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (key(item.source_id), key(item.vault_id)): {name: _plain(getattr(item, name)) for name in PROTECTION}
        for item in inventory.items.values()
    }


def _resources(what: str, first: Inventory, second: Inventory) -> Iterator[Changed]:
    before, after = _material(what, first), _material(what, second)
    for place in sorted({*before, *after}):
        owner = place.rsplit("/securityrules/", 1)[0] if what == "rule" else place
        then = before[place] if place in before else _gap(first, owner, _TYPES[what])
        now = after[place] if place in after else _gap(second, owner, _TYPES[what])
        yield from _fields(what, place, then, now)


_TYPES = {"vault": VAULTS, "policy": POLICIES, "rule": NSGS}


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
    return {name: _plain(value) for name, value in policy.terms.items()}


def _rules(group: SecurityGroup) -> Iterator[tuple[str, dict[str, Any]]]:
    for rule in group.rules:
        yield rule.name, {each.name: _plain(getattr(rule, each.name)) for each in fields(rule) if each.name != "name"}


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
        then, now = (each if isinstance(each, str) else within or "there" for each in (before, after))
        yield Changed(what=what, resource=resource, field="", before=then, after=now)
        return
    for name in sorted({*before, *after}):
        then, now = before.get(name, ABSENT), after.get(name, ABSENT)
        if then != now:
            yield Changed(what=what, resource=resource, field=name, before=then, after=now)


def _plain(value: Any) -> Any:
    return encode(value)


_ = VMS
