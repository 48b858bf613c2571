"""
What a policy's retention keeps of the recovery points that are there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import HELD, NOW, policy
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.retention import lost


def _kept(points: list[datetime], **asked: Any) -> list[datetime]:
    gone = lost(policy(HELD, **asked), points, NOW)
    assert gone is not None
    return [point for point in points if point not in gone]


def _at(*days: str) -> list[datetime]:
    return [datetime.fromisoformat(f"{day}T19:00:00+00:00") for day in days]


def test_daily_points_are_kept_for_so_many_days() -> None:
    """
    To the hour.
    """
    edge = [NOW - timedelta(days=30), NOW - timedelta(days=30, seconds=1)]

    assert edge[:1] == _kept(edge)


def test_weekly_points_are_those_of_the_days_that_the_policy_names() -> None:
    """
    2026-10-18 was a Sunday.
    """
    points = _at("2026-10-17", "2026-10-18", "2026-10-19")

    assert points[1:2] == _kept(points, weekly_retention_weeks=6)
    assert points[2:] == _kept(points, weekly_retention_weeks=6, weekly_days=("Monday",))
    assert [] == _kept(points, weekly_retention_weeks=4)


def test_monthly_points_are_those_of_the_first_such_day_of_a_month() -> None:
    """
    The first Sunday of September 2026 was the 6th.
    """
    points = _at("2026-09-06", "2026-09-13", "2026-08-02")

    assert points[::2] == _kept(points, monthly_retention_months=6)
    assert points[:1] == _kept(points, monthly_retention_months=3)


def test_yearly_points_are_those_of_january() -> None:
    """
    The first Sunday of January 2024 was the 7th.
    """
    points = _at("2024-01-07", "2024-01-14", "2024-02-04")

    assert points[:1] == _kept(points, yearly_retention_years=3)
    assert [] == _kept(points, yearly_retention_years=2)


def test_a_weekly_schedule_keeps_no_daily_points() -> None:
    """
    Coming from a daily one, all but its days are lost.
    """
    points = _at("2026-11-15", "2026-11-16")

    assert points[:1] == _kept(points, schedule="Weekly", weekly_retention_weeks=8, instant_restore_days=5)


def test_the_day_of_a_point_is_that_of_its_own_zone() -> None:
    """
    Late on Saturday in UTC it is Sunday in Madrid.
    """
    late = datetime(2026, 10, 17, 23, 0, tzinfo=UTC)

    assert [] == _kept([late], weekly_retention_weeks=8)
    moved = late.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+02:00").tzinfo)
    assert [moved] == _kept([moved], weekly_retention_weeks=8)


def test_the_last_day_of_a_month_and_days_by_number_are_understood() -> None:
    """
    As policies that others made have them.
    """
    monthly = {
        "retentionScheduleFormatType": "Daily",
        "retentionScheduleDaily": {"daysOfTheMonth": [{"date": 0, "isLast": True}, {"date": 5, "isLast": False}]},
        "retentionDuration": {"count": 12, "durationType": "Months"},
    }
    own = replace(policy(HELD), properties={"retentionPolicy": {"monthlySchedule": monthly}})
    points = _at("2026-02-27", "2026-02-28", "2026-03-05")

    assert (points[0],) == lost(own, points, NOW)


def test_the_last_week_of_a_month_is_understood() -> None:
    """
    The 27th of September 2026 was the fourth Sunday and the last one; the 20th neither.
    """
    monthly = {
        "retentionScheduleFormatType": "Weekly",
        "retentionScheduleWeekly": {"daysOfTheWeek": ["Sunday"], "weeksOfTheMonth": ["Last"]},
        "retentionDuration": {"count": 12, "durationType": "Months"},
    }
    own = replace(policy(HELD), properties={"retentionPolicy": {"monthlySchedule": monthly}})
    points = _at("2026-09-20", "2026-09-27")

    assert (points[0],) == lost(own, points, NOW)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"retentionPolicyType": "SimpleRetentionPolicy"},
        {"dailySchedule": []},
        {"dailySchedule": 1},
        {"dailySchedule": {"retentionDuration": {"count": "x", "durationType": "Days"}}},
        {"dailySchedule": {"retentionDuration": {"count": 10**9, "durationType": "Days"}}},
        {"dailySchedule": {"retentionDuration": {"count": 7, "durationType": "Eons"}}},
        {"weeklySchedule": {"retentionDuration": {"count": 7, "durationType": "Weeks"}}},
    ],
)
def test_a_retention_that_is_not_understood_tells_nothing(broken: Any) -> None:
    """
    Unknown is not none.
    """
    own = replace(policy(HELD), properties={"retentionPolicy": broken})

    assert lost(own, [NOW], NOW) is None


@given(st.integers(7, 400), st.integers(7, 400), st.lists(st.integers(0, 500), max_size=20))
def test_a_longer_retention_never_loses_more(one: int, other: int, ages: list[int]) -> None:
    """
    And what is lost is part of what was there.
    """
    points = [NOW - timedelta(days=age) for age in ages]
    short, long = (lost(policy(HELD, daily_retention_days=days), points, NOW) for days in sorted((one, other)))

    assert short is not None
    assert long is not None
    assert set(long) <= set(short) <= set(points)
