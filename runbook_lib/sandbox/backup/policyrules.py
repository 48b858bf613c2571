"""
The rules that Azure Backup holds a policy for virtual machines to.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from runbook_lib.sandbox.backup.timezones import TIME_ZONES
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body

__all__ = ["checked_policy", "is_enhanced"]

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_WEEKS = ("First", "Second", "Third", "Fourth", "Last")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_INTERVALS = (4, 6, 8, 12, 24)
_WEEKLY_INSTANT_DAYS = 5
# Schedule: unit, least and greatest count.
_DURATIONS = {
    "dailySchedule": ("Days", 7, 9999),
    "weeklySchedule": ("Weeks", 1, 5163),
    "monthlySchedule": ("Months", 1, 1188),
    "yearlySchedule": ("Years", 1, 99),
}


def is_enhanced(policy: Body) -> bool:
    """
    Tell whether the properties of a policy make it an enhanced one.
    """
    return policy.get("policyType") == "V2"


def checked_policy(asked: Body) -> Body:
    """
    Return the properties of a VM policy as the service stores them.

    Raises:
        ArmError: 400 BMSUserErrorInvalidPolicyInput, or BMSUserErrorInstantRPRetentionExceedsVaultedRetention.
    """
    if (asked.get("policyType") or "V1") not in ("V1", "V2"):
        _refuse()
    enhanced = is_enhanced(asked)
    schedule, frequency, days, time = _schedule(_object(asked, "schedulePolicy"), enhanced)
    retention = _retention(_object(asked, "retentionPolicy"), frequency, days, time)
    instant = _instant_days(asked, enhanced, frequency)
    daily = retention.get("dailySchedule")
    if daily is not None and instant >= daily["retentionDuration"]["count"]:
        raise refusal("BMSUserErrorInstantRPRetentionExceedsVaultedRetention")
    zone = "UTC" if asked.get("timeZone") is None else asked["timeZone"]
    if not isinstance(zone, str) or zone not in TIME_ZONES:
        _refuse()
    consistency = asked.get("snapshotConsistencyType")
    if consistency is not None and (consistency not in ("Default", "OnlyCrashConsistent") or not enhanced):
        _refuse()
    kept = ("policyType", "snapshotConsistencyType", "tieringPolicy")
    return {
        "backupManagementType": "AzureIaasVM",
        **{name: asked[name] for name in kept if asked.get(name) is not None},
        "instantRPDetails": _object(asked, "instantRPDetails", needed=False),
        "schedulePolicy": schedule,
        "retentionPolicy": retention,
        "instantRpRetentionRangeInDays": instant,
        "timeZone": zone,
    }


def _schedule(asked: Body, enhanced: bool) -> tuple[Body, str, list[str], str]:
    expected = "SimpleSchedulePolicyV2" if enhanced else "SimpleSchedulePolicy"
    frequencies = ("Daily", "Weekly", "Hourly") if enhanced else ("Daily", "Weekly")
    frequency = asked.get("scheduleRunFrequency")
    if asked.get("schedulePolicyType") != expected or not isinstance(frequency, str) or frequency not in frequencies:
        _refuse()
    schedule: Body = {"schedulePolicyType": expected, "scheduleRunFrequency": frequency}
    days: list[str] = []
    if frequency == "Hourly":
        part = _object(asked, "hourlySchedule")
        interval, duration = _whole(part.get("interval")), _whole(part.get("scheduleWindowDuration"))
        if interval not in _INTERVALS or not interval <= duration <= 24 or duration % interval:
            _refuse()
        time = _time(part.get("scheduleWindowStartTime"))
        schedule["hourlySchedule"] = {
            "interval": interval,
            "scheduleWindowStartTime": time,
            "scheduleWindowDuration": duration,
        }
        return schedule, "Hourly", days, time
    part = _object(asked, f"{frequency.lower()}Schedule") if enhanced else asked
    times = _times(part.get("scheduleRunTimes"))
    if frequency == "Weekly":
        days = _names(part.get("scheduleRunDays"), _DAYS)
    run: Body = {"scheduleRunDays": days} if days else {}
    run["scheduleRunTimes"] = times
    if enhanced:
        schedule[f"{frequency.lower()}Schedule"] = run
    else:
        schedule |= run | {"scheduleWeeklyFrequency": 0}
    return schedule, frequency, days, times[0]


def _retention(asked: Body, frequency: str, run_days: list[str], time: str) -> Body:
    if asked.get("retentionPolicyType") != "LongTermRetentionPolicy":
        _refuse()
    weekly = frequency == "Weekly"
    if weekly and asked.get("dailySchedule") is not None:
        _refuse()
    retention: Body = {"retentionPolicyType": "LongTermRetentionPolicy"}
    for name in _DURATIONS:
        if asked.get(name) is None:
            continue
        part = _object(asked, name)
        times = _times(part.get("retentionTimes"))
        # The day is of no account, the time of day must be that of the backup.
        if times[0][10:] != time[10:]:
            _refuse()
        kept = {"retentionTimes": times, "retentionDuration": _duration(name, _object(part, "retentionDuration"))}
        retention[name] = _days_of(name, part) | kept
    if ("weeklySchedule" if weekly else "dailySchedule") not in retention:
        _refuse()
    if weekly and set(retention["weeklySchedule"]["daysOfTheWeek"]) != set(run_days):
        _refuse()
    return retention


def _days_of(name: str, part: Body) -> Body:
    if name == "dailySchedule":
        return {}
    if name == "weeklySchedule":
        return {"daysOfTheWeek": _names(part.get("daysOfTheWeek"), _DAYS)}
    form = part.get("retentionScheduleFormatType")
    days: Body = {"retentionScheduleFormatType": form}
    if name == "yearlySchedule":
        days["monthsOfYear"] = _names(part.get("monthsOfYear"), _MONTHS)
    if form == "Daily":
        days["retentionScheduleDaily"] = {"daysOfTheMonth": _month_days(_object(part, "retentionScheduleDaily"))}
    elif form == "Weekly":
        weekly = _object(part, "retentionScheduleWeekly")
        days["retentionScheduleWeekly"] = {
            "daysOfTheWeek": _names(weekly.get("daysOfTheWeek"), _DAYS),
            "weeksOfTheMonth": _names(weekly.get("weeksOfTheMonth"), _WEEKS),
        }
    else:
        _refuse()
    return days


def _month_days(part: Body) -> list[Body]:
    days = part.get("daysOfTheMonth")
    if not isinstance(days, list) or not days or not all(isinstance(day, dict) for day in days):
        _refuse()
    for day in days:
        last = day.get("isLast", False)
        if not isinstance(last, bool) or (not last and not 1 <= _whole(day.get("date")) <= 28):
            _refuse()
    return [{"date": day.get("date", 0), "isLast": day.get("isLast", False)} for day in days]


def _duration(name: str, asked: Body) -> Body:
    unit, least, greatest = _DURATIONS[name]
    if asked.get("durationType") != unit or not least <= _whole(asked.get("count")) <= greatest:
        _refuse()
    return {"count": asked["count"], "durationType": unit}


def _instant_days(asked: Body, enhanced: bool, frequency: str) -> int:
    days = asked.get("instantRpRetentionRangeInDays")
    if days is None:
        return 7 if enhanced else _WEEKLY_INSTANT_DAYS if frequency == "Weekly" else 2
    days = _whole(days)
    least = _WEEKLY_INSTANT_DAYS if frequency == "Weekly" and not enhanced else 1
    if not least <= days <= (30 if enhanced else 5):
        _refuse()
    return days


def _times(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) != 1:
        _refuse()
    return [_time(value[0])]


def _time(value: Any) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        _refuse()
    if moment.minute not in (0, 30) or moment.second or moment.microsecond:
        _refuse()
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(value: Any, allowed: tuple[str, ...]) -> list[str]:
    if not isinstance(value, list) or not value or any(one not in allowed for one in value):
        _refuse()
    return [name for name in allowed if name in value]


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse()
    return value


def _object(body: Body, name: str, *, needed: bool = True) -> Body:
    value = body.get(name)
    if value is None and not needed:
        return {}
    if not isinstance(value, dict):
        _refuse()
    return value


def _refuse() -> NoReturn:
    raise refusal("BMSUserErrorInvalidPolicyInput") from None
