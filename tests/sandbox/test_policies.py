"""
Backup policies: the three that a vault begins with, and the rules for those that people write.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_TIME = "2026-01-01T19:00:00Z"
_VM_POLICIES = "backupManagementType eq 'AzureIaasVM'"


def kept(unit: str, count: int, **more: Any) -> dict[str, Any]:
    """
    Write how long a recovery point is kept.
    """
    return {"retentionTimes": [_TIME], "retentionDuration": {"count": count, "durationType": unit}, **more}


def daily(**more: Any) -> dict[str, Any]:
    """
    Write a standard policy that backs up every day.
    """
    return {
        "backupManagementType": "AzureIaasVM",
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": [_TIME],
        },
        "retentionPolicy": {"retentionPolicyType": "LongTermRetentionPolicy", "dailySchedule": kept("Days", 30)},
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "Romance Standard Time",
        **more,
    }


def weekly() -> dict[str, Any]:
    """
    Write a standard policy that backs up on two days of the week.
    """
    policy = daily(instantRpRetentionRangeInDays=5)
    policy["schedulePolicy"] |= {"scheduleRunFrequency": "Weekly", "scheduleRunDays": ["Sunday", "Wednesday"]}
    policy["retentionPolicy"] = {
        "retentionPolicyType": "LongTermRetentionPolicy",
        "weeklySchedule": kept("Weeks", 4, daysOfTheWeek=["Wednesday", "Sunday"]),
    }
    return policy


def hourly() -> dict[str, Any]:
    """
    Write an enhanced policy that backs up every four hours.
    """
    policy = daily(policyType="V2", instantRpRetentionRangeInDays=7)
    policy["schedulePolicy"] = {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": "Hourly",
        "hourlySchedule": {"interval": 4, "scheduleWindowStartTime": _TIME, "scheduleWindowDuration": 12},
    }
    return policy


def long_term() -> dict[str, Any]:
    """
    Write a policy that keeps recovery points by week, month and year.
    """
    policy = daily()
    policy["retentionPolicy"] |= {
        "weeklySchedule": kept("Weeks", 12, daysOfTheWeek=["Sunday"]),
        "monthlySchedule": kept(
            "Months",
            60,
            retentionScheduleFormatType="Daily",
            retentionScheduleDaily={"daysOfTheMonth": [{"date": 1, "isLast": False}, {"date": 0, "isLast": True}]},
        ),
        "yearlySchedule": kept(
            "Years",
            10,
            retentionScheduleFormatType="Weekly",
            monthsOfYear=["January"],
            retentionScheduleWeekly={"daysOfTheWeek": ["Sunday"], "weeksOfTheMonth": ["First", "Last"]},
        ),
    }
    return policy


def enhanced(frequency: str) -> dict[str, Any]:
    """
    Write an enhanced policy that backs up by day or by week.
    """
    policy = {"Daily": daily, "Weekly": weekly}[frequency]() | {"policyType": "V2", "instantRpRetentionRangeInDays": 5}
    run = {"scheduleRunTimes": [_TIME]} | (
        {"scheduleRunDays": ["Sunday", "Wednesday"]} if frequency == "Weekly" else {}
    )
    policy["schedulePolicy"] = {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": frequency,
        f"{frequency.lower()}Schedule": run,
    }
    return policy


def put(azure: Any, properties: Any, name: str = "Nightly") -> Any:
    """
    Put a policy into the vault of the small estate.
    """
    return azure.backup.protection_policies.create_or_update("rsv-old", "rg-vault", name, {"properties": properties})


def changed(policy: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """
    Return *policy* with one member set, or left out when *value* is `...`.
    """
    policy = copy.deepcopy(policy)
    *parents, last = path.split(".")
    part = policy
    for name in parents:
        part = part[name]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return policy


def test_a_vault_begins_with_three_policies(azure: Any) -> None:
    """
    One for logs of databases, a standard and an enhanced one for VMs, dated with the day of the vault.
    """
    policies = {one.name: one.properties for one in azure.backup.backup_policies.list("rsv-old", "rg-vault")}

    assert ["DefaultPolicy", "EnhancedPolicy", "HourlyLogBackup"] == sorted(policies)
    default, enhanced_one = policies["DefaultPolicy"], policies["EnhancedPolicy"]
    assert ("Daily", 2, "UTC", None) == (
        default.schedule_policy.schedule_run_frequency,
        default.instant_rp_retention_range_in_days,
        default.time_zone,
        default.policy_type,
    )
    assert "2026-11-01T16:30:00" == default.schedule_policy.schedule_run_times[0].isoformat()[:19]
    assert 30 == default.retention_policy.daily_schedule.retention_duration.count
    assert ("V2", "Hourly", 4) == (
        enhanced_one.policy_type,
        enhanced_one.schedule_policy.schedule_run_frequency,
        enhanced_one.schedule_policy.hourly_schedule.interval,
    )


def test_the_list_is_filtered_by_workload_and_paged(azure: Any, sandbox: Any) -> None:
    """
    Policies of one vault mix workloads, so callers filter.
    """
    sandbox.configure(page_sizes={"backupPolicies": 1})
    policies = azure.backup.backup_policies

    assert ["DefaultPolicy", "EnhancedPolicy"] == [
        one.name for one in policies.list("rsv-old", "rg-vault", filter=_VM_POLICIES)
    ]
    assert 3 == len(list(policies.list("rsv-old", "rg-vault")))


def test_policies_count_their_items(azure: Any) -> None:
    """
    The item of the small estate names its policy in lower case, and counts.
    """
    counts = {
        one.name: one.properties.protected_items_count
        for one in azure.backup.backup_policies.list("rsv-old", "rg-vault", filter=_VM_POLICIES)
    }

    assert {"DefaultPolicy": 1, "EnhancedPolicy": 0} == counts


def test_a_policy_is_stored_as_the_service_writes_it(send: Any, ids: Any) -> None:
    """
    200 with the policy, its times without fractions, and the members that the service adds.
    """
    asked = changed(daily(), "schedulePolicy.scheduleRunTimes", ["2026-01-01T19:00:00.000Z"])
    answer = send("PUT", f"{ids.vault}/backupPolicies/Nightly", {"properties": asked})

    expected = {
        **daily(),
        "instantRPDetails": {},
        "protectedItemsCount": 0,
        "schedulePolicy": {**daily()["schedulePolicy"], "scheduleWeeklyFrequency": 0},
    }
    assert (200, expected) == (answer.status_code, answer.json()["properties"])
    assert ("Nightly", "Microsoft.RecoveryServices/vaults/backupPolicies") == (
        answer.json()["name"],
        answer.json()["type"],
    )


@pytest.mark.parametrize(
    "policy",
    [daily(), weekly(), hourly(), long_term(), enhanced("Daily"), enhanced("Weekly")],
    ids=["daily", "weekly", "hourly", "long-term", "enhanced-daily", "enhanced-weekly"],
)
def test_each_kind_of_policy_can_be_written_and_read(azure: Any, policy: Any) -> None:
    """
    What was put is what a GET tells.
    """
    stored = put(azure, policy)
    read = azure.backup.protection_policies.get("rsv-old", "rg-vault", "NIGHTLY")

    assert stored.as_dict()["properties"] == read.as_dict()["properties"]
    assert policy["retentionPolicy"].keys() == read.as_dict()["properties"]["retentionPolicy"].keys()


@pytest.mark.parametrize(
    ("policy", "path", "value"),
    [
        (daily(), "schedulePolicy.scheduleRunTimes", ["2026-01-01T19:15:00Z"]),
        (daily(), "schedulePolicy.scheduleRunTimes", ["2026-01-01T18:30:00Z"]),
        (daily(), "schedulePolicy.scheduleRunTimes", ["2026-01-01T19:00:30Z"]),
        (daily(), "schedulePolicy.scheduleRunTimes", ["seven"]),
        (daily(), "schedulePolicy.scheduleRunTimes", [7]),
        (daily(), "schedulePolicy.scheduleRunTimes", []),
        (daily(), "schedulePolicy.scheduleRunTimes", [_TIME, _TIME]),
        (daily(), "schedulePolicy.scheduleRunFrequency", "Hourly"),
        (daily(), "schedulePolicy.scheduleRunFrequency", {}),
        (daily(), "schedulePolicy.schedulePolicyType", "SimpleSchedulePolicyV2"),
        (daily(), "schedulePolicy", ...),
        (daily(), "schedulePolicy", []),
        (daily(), "retentionPolicy", ...),
        (daily(), "retentionPolicy.retentionPolicyType", "SimpleRetentionPolicy"),
        (daily(), "retentionPolicy.dailySchedule", ...),
        (daily(), "retentionPolicy.dailySchedule.retentionDuration.count", 6),
        (daily(), "retentionPolicy.dailySchedule.retentionDuration.count", 10000),
        (daily(), "retentionPolicy.dailySchedule.retentionDuration.count", "30"),
        (daily(), "retentionPolicy.dailySchedule.retentionDuration.durationType", "Weeks"),
        (daily(), "retentionPolicy.dailySchedule.retentionTimes", ["2026-01-01T19:30:00Z"]),
        (daily(), "instantRpRetentionRangeInDays", 0),
        (daily(), "instantRpRetentionRangeInDays", 6),
        (daily(), "instantRpRetentionRangeInDays", True),
        (daily(), "timeZone", "Europe/Madrid"),
        (daily(), "timeZone", []),
        (daily(), "policyType", "V3"),
        (daily(), "snapshotConsistencyType", "OnlyCrashConsistent"),
        (weekly(), "schedulePolicy.scheduleRunDays", []),
        (weekly(), "schedulePolicy.scheduleRunDays", ["Someday"]),
        (weekly(), "schedulePolicy.scheduleRunDays", ["Monday"]),
        (weekly(), "instantRpRetentionRangeInDays", 4),
        (weekly(), "retentionPolicy.dailySchedule", kept("Days", 30)),
        (weekly(), "retentionPolicy.weeklySchedule.retentionDuration.count", 5164),
        (hourly(), "schedulePolicy.hourlySchedule.interval", 5),
        (hourly(), "schedulePolicy.hourlySchedule.scheduleWindowDuration", 10),
        (hourly(), "schedulePolicy.hourlySchedule.scheduleWindowDuration", 28),
        (hourly(), "schedulePolicy.hourlySchedule.scheduleWindowStartTime", "2026-01-01T19:10:00Z"),
        (hourly(), "schedulePolicy.hourlySchedule", ...),
        (hourly(), "instantRpRetentionRangeInDays", 31),
        (hourly(), "policyType", ...),
        (hourly(), "snapshotConsistencyType", "Sometimes"),
        (enhanced("Daily"), "schedulePolicy.dailySchedule", ...),
        (long_term(), "retentionPolicy.weeklySchedule.daysOfTheWeek", []),
        (long_term(), "retentionPolicy.monthlySchedule.retentionScheduleFormatType", "Yearly"),
        (long_term(), "retentionPolicy.monthlySchedule.retentionScheduleDaily.daysOfTheMonth", [{"date": 29}]),
        (long_term(), "retentionPolicy.monthlySchedule.retentionScheduleDaily.daysOfTheMonth", []),
        (long_term(), "retentionPolicy.monthlySchedule.retentionDuration.count", 1189),
        (long_term(), "retentionPolicy.yearlySchedule.monthsOfYear", ["Nivose"]),
        (long_term(), "retentionPolicy.yearlySchedule.retentionScheduleWeekly.weeksOfTheMonth", ["Fifth"]),
        (long_term(), "retentionPolicy.yearlySchedule.retentionDuration.count", 100),
    ],
)
def test_a_policy_that_breaks_the_rules_is_refused(
    send: Any, ids: Any, azure: Any, policy: Any, path: str, value: Any
) -> None:
    """
    One code for all, the four members of a backup error, and nothing is stored.
    """
    answer = send("PUT", f"{ids.vault}/backupPolicies/Nightly", {"properties": changed(policy, path, value)})

    assert (400, "BMSUserErrorInvalidPolicyInput") == (answer.status_code, answer.json()["error"]["code"])
    assert {"code", "message", "target", "details", "innerError"} == set(answer.json()["error"])
    assert 3 == len(list(azure.backup.backup_policies.list("rsv-old", "rg-vault")))


@pytest.mark.parametrize(
    ("policy", "count", "instant"), [(daily(), 7, 5), (hourly(), 9999, 30), (daily(), 9999, 1), (hourly(), 8, 7)]
)
def test_a_policy_at_the_limits_is_taken(azure: Any, policy: Any, count: int, instant: int) -> None:
    """
    7 to 9999 days, snapshots for 1 to 5 of them, or 30 with an enhanced policy.
    """
    policy = changed(policy, "retentionPolicy.dailySchedule.retentionDuration.count", count)

    assert (
        instant
        == put(azure, policy | {"instantRpRetentionRangeInDays": instant}).properties.instant_rp_retention_range_in_days
    )


@pytest.mark.parametrize(("policy", "expected"), [(daily(), 2), (weekly(), 5), (hourly(), 7)])
def test_snapshots_are_kept_by_default(azure: Any, policy: Any, expected: int) -> None:
    """
    2 days, 5 with a weekly policy, 7 with an enhanced one.
    """
    stored = put(azure, changed(policy, "instantRpRetentionRangeInDays", ...))

    assert expected == stored.properties.instant_rp_retention_range_in_days


def test_snapshots_cannot_outlive_the_recovery_points(azure: Any, refused: Refused) -> None:
    """
    Instant retention must be less than the daily one, and an enhanced policy that says nothing asks for 7.
    """
    policy = changed(hourly(), "retentionPolicy.dailySchedule.retentionDuration.count", 7)

    expected = (400, "BMSUserErrorInstantRPRetentionExceedsVaultedRetention")
    assert expected == refused(lambda: put(azure, policy))
    assert expected == refused(lambda: put(azure, changed(policy, "instantRpRetentionRangeInDays", ...)))


@pytest.mark.parametrize("name", ["ab", "1abc", "ends-", "with space", "under_score", "x" * 151])
def test_a_policy_name_has_its_form(azure: Any, refused: Refused, name: str) -> None:
    """
    3 to 150 letters, digits and hyphens, starting with a letter and not ending in a hyphen.
    """
    assert (400, "BMSUserErrorInvalidPolicyName") == refused(lambda: put(azure, daily(), name))


def test_a_policy_names_its_workload(azure: Any, refused: Refused) -> None:
    """
    Policies of other workloads are kept as they come; an unknown workload is refused.
    """
    log = azure.backup.protection_policies.get("rsv-old", "rg-vault", "HourlyLogBackup").as_dict()["properties"]

    assert "AzureWorkload" == put(azure, log, "Logs").properties.backup_management_type
    assert (400, "BMSUserErrorInvalidPolicyForGivenProvider") == refused(lambda: put(azure, {"schedulePolicy": {}}))


def test_a_policy_in_use_is_changed_by_an_operation(azure: Any, send: Any, ids: Any, sandbox: Any) -> None:
    """
    202 and an operation under the policy; its result is the policy, with the change when it is done.
    """
    path = f"{ids.vault}/backupPolicies/DefaultPolicy"
    accepted = send("PUT", path, {"properties": daily()})
    before = azure.backup.protection_policies.get("rsv-old", "rg-vault", "DefaultPolicy").properties.time_zone
    waiting = send("GET", accepted.headers["Location"])
    sandbox.advance(10)
    after = azure.backup.protection_policies.get("rsv-old", "rg-vault", "DefaultPolicy").properties
    operation = accepted.headers["Azure-AsyncOperation"].split("/")[-1].split("?")[0]
    status = azure.backup.protection_policy_operation_statuses.get("rsv-old", "rg-vault", "DefaultPolicy", operation)

    assert (202, b"", 200) == (accepted.status_code, accepted.content, waiting.status_code)
    assert ("UTC", "Romance Standard Time", 1) == (before, after.time_zone, after.protected_items_count)
    assert "Succeeded" == status.status
    assert "DefaultPolicy" == send("GET", accepted.headers["Location"]).json()["name"]


def test_an_enhanced_policy_in_use_stays_enhanced(azure: Any, protect: Any, refused: Refused) -> None:
    """
    A standard policy may become an enhanced one, never the other way.
    """
    protect(azure, "web", "EnhancedPolicy").result()

    assert (400, "BMSUserErrorPolicyTypeChangeNotAllowed") == refused(lambda: put(azure, daily(), "EnhancedPolicy"))
    assert put(azure, hourly(), "DefaultPolicy") is None


def test_a_policy_in_use_is_not_deleted(azure: Any, refused: Refused) -> None:
    """
    Only a policy that no item follows can go; one that is not there is gone already.
    """
    policies = azure.backup.protection_policies

    assert (400, "BMSUserErrorPolicyInUse") == refused(
        lambda: policies.begin_delete("rsv-old", "rg-vault", "DefaultPolicy")
    )
    policies.begin_delete("rsv-old", "rg-vault", "EnhancedPolicy").result()
    policies.begin_delete("rsv-old", "rg-vault", "EnhancedPolicy").result()
    assert (404, "BMSUserErrorPolicyNotFound") == refused(lambda: policies.get("rsv-old", "rg-vault", "EnhancedPolicy"))
