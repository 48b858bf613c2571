"""
What a policy's retention keeps of the recovery points that there are. Pure: no I/O, no clock.

Source: backup-azure-vm-backup-faq, “impact of changing a policy”: points that are there are kept by the new retention,
and a shorter one prunes them with the next clean-up.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from runbook_lib.parameters import WEEKDAYS
from runbook_lib.records import Policy

__all__ = ["lost"]

_WEEKS = ("First", "Second", "Third", "Fourth")
_MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June")
_MONTHS += ("July", "August", "September", "October", "November", "December")
_MONTHS_IN = {"Months": 1, "Years": 12}
_DAYS_IN = {"Days": 1, "Weeks": 7}


def lost(policy: Policy, points: Iterable[datetime], now: datetime) -> tuple[datetime, ...] | None:
    """
    Return the recovery points that the policy's retention does not keep; None where it cannot be understood.

    A point is kept as long as any of the schedules keeps it that it counts for, by the day that its time is on.
    """
    rules = _rules(policy.properties.get("retentionPolicy"), now)
    if not rules:
        return None
    return tuple(
        sorted(point for point in points if not any(point >= oldest and takes(point) for oldest, takes in rules))
    )


Rule = tuple[datetime, Callable[[datetime], bool]]


def _rules(given: Any, now: datetime) -> list[Rule]:
    """
    Read a retention as the oldest time that it keeps, and which points it is for; nothing where a part of it is not
    understood.
    """
    if not isinstance(given, dict):
        return []
    rules: list[Rule] = []
    try:
        for name, read in _SCHEDULES.items():
            if given.get(name):
                rules.append((_oldest(now, given[name]["retentionDuration"]), read(given[name])))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return []
    return rules


def _oldest(now: datetime, duration: Any) -> datetime:
    count, unit = int(duration["count"]), duration["durationType"]
    if unit in _DAYS_IN:
        return now - timedelta(days=count * _DAYS_IN[unit])
    year, month = divmod(now.year * 12 + now.month - 1 - count * _MONTHS_IN[unit], 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, calendar.monthrange(year, month + 1)[1]))


def _daily(_: Any) -> Callable[[datetime], bool]:
    return lambda point: True


def _weekly(schedule: Any) -> Callable[[datetime], bool]:
    days = tuple(schedule["daysOfTheWeek"])
    return lambda point: _weekday(point) in days


def _monthly(schedule: Any) -> Callable[[datetime], bool]:
    if schedule["retentionScheduleFormatType"] == "Daily":
        days = schedule["retentionScheduleDaily"]["daysOfTheMonth"]
        dates = {0 if each.get("isLast") is True else int(each["date"]) for each in days}
        return lambda point: point.day in dates or (0 in dates and _is_last_day(point))
    weekly = schedule["retentionScheduleWeekly"]
    on, weeks = tuple(weekly["daysOfTheWeek"]), tuple(weekly["weeksOfTheMonth"])
    return lambda point: _weekday(point) in on and any(each in weeks for each in _weeks(point))


def _yearly(schedule: Any) -> Callable[[datetime], bool]:
    months, in_month = tuple(schedule["monthsOfYear"]), _monthly(schedule)
    return lambda point: _MONTHS[point.month - 1] in months and in_month(point)


def _weekday(point: datetime) -> str:
    return WEEKDAYS[(point.weekday() + 1) % len(WEEKDAYS)]


def _is_last_day(point: datetime) -> bool:
    return point.day == calendar.monthrange(point.year, point.month)[1]


def _weeks(point: datetime) -> tuple[str, ...]:
    """
    Return which of its weekdays in the month a day is; it may be the fourth and the last.
    """
    number = (point.day - 1) // 7
    last = point.day + 7 > calendar.monthrange(point.year, point.month)[1]
    return (*_WEEKS[number : number + 1], *(("Last",) if last else ()))


_SCHEDULES: dict[str, Callable[[Any], Callable[[datetime], bool]]] = {
    "dailySchedule": _daily,
    "weeklySchedule": _weekly,
    "monthlySchedule": _monthly,
    "yearlySchedule": _yearly,
}
