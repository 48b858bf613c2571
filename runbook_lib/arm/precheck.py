"""
The service's own check before protection is enabled: what it says of a VM, asked for within a budget of calls.

Azure Backup's `backupPreValidateProtection` answers 200 whatever it finds; `backupValidateFeatures` is asked once for
each size and region. Both change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runbook_lib.arm.session import ArmError, Session
from runbook_lib.records import Change, Inventory, key

__all__ = ["BUDGET", "Precheck", "precheck"]

VERSION = "2026-10-01"
WORKERS = 4
# Calls for VMs, by parameter `service_precheck`; each costs a write token of the front door, of which ten come back in
# a second.
BUDGET = {"none": 0, "sample": 10, "all": 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precheck:
    """
    What the service says of one VM.

    Attributes:
        status: `Succeeded`, `Failed`, or why it was not asked: `not_asked`, `no_vault`, `unread`.
        feature: supportStatus of the VM's size in its region; empty when it was not asked.
    """

    vm: str
    status: str
    code: str = ""
    message: str = ""
    feature: str = ""


def precheck(session: Session, inventory: Inventory, protecting: Iterable[Change], mode: str) -> tuple[Precheck, ...]:
    """
    Ask the service about the VMs that *protecting* would enable, in their order.

    Args:
        mode: `none`, `sample` or `all`, for which `BUDGET` has the number of calls.
    """
    wanted = [(str(change.body["properties"]["sourceResourceId"]), _vault(change)) for change in protecting]
    asked = _chosen(inventory, [(vm, vault) for vm, vault in wanted if key(vault) in inventory.vaults], BUDGET[mode])
    features = _features(session, inventory, asked)

    def look(pair: tuple[str, str]) -> Precheck:
        vm_id, vault_id = pair
        if key(vault_id) not in inventory.vaults:
            return Precheck(vm=vm_id, status="no_vault")
        if pair not in asked:
            return Precheck(vm=vm_id, status="not_asked")
        feature = features.get(_kind(inventory, vm_id), "")
        try:
            said = _validate(session, inventory, vm_id, vault_id)
        except ArmError as error:
            return Precheck(vm=vm_id, status="unread", code=error.code, message=error.message, feature=feature)
        return Precheck(
            vm=vm_id,
            status=str(said.get("status") or "unread"),
            code=str(said.get("errorCode") or ""),
            message=str(said.get("errorMessage") or ""),
            feature=feature,
        )

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="precheck") as pool:
        return tuple(pool.map(look, wanted))


def _chosen(inventory: Inventory, pairs: Sequence[tuple[str, str]], budget: int) -> set[tuple[str, str]]:
    """
    Choose whom to ask: one of each size and vault first, then by order.
    """
    seen: set[tuple[Any, ...]] = set()
    first: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for vm, vault in pairs:
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
