"""
The service's own check before protection is enabled: what it says of a VM, asked for within a budget of calls.

Azure Backup's `backupPreValidateProtection` answers 200 whatever it finds, and wants a vault that exists;
`backupStatus` tells of a vault that holds the VM, also of one that the caller cannot see. `backupValidateFeatures` is
asked once for each size and region. All change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from runbook_lib.arm.session import ArmError, Session
from runbook_lib.records import Change, Inventory, key
from runbook_lib.secrets import redacted

__all__ = ["BUDGET", "Precheck", "precheck"]

VERSION = "2026-10-01"
WORKERS = 4
# VMs to ask about, by parameter `service_precheck`; each of at most two calls costs a write token of the front door, of
# which ten come back in a second.
BUDGET = {"none": 0, "sample": 10, "all": 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precheck:
    """
    What the service says of one VM.

    Attributes:
        status: `Succeeded`, `Failed`, or why it was not asked: `not_asked`, `no_vault`, `unread`.
        feature: supportStatus of the VM's size in its region; empty when it was not asked.
        held_in: id of another vault that holds the VM, as the service says; empty where none does or it was not asked.
    """

    vm: str
    status: str
    code: str = ""
    message: str = ""
    feature: str = ""
    held_in: str = ""


def precheck(session: Session, inventory: Inventory, protecting: Iterable[Change], mode: str) -> tuple[Precheck, ...]:
    """
    Ask the service about the VMs that *protecting* would enable, in their order.

    Args:
        mode: `none`, `sample` or `all`, for which `BUDGET` has the number of calls.
    """
    wanted = [(str(change.body["properties"]["sourceResourceId"]), _vault(change)) for change in protecting]
    asked = _chosen(inventory, wanted, BUDGET[mode])
    features = _features(session, inventory, asked)

    def look(pair: tuple[str, str]) -> Precheck:
        vm_id, vault_id = pair
        there = key(vault_id) in inventory.vaults
        if pair not in asked:
            return Precheck(vm=vm_id, status="not_asked" if there else "no_vault")
        feature = features.get(_kind(inventory, vm_id), "")
        try:
            held_in = _holder(session, inventory, vm_id, vault_id)
            if not there:
                return Precheck(vm=vm_id, status="no_vault", feature=feature, held_in=held_in)
            said = _validate(session, inventory, vm_id, vault_id)
        except ArmError as error:
            return Precheck(vm=vm_id, status="unread", code=error.code, message=error.message, feature=feature)
        return Precheck(
            vm=vm_id,
            status=str(said.get("status") or "unread"),
            code=str(said.get("errorCode") or ""),
            message=redacted(str(said.get("errorMessage") or "")),
            feature=feature,
            held_in=held_in,
        )

    return tuple(session.each(look, wanted, WORKERS))


def _chosen(inventory: Inventory, pairs: Sequence[tuple[str, str]], budget: int) -> set[tuple[str, str]]:
    """
    Choose whom to ask: those with a vault before those whose vault is to be made, of both one of each size and vault
    first, then by order.
    """
    seen: set[tuple[Any, ...]] = set()
    first: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for vm, vault in sorted(pairs, key=lambda pair: key(pair[1]) not in inventory.vaults):
        kind = (*_kind(inventory, vm), key(vault))
        (rest if kind in seen else first).append((vm, vault))
        seen.add(kind)
    return set([*first, *rest][:budget])


def _kind(inventory: Inventory, vm_id: str) -> tuple[str, str]:
    vm = inventory.vms[key(vm_id)]
    return vm.location, vm.size


def _vault(change: Change) -> str:
    lowered = change.target.lower()
    return change.target[: lowered.index("/backupfabrics/")]


def _place(vm_id: str, location: str) -> str:
    subscription = "/".join(vm_id.split("/")[:3])
    return f"{subscription}/providers/Microsoft.RecoveryServices/locations/{location}"


def _holder(session: Session, inventory: Inventory, vm_id: str, vault_id: str) -> str:
    body = {"resourceType": "VM", "resourceId": vm_id, "poLogicalName": ""}
    said = session.ask(f"{_place(vm_id, inventory.vms[key(vm_id)].location)}/backupStatus", VERSION, body)
    holder = str(said.get("vaultId") or "") if str(said.get("protectionStatus")).lower() == "protected" else ""
    return "" if key(holder) == key(vault_id) else holder


def _validate(session: Session, inventory: Inventory, vm_id: str, vault_id: str) -> dict[str, Any]:
    path = f"{_place(vm_id, inventory.vms[key(vm_id)].location)}/backupPreValidateProtection"
    body = {"resourceType": "VM", "resourceId": vm_id, "vaultId": vault_id, "properties": ""}
    return session.ask(path, VERSION, body)


def _features(session: Session, inventory: Inventory, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for vm_id, _ in asked:
        kind = _kind(inventory, vm_id)
        if kind in found:
            continue
        body = {"featureType": "AzureVMResourceBackup", "vmSize": kind[1], "vmSku": ""}
        try:
            said = session.ask(f"{_place(vm_id, kind[0])}/backupValidateFeatures", VERSION, body)
            found[kind] = str(said.get("supportStatus") or "unread")
        except ArmError:
            found[kind] = "unread"
    return found
