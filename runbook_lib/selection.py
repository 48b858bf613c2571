"""
Which VMs a run is about. Pure: imports `errors`, `naming`, `parameters` and `records`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.naming import location_name
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, VirtualMachine, key

__all__ = ["VMS", "accepted_risk", "select"]

VMS = "Microsoft.Compute/virtualMachines"


def select(inventory: Inventory, asked: Parameters) -> tuple[VirtualMachine, ...]:
    """
    Return the VMs that `vm_selector` and `location` name, ordered by id.

    A selection that was good when the run began stays so: what has gone missing since is told of, and refuses nothing.

    Raises:
        InvalidParameters: the region does not exist, nothing is selected, or a listed id or a risk's VM does not exist:
            a typing error that must not pass for an empty estate.
        RunbookError: nothing is selected because the VMs of a subscription could not be read.
    """
    return inventory.derive(asked, "selected", lambda: _select(inventory, asked))


def _select(inventory: Inventory, asked: Parameters) -> tuple[VirtualMachine, ...]:
    location = location_name(asked.location)
    offered = {each for provider in inventory.providers.values() for each in provider.vault_locations}
    if location and offered and location not in offered:
        raise InvalidParameters("location", name="location", value=asked.location, offered=", ".join(sorted(offered)))
    subscriptions = {each.lower() for each in asked.subscription_ids}
    listed = frozenset(map(key, _listed(asked.vm_selector)))
    chosen = tuple(
        vm
        for _, vm in sorted(inventory.vms.items())
        if (key(vm.id) in listed if listed else _matches(vm, asked.vm_selector))
        and location in ("", vm.location)
        and (not subscriptions or vm.subscription in subscriptions)
    )
    if inventory.sought:
        return chosen
    missing = [each for each in _listed(asked.vm_selector) if key(each) not in inventory.vms]
    if missing:
        raise InvalidParameters("vm_missing", name="vm_selector", value=missing[0])
    if not chosen and (blind := [gap.scope for gap in inventory.unread if gap.what == VMS]):
        raise RunbookError("vms_unread", resource=", ".join(blind))
    if not inventory.vms:
        raise InvalidParameters("no_vms", name="subscription_ids", count=len(inventory.subscriptions))
    if not chosen:
        facts: dict[str, Any] = {"name": "vm_selector", "value": asked.vm_selector, "count": len(inventory.vms)}
        if asked.location:
            raise InvalidParameters("nothing_selected_there", location=asked.location, **facts)
        raise InvalidParameters("nothing_selected", **facts)
    known = {key(vm.id) for vm in chosen} if asked.accept_risk else set()
    unmatched = [vm for vm in asked.accept_risk if key(vm) not in known]
    if unmatched:
        raise InvalidParameters("vm_missing", name="accept_risk", value=unmatched[0])
    return chosen


def accepted_risk(vm: VirtualMachine, asked: Parameters) -> str:
    """
    Return the reason given for going on with *vm* in spite of its verdict; empty when none was given.
    """
    return _by_key(tuple(asked.accept_risk.items())).get(key(vm.id), "") if asked.accept_risk else ""


@lru_cache(maxsize=4)
def _by_key(risks: tuple[tuple[str, str], ...]) -> dict[str, str]:
    # A name alone would hit a VM of the same name in another group: a risk is accepted for one VM, by its id.
    return {key(named): reason for named, reason in risks}


def _listed(selector: str) -> tuple[str, ...]:
    if not selector.lower().startswith("/subscriptions/"):
        return ()
    return tuple(part.strip() for part in selector.split(",") if part.strip())


def _matches(vm: VirtualMachine, selector: str) -> bool:
    if selector == "all":
        return True
    kind, _, wanted = selector.partition(":")
    if kind == "group":
        return vm.resource_group.lower() == wanted.lower()
    if kind == "name":
        return vm.name.lower() == wanted.lower()
    name, has_value, value = wanted.partition("=")
    # Tag names are case-insensitive in ARM, tag values are not.
    tags = {tag.lower(): each for tag, each in vm.tags.items()}
    return name.lower() in tags and (not has_value or tags[name.lower()] == value)
