"""
Backup policies: the body that ARM takes, and what a policy implies. Pure: no I/O, no clock.

Sources: guide, section on the backup goal and policy; API `ProtectionPolicies - Create Or Update`; times are wall-clock
times of the policy's Windows time zone, written with a `Z`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from runbook_lib.parameters import WEEKDAYS, Parameters
from runbook_lib.records import Policy

__all__ = [
    "BUILT_IN",
    "built_in",
    "described",
    "differences",
    "is_built_in",
    "longest_gap",
    "properties",
    "terms",
]

# A backup starts within two hours of its time and a first one may take most of a day to reach the vault.
GRACE = timedelta(hours=12)

BUILT_IN = ("DefaultPolicy", "EnhancedPolicy")


def built_in(name: str, vault_id: str) -> Policy:
    """
    Return a policy that every new vault holds, as the service makes it: daily at 16:30, or every 4 hours from 08:00.
    """
    enhanced = name == "EnhancedPolicy"
    return described(
        Parameters(
            policy_name=name,
            policy_type="Enhanced" if enhanced else "Standard",
            schedule="Hourly" if enhanced else "Daily",
            backup_time="08:00" if enhanced else "16:30",
        ),
        vault_id,
        # Only the time of day counts; ARM wants a date before it.
        date(2000, 1, 1),
    )


def is_built_in(name: str) -> bool:
    """
    Tell whether every new vault holds a policy of this name; ARM compares names without case.
    """
    return name.lower() in {each.lower() for each in BUILT_IN}


def described(asked: Parameters, vault_id: str, day: date) -> Policy:
    """
    Return the policy that *asked* describes, as it would stand in the vault.
    """
    body = properties(asked, day)
    return Policy(
        id=f"{vault_id}/backupPolicies/{asked.policy_name}",
        name=asked.policy_name,
        vault_id=vault_id,
        terms=terms(body),
        properties=body,
    )


def properties(asked: Parameters, day: date) -> dict[str, Any]:
    """
    Build the `properties` of the policy that *asked* describes; *day* is the date part that ARM wants and ignores.
    """
    at = f"{day.isoformat()}T{asked.backup_time}:00Z"
    made: dict[str, Any] = {
        "backupManagementType": "AzureIaasVM",
        "schedulePolicy": _schedule(asked, at),
        "retentionPolicy": _retention(asked, at),
        "instantRpRetentionRangeInDays": asked.instant_restore_days,
        "timeZone": asked.time_zone,
    }
    if asked.policy_type == "Enhanced":
        made["policyType"] = "V2"
    return made


def _schedule(asked: Parameters, at: str) -> dict[str, Any]:
    weekly = {"scheduleRunDays": list(asked.weekly_days), "scheduleRunTimes": [at]}
    if asked.policy_type == "Standard":
        days = weekly if asked.schedule == "Weekly" else {"scheduleRunTimes": [at]}
        return {"schedulePolicyType": "SimpleSchedulePolicy", "scheduleRunFrequency": asked.schedule} | days
    details: dict[str, dict[str, Any]] = {
        "Daily": {"dailySchedule": {"scheduleRunTimes": [at]}},
        "Weekly": {"weeklySchedule": weekly},
        "Hourly": {
            "hourlySchedule": {
                "interval": asked.hourly_interval,
                "scheduleWindowStartTime": at,
                "scheduleWindowDuration": asked.hourly_duration,
            }
        },
    }
    return {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": asked.schedule,
    } | details[asked.schedule]


def _retention(asked: Parameters, at: str) -> dict[str, Any]:
    def keep(count: int, unit: str) -> dict[str, Any]:
        return {"retentionTimes": [at], "retentionDuration": {"count": count, "durationType": unit}}

    # Monthly and yearly points are taken from the first backup day of the month, and of January.
    first = {
        "retentionScheduleFormatType": "Weekly",
        "retentionScheduleWeekly": {"daysOfTheWeek": [asked.weekly_days[0]], "weeksOfTheMonth": ["First"]},
    }
    made: dict[str, Any] = {"retentionPolicyType": "LongTermRetentionPolicy"}
    if asked.schedule != "Weekly":
        made["dailySchedule"] = keep(asked.daily_retention_days, "Days")
    if asked.weekly_retention_weeks:
        made["weeklySchedule"] = {"daysOfTheWeek": list(asked.weekly_days)} | keep(
            asked.weekly_retention_weeks, "Weeks"
        )
    if asked.monthly_retention_months:
        made["monthlySchedule"] = first | keep(asked.monthly_retention_months, "Months")
    if asked.yearly_retention_years:
        made["yearlySchedule"] = {"monthsOfYear": ["January"]} | first | keep(asked.yearly_retention_years, "Years")
    return made


def terms(given: dict[str, Any]) -> dict[str, Any]:
    """
    Put a policy's `properties` into the words of the parameters; what it does not say is left out.
    """
    plan = _object(given.get("schedulePolicy"))
    kept = _object(given.get("retentionPolicy"))
    detail = _object(plan.get("hourlySchedule") or plan.get("weeklySchedule") or plan.get("dailySchedule") or plan)
    times = [*_list(detail.get("scheduleRunTimes")), detail.get("scheduleWindowStartTime")]
    said = {
        "policy_type": "Enhanced" if given.get("policyType") == "V2" else "Standard",
        "schedule": plan.get("scheduleRunFrequency"),
        "backup_time": times[0][11:16] if isinstance(times[0], str) else None,
        "weekly_days": _list(detail.get("scheduleRunDays") or _object(kept.get("weeklySchedule")).get("daysOfTheWeek")),
        "hourly_interval": detail.get("interval"),
        "hourly_duration": detail.get("scheduleWindowDuration"),
        "time_zone": given.get("timeZone"),
        "instant_restore_days": given.get("instantRpRetentionRangeInDays"),
    } | {name: _count(kept.get(schedule)) for name, schedule in _RETENTIONS}
    return {name: value for name, value in said.items() if type(value) is _KINDS[name] and value != []}


_KINDS = {name: type(value) for name, value in Parameters().as_dict().items()}
_RETENTIONS = (
    ("daily_retention_days", "dailySchedule"),
    ("weekly_retention_weeks", "weeklySchedule"),
    ("monthly_retention_months", "monthlySchedule"),
    ("yearly_retention_years", "yearlySchedule"),
)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(schedule: Any) -> Any:
    return _object(_object(schedule).get("retentionDuration")).get("count")


def differences(policy: Policy, asked: Parameters) -> tuple[str, ...]:
    """
    Name the parameters in which an existing policy differs from what was asked for.
    """
    wanted = terms(properties(asked, date(2000, 1, 1)))
    return tuple(name for name in {**wanted, **policy.terms} if policy.terms.get(name) != wanted.get(name))


def longest_gap(policy: Policy) -> timedelta | None:
    """
    Return how old the newest recovery point of a healthy VM may be; None when the policy does not say.
    """
    said = policy.terms
    match said.get("schedule"):
        case "Daily":
            return timedelta(days=1) + GRACE
        case "Hourly":
            interval, window = _hours(said.get("hourly_interval")), _hours(said.get("hourly_duration"))
            if not (interval and window):
                return None
            # The last run of one day's window to the first of the next.
            return timedelta(hours=max(24 - window + interval, interval)) + GRACE
        case "Weekly":
            days = sorted(WEEKDAYS.index(day) for day in said.get("weekly_days", ()) if day in WEEKDAYS)
            if not days:
                return None
            gaps = [(b - a) % 7 or 7 for a, b in zip(days, [*days[1:], days[0]], strict=True)]
            return timedelta(days=max(gaps)) + GRACE
    return None


def _hours(value: Any) -> int:
    return value if isinstance(value, int) and 1 <= value <= 24 else 0
