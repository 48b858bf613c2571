"""
How much a vault, a policy and an item take, with small numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runbook_lib.sandbox import SandboxError

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_POLICY = {
    "backupManagementType": "AzureIaasVM",
    "schedulePolicy": {
        "schedulePolicyType": "SimpleSchedulePolicy",
        "scheduleRunFrequency": "Daily",
        "scheduleRunTimes": ["2026-01-01T19:00:00Z"],
    },
    "retentionPolicy": {
        "retentionPolicyType": "LongTermRetentionPolicy",
        "dailySchedule": {
            "retentionTimes": ["2026-01-01T19:00:00Z"],
            "retentionDuration": {"count": 30, "durationType": "Days"},
        },
    },
    "instantRpRetentionRangeInDays": 2,
    "timeZone": "UTC",
}
_SPENT = (400, "CloudDosAbsoluteLimitReached")


def put_policy(azure: Any, name: str, **changes: Any) -> Any:
    """
    Put a policy into the old vault.
    """
    body = {"properties": {**_POLICY, **changes}}
    return azure.backup.protection_policies.create_or_update("rsv-old", "rg-vault", name, body)


def back_up(azure: Any, vm: str) -> None:
    """
    Trigger a backup.
    """
    unique = f"iaasvmcontainerv2;rg-app;{vm}"
    request = {"properties": {"objectType": "IaasVMBackupRequest"}}
    azure.backup.backups.trigger("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}", request)


def test_a_vault_takes_so_many_vms(azure: Any, protect: Any, sandbox: Any, refused: Refused) -> None:
    """
    One more is refused, also when its item is soft-deleted; the items that are there can still be changed.
    """
    sandbox.configure(limits={"vault_vms": 2})
    protect(azure, "web").result()

    assert (400, "BMSUserErrorVaultItemLimitReached") == refused(lambda: protect(azure, "db"))
    assert "EnhancedPolicy" == protect(azure, "web", "EnhancedPolicy").result().properties["policyName"]


def test_a_policy_takes_so_many_vms(azure: Any, protect: Any, sandbox: Any, refused: Refused) -> None:
    """
    Another policy of the vault has room; an item that has the full policy may be put with it again.
    """
    sandbox.configure(limits={"policy_vms": 1})

    assert (400, "BMSUserErrorPolicyItemLimitReached") == refused(lambda: protect(azure, "web"))
    assert "IRPending" == protect(azure, "web", "EnhancedPolicy").result().properties["protectionState"]
    assert "DefaultPolicy" == protect(azure, "kept").result().properties["policyName"]


def test_two_requests_do_not_share_the_last_place(azure: Any, send: Any, sandbox: Any, ids: Any) -> None:
    """
    Both are accepted; the operation that ends later fails.
    """
    sandbox.configure(limits={"vault_vms": 2})

    def start(vm: str) -> Any:
        properties = {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "sourceResourceId": ids.vm(vm),
            "policyId": f"{ids.vault}/backupPolicies/DefaultPolicy",
        }
        return send("PUT", ids.item(vm), {"properties": properties})

    started = [start("web"), start("db")]
    sandbox.advance(100)
    statuses = [send("GET", one.headers["Azure-AsyncOperation"]).json() for one in started]

    assert [202, 202] == [one.status_code for one in started]
    assert ["Failed", "Succeeded"] == sorted(one["status"] for one in statuses)
    assert ["BMSUserErrorVaultItemLimitReached"] == [one["error"]["code"] for one in statuses if "error" in one]


def test_a_vault_takes_so_many_policies(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    The three that it begins with count; those that are there can still be changed.
    """
    sandbox.configure(limits={"vault_policies": 4})
    put_policy(azure, "Nightly")

    assert (400, "BMSUserErrorPolicyLimitReached") == refused(lambda: put_policy(azure, "Weekly"))
    assert (
        3 == put_policy(azure, "Nightly", instantRpRetentionRangeInDays=3).properties.instant_rp_retention_range_in_days
    )


def test_policies_are_changed_so_often_in_a_day(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    Creations and changes count together, refused ones do not, and a day later there is room again.
    """
    sandbox.configure(limits={"policy_changes": 3})
    put_policy(azure, "Nightly")
    refused(lambda: put_policy(azure, "Broken", timeZone="Nowhere"))
    put_policy(azure, "Nightly")
    # A policy in use is changed by an operation.
    put_policy(azure, "DefaultPolicy")

    assert [_SPENT, _SPENT] == [refused(lambda name=one: put_policy(azure, name)) for one in ("More", "DefaultPolicy")]
    sandbox.advance(86400)
    assert "More" == put_policy(azure, "More").name


def test_an_item_is_backed_up_on_demand_so_often_in_a_day(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    The hard limit is nine times; it is the item's own.
    """
    for _ in range(9):
        back_up(azure, "kept")
        sandbox.advance(7000)

    assert _SPENT == refused(lambda: back_up(azure, "kept"))
    sandbox.advance(86400)
    back_up(azure, "kept")


@pytest.mark.parametrize("limits", [{"vaults": 0}, {"vaults": "many"}, {"policies": 1}, 7])
def test_limits_are_checked_when_they_are_set(sandbox: Any, limits: Any) -> None:
    """
    They are known names with numbers of at least one.
    """
    with pytest.raises(SandboxError, match=r"profile\.limits"):
        sandbox.configure(limits=limits)
