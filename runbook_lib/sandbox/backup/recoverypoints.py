"""
The recovery points of an item: what its backups left, and the one that an estate's item tells of.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.backup.items import ITEM_KIND, asked_moment, find_item
from runbook_lib.sandbox.call import Call, Route, Tenant, member, paged
from runbook_lib.sandbox.clock import parse_time
from runbook_lib.sandbox.compute import is_running, vm_properties
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, State, key_of
from runbook_lib.sandbox.vaults import VAULT_PATH

__all__ = ["ROUTES", "add_point", "extended"]

_KIND = f"{ITEM_KIND}/recoveryPoints"
_POINTS = "points"
_TIERS = ("InstantRP", "HardenedRP")


def add_point(tenant: Tenant, item: Body, vm: Body | None, taken: str, *, vaulted: bool) -> None:
    """
    Add the recovery point of a backup whose snapshot was taken at *taken*; the item does not tell of it yet.

    Args:
        vm: None when it no longer exists.
        vaulted: whether the snapshot was transferred to the vault.
    """
    facts = tenant.state.runtime(item["id"])
    running = vm is not None and is_running(tenant.state, vm["id"])
    point = _point(item, vm, taken, running=running, tiers=_TIERS if vaulted else _TIERS[:1])
    tenant.state.set_runtime(item["id"], facts | {_POINTS: [*_points(tenant.state, item), point]})


def extended(state: State, item: Body) -> Body:
    """
    Return an item with its extended information, which counts its recovery points.
    """
    points = _points(state, item)
    info: Body = {"recoveryPointCount": len(points), "policyInconsistent": False}
    if points:
        info["oldestRecoveryPoint"] = _time(points[-1])
    return {**item, "properties": {**member(item, "properties"), "extendedInfo": info}}


def _point(item: Body, vm: Body | None, taken: str, *, running: bool, tiers: Iterable[str]) -> Body:
    properties = vm_properties(vm or {})
    disk = member(member(properties, "storageProfile"), "osDisk")
    linux = disk.get("osType") == "Linux"
    storage = member(disk, "managedDisk").get("storageAccountType") or ""
    shown: Body = {
        "objectType": "IaasVMRecoveryPoint",
        # Without its agent a VM gives no more than what stood on its disks.
        "recoveryPointType": ("FileSystemConsistent" if linux else "AppConsistent") if running else "CrashConsistent",
        "recoveryPointTime": taken,
        "recoveryPointAdditionalInfo": "",
        "sourceVMStorageType": "PremiumStorage" if storage.startswith("Premium") else "NormalStorage",
        "isSourceVMEncrypted": False,
        "isInstantIlrSessionActive": False,
        "recoveryPointTierDetails": [{"type": tier, "status": "Valid"} for tier in tiers],
        "isManagedVirtualMachine": "vhd" not in disk,
        "originalStorageAccountOption": False,
    }
    size = member(properties, "hardwareProfile").get("vmSize")
    if size:
        shown["virtualMachineSize"] = size
    if vm is not None and vm.get("zones"):
        shown["zones"] = vm["zones"]
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key_of(item['id'])}/{taken}").int % 10**15)
    return {"id": f"{item['id']}/recoveryPoints/{name}", "name": name, "type": _KIND, "properties": shown}


def _points(state: State, item: Body) -> list[Body]:
    """
    Return the points of an item, the newest first.
    """
    points: list[Body] = list(state.runtime(item["id"]).get(_POINTS, ()))
    properties = member(item, "properties")
    last = properties.get("lastRecoveryPoint")
    if last and all(_time(point) != last for point in points):
        vm = state.get(properties.get("virtualMachineId") or "")
        running = vm is not None and is_running(state, vm["id"])
        points.append(_point(item, vm, last, running=running, tiers=_TIERS))
    return sorted(points, key=lambda point: parse_time(_time(point)), reverse=True)


def _time(point: Body) -> str:
    text: str = point["properties"]["recoveryPointTime"]
    return text


def _list(call: Call) -> Answer:
    _, item = find_item(call)
    wanted = call.filter()
    since, until = asked_moment(wanted.get("startdate")), asked_moment(wanted.get("enddate"))
    points = {key_of(point["id"]): point for point in _points(call.state, item)}

    def rows(after: str) -> Iterable[tuple[str, Body]]:
        keys = list(points)
        return list(points.items())[keys.index(after) + 1 if after in points else 0 :]

    def keep(point: Body) -> bool:
        time = parse_time(_time(point))
        return (since is None or time >= since) and (until is None or time <= until)

    return paged(call, "recoveryPoints", rows, keep=keep, shape=lambda point: call.echo(point, 8))


def _get(call: Call) -> Answer:
    _, item = find_item(call)
    for point in _points(call.state, item):
        if point["name"] == call.names["point"]:
            return Answer(status=200, body=call.echo(point, 8))
    raise refusal("BMSUserErrorRecoveryPointNotFound", point=call.names["point"])


_ITEM = f"{VAULT_PATH}/backupFabrics/{{fabric}}/protectionContainers/{{container}}/protectedItems/{{item}}"

ROUTES = (
    Route(method="GET", path=f"{_ITEM}/recoveryPoints", handler=_list),
    Route(method="GET", path=f"{_ITEM}/recoveryPoints/{{point}}", handler=_get),
)
