"""
Recovery points: what backups leave, and what an estate's item tells of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]


def names(vm: str) -> tuple[str, str, str, str, str]:
    """
    Return the arguments by which the clients name an item of the old vault.
    """
    unique = f"iaasvmcontainerv2;rg-app;{vm}"
    return "rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}"


def back_up(azure: Any, sandbox: Any, vm: str) -> None:
    """
    Back up a VM to the end.
    """
    azure.backup.backups.trigger(*names(vm), {"properties": {"objectType": "IaasVMBackupRequest"}})
    sandbox.advance(7000)


def points(azure: Any, vm: str, wanted: str | None = None) -> list[Any]:
    """
    List the recovery points of a VM.
    """
    return list(azure.backup.recovery_points.list(*names(vm), filter=wanted))


def test_the_last_point_of_an_estates_item_is_there(azure: Any) -> None:
    """
    An item tells when its last recovery point was made, and nothing more.
    """
    (point,) = points(azure, "kept")

    assert "2026-11-01T02:00:00+00:00" == point.properties.recovery_point_time.isoformat()
    assert ["InstantRP", "HardenedRP"] == [tier.type for tier in point.properties.recovery_point_tier_details]


def test_an_item_without_a_backup_has_no_point(azure: Any, protect: Any) -> None:
    """
    Enabling protection makes no recovery point.
    """
    protect(azure, "web").result()

    assert [] == points(azure, "web")


@pytest.mark.parametrize(("vm", "kind"), [("web", "AppConsistent"), ("db", "CrashConsistent")])
def test_a_backup_leaves_a_point_of_the_vms_state(azure: Any, protect: Any, sandbox: Any, vm: str, kind: str) -> None:
    """
    A running VM is backed up with its applications, one that does not run as its disks stand.
    """
    protect(azure, vm).result()
    back_up(azure, sandbox, vm)
    (point,) = points(azure, vm)
    properties = point.properties

    assert ("IaasVMRecoveryPoint", kind, "Standard_D2s_v5", True) == (
        properties.object_type,
        properties.recovery_point_type,
        properties.virtual_machine_size,
        properties.is_managed_virtual_machine,
    )
    item = azure.backup.protected_items.get(*names(vm)).as_dict()["properties"]
    assert item["lastRecoveryPoint"][:19] == properties.recovery_point_time.isoformat()[:19]


def test_points_are_listed_from_the_newest_over_pages(azure: Any, sandbox: Any) -> None:
    """
    Every point is listed once, and each can be asked for alone.
    """
    for _ in range(2):
        back_up(azure, sandbox, "kept")
    sandbox.configure(page_sizes={"recoveryPoints": 1})
    listed = points(azure, "kept")
    times = [one.properties.recovery_point_time for one in listed]

    assert (3, sorted(times, reverse=True)) == (len({one.name for one in listed}), times)
    alone = [azure.backup.recovery_points.get(*names("kept"), one.name).as_dict() for one in listed]
    assert [one.as_dict() for one in listed] == alone


def test_points_are_filtered_by_their_days(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    `startDate` and `endDate` bound the list.
    """
    back_up(azure, sandbox, "kept")
    morning = "startDate eq '2026-11-01 01:00:00 AM' and endDate eq '2026-11-01 03:00:00 AM'"

    assert [2] == [one.properties.recovery_point_time.hour for one in points(azure, "kept", morning)]
    assert [12] == [
        one.properties.recovery_point_time.hour
        for one in points(azure, "kept", "startDate eq '2026-11-01 11:00:00 AM'")
    ]
    assert (400, "BMSUserErrorInvalidInput") == refused(lambda: points(azure, "kept", "startDate eq 'soon'"))


def test_an_item_counts_its_points_when_asked_to_expand(azure: Any, sandbox: Any, protect: Any) -> None:
    """
    The extended information stands in an item that is asked for with it, and in the result of its operation only.
    """

    def info(vm: str, wanted: str | None = None) -> Any:
        item = azure.backup.protected_items.get(*names(vm), filter=wanted)
        return item.as_dict()["properties"].get("extendedInfo")

    protect(azure, "web").result()
    back_up(azure, sandbox, "kept")

    assert info("kept") is None
    assert {
        "recoveryPointCount": 2,
        "policyInconsistent": False,
        "oldestRecoveryPoint": "2026-11-01T02:00:00Z",
    } == info("kept", "expand eq 'extendedinfo'")
    assert {"recoveryPointCount": 0, "policyInconsistent": False} == info("web", "expand eq 'ExtendedInfo'")


def test_a_missing_point_is_not_found(azure: Any, refused: Refused) -> None:
    """
    The code tells that it is the point which is missing, not the item.
    """
    get = azure.backup.recovery_points.get

    assert (404, "BMSUserErrorRecoveryPointNotFound") == refused(lambda: get(*names("kept"), "1"))
    assert (404, "BMSUserErrorDataSourceObjectNotFound") == refused(lambda: get(*names("web"), "1"))


def test_a_vm_that_is_protected_anew_has_no_points_of_before(azure: Any, protect: Any, sandbox: Any) -> None:
    """
    What was deleted for good does not come back with another item of the VM.
    """
    configs = azure.backup.backup_resource_vault_configs
    configs.update("rsv-old", "rg-vault", {"properties": {"softDeleteFeatureState": "Disabled"}})
    back_up(azure, sandbox, "kept")
    azure.backup.protected_items.delete(*names("kept"))
    sandbox.advance(200)
    protect(azure, "kept").result()

    assert [] == points(azure, "kept")
