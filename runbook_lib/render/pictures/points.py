"""
The recovery points that a policy holds, and those that a change of it would drop. Imports `policy` and `retention`.

The points are those of a VM that has been backed up for as long as the policy keeps anything, and never without
success. Of a day with several backups the last one goes to the vault (backup-azure-vms-enhanced-policy); the others
last as long as instant restore does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from runbook_lib.parameters import WEEKDAYS
from runbook_lib.policy import terms
from runbook_lib.records import Policy
from runbook_lib.render.pictures.base import BAD, DARK, DIM, GOOD, LIGHT, UNSURE, WIDTH, Picture, Sheet, cut, drawn
from runbook_lib.render.sinks import Lines, Shown, Table, plain
from runbook_lib.retention import lost
from runbook_lib.text import say

__all__ = ["Tier", "Timeline", "kept_points", "lost_points", "timeline"]

# By the name that ARM has for it; the longest last.
_TIERS = {
    "dailySchedule": "daily",
    "weeklySchedule": "weekly",
    "monthlySchedule": "monthly",
    "yearlySchedule": "yearly",
}
_NAMES = {
    "instant": "picture.instant",
    "daily": "picture.daily",
    "weekly": "picture.weekly",
    "monthly": "picture.monthly",
    "yearly": "picture.yearly",
    "all": "picture.all_points",
}
_SHAPES = {"instant": "D", "daily": "o", "weekly": "s", "monthly": "^", "yearly": "p"}
# At most so many days: a schedule's count is in one of them.
_LONGEST = {"Days": 1, "Weeks": 7, "Months": 31, "Years": 366}
_TICKS = (
    (0, "picture.now"),
    (1, "picture.day"),
    (7, "picture.week"),
    (30.4, "picture.month"),
    (91.3, "picture.months_three"),
    (365.25, "picture.year"),
    (1826.3, "picture.years_five"),
    (3652.5, "picture.years_ten"),
    (18262.5, "picture.years_fifty"),
)
# Pixels.
_LEFT, _RIGHT, _LANE, _HEAD, _FOOT = 210, 870, 46, 96, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """
    What one of a policy's schedules holds; a point may be held by several.

    Attributes:
        name: `instant`, `daily`, `weekly`, `monthly` or `yearly`.
        count: of the duration.
        unit: of the duration, in ARM's word.
        points: oldest first.
    """

    name: str
    count: int
    unit: str
    points: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """
    The recovery points that a policy holds at one time.

    Attributes:
        now: in the policy's time zone, like its points.
        points: oldest first, each once.
    """

    policy: str
    now: datetime
    tiers: tuple[Tier, ...]
    points: tuple[datetime, ...]


def timeline(policy: Policy, now: datetime, points: Iterable[datetime] | None = None) -> Timeline | None:
    """
    Tell which recovery points the policy holds; None where its schedule or its retention cannot be understood.

    Args:
        points: those that there are, with the day as the policy counts it; without them, what its schedule makes.
    """
    if lost(policy, (), now) is None:
        return None
    here = _local(policy, now)
    there = _scheduled(policy, here) if points is None else sorted(points)
    if there is None:
        return None
    held = _kept(policy, there, here)
    retention = policy.properties["retentionPolicy"]
    tiers = [_instant(policy, held, here)] if _days(policy) else []
    for schedule, name in _TIERS.items():
        if given := retention.get(schedule):
            alone = replace(policy, properties={"retentionPolicy": {schedule: given}})
            duration = given["retentionDuration"]
            tier = Tier(
                name=name,
                count=int(duration["count"]),
                unit=duration["durationType"],
                points=tuple(_kept(alone, held, here)),
            )
            tiers.append(tier)
    return Timeline(policy=policy.name, now=here, tiers=tuple(tiers), points=tuple(held))


def _local(policy: Policy, now: datetime) -> datetime:
    """
    Put *now* on the policy's clock; where nobody knows its zone, it stays on its own.
    """
    zone = win_tz.get(str(policy.properties.get("timeZone")))
    return now.astimezone(ZoneInfo(zone)) if zone else now


def _kept(policy: Policy, points: Sequence[datetime], now: datetime) -> list[datetime]:
    gone = set(lost(policy, points, now) or ())
    return [each for each in points if each not in gone]


def _days(policy: Policy) -> int:
    days = policy.properties.get("instantRpRetentionRangeInDays")
    return days if isinstance(days, int) and days > 0 else 0


def _instant(policy: Policy, held: Sequence[datetime], now: datetime) -> Tier:
    days = _days(policy)
    oldest = now - timedelta(days=days)
    return Tier(name="instant", count=days, unit="Days", points=tuple(each for each in held if each >= oldest))


def _scheduled(policy: Policy, now: datetime) -> list[datetime] | None:
    """
    List the points that the schedule makes, from before the oldest that can be held until *now*.
    """
    said = terms(policy.properties)
    times = _times(said)
    if not times:
        return None
    span = 1 + max(
        int(given["retentionDuration"]["count"]) * _LONGEST[given["retentionDuration"]["durationType"]]
        for schedule in _TIERS
        if (given := policy.properties["retentionPolicy"].get(schedule))
    )
    newest = now - timedelta(days=_days(policy))
    wanted = said.get("weekly_days", []) if said.get("schedule") == "Weekly" else WEEKDAYS
    points = []
    for back in range(min(span, now.toordinal() - 1), -1, -1):
        midnight = (now - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        if WEEKDAYS[(midnight.weekday() + 1) % len(WEEKDAYS)] not in wanted:
            continue
        day = [midnight.replace(hour=minute // 60, minute=minute % 60) for minute in times]
        points += [each for each in day if each <= now and (each >= newest or each == day[-1])]
    return points


def _times(said: dict[str, Any]) -> list[int]:
    """
    List the minutes of a day at which backups start; nothing where the schedule does not say.
    """
    at = said.get("backup_time", "")
    hours, _, minutes = at.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        return []
    start = int(hours) * 60 + int(minutes)
    match said.get("schedule"):
        case "Daily":
            return [start]
        case "Weekly":
            return [start] if said.get("weekly_days") else []
        case "Hourly":
            interval, window = said.get("hourly_interval", 0), said.get("hourly_duration", 0)
            if interval < 1 or window < 1:
                return []
            return sorted((start + each * 60) % (24 * 60) for each in range(0, min(window, 24), interval))
    return []


def kept_points(policy: Policy, now: datetime, language: str) -> Shown:
    """
    Show which recovery points the policy holds, from which time and how many.
    """
    held = timeline(policy, now)
    if held is None:
        return Lines([say("picture.points_unknown", language, policy=policy.name)])
    caption = say("picture.points", language, policy=policy.name, count=len(held.points))
    rows = [
        {"tier": _tier(each, language), "points": len(each.points), "oldest": _oldest(each.points, language)}
        for each in held.tiers
    ]
    rows.append(_whole(held.points, language))
    said = _said((row["tier"], row["points"], row["oldest"]) for row in rows)
    alternative = say("picture.points_alternative", language, caption=caption, tiers=said)
    notes = (say("picture.points_how", language),)
    table = Table(caption, ("tier", "points", "oldest"), rows, language, notes=notes)
    height = _HEAD + _LANE * len(held.tiers) + _FOOT
    return Picture(
        caption,
        alternative,
        table,
        lambda: drawn(height, lambda sheet: _draw(sheet, caption, [(held, frozenset())], language)),
        language,
    )


def lost_points(
    old: Policy, new: Policy, now: datetime, language: str, points: Iterable[datetime] | None = None
) -> Shown:
    """
    Show which recovery points a change from one policy to another would drop, and what the other one holds in the end.

    Args:
        points: those that an item has; without them, those that the old policy holds.
    """
    there = None if points is None else sorted(points)
    before, after = timeline(old, now, there), timeline(new, now)
    if before is None or after is None:
        unknown = old if before is None else new
        return Lines([say("picture.points_unknown", language, policy=unknown.name)])
    gone = frozenset(lost(new, before.points, before.now) or ())
    facts = {"old": old.name, "new": new.name, "lost": len(gone), "points": len(before.points)}
    caption = say("picture.lost", language, **facts)
    rows = [_change(name, before, after, gone, language) for name in _NAMES]
    rows = [row for row in rows if row]
    said = _said((row["tier"], row["points"], row["lost"], row["points_then"]) for row in rows)
    alternative = say("picture.lost_alternative", language, caption=caption, tiers=said)
    columns = ("tier", "points", "oldest", "lost", "points_then", "oldest_then")
    table = Table(caption, columns, rows, language, notes=(say("picture.points_how", language),))
    height = _HEAD + _LANE * (len(before.tiers) + len(after.tiers) + 2) + _FOOT
    return Picture(
        caption,
        alternative,
        table,
        lambda: drawn(height, lambda sheet: _draw(sheet, caption, [(before, gone), (after, frozenset())], language)),
        language,
    )


def _change(name: str, before: Timeline, after: Timeline, gone: frozenset[datetime], language: str) -> dict[str, Any]:
    """
    Tell of one tier what there is, what goes, and what there will be; nothing where neither policy has it.
    """
    was, then = _of(before, name), _of(after, name)
    if was is None and then is None:
        return {}
    return {
        "tier": say(_NAMES[name], language),
        "points": len(was or ()),
        "oldest": _oldest(was or (), language),
        "lost": len(gone.intersection(was or ())),
        "points_then": len(then or ()),
        "oldest_then": _oldest(then or (), language),
    }


def _of(held: Timeline, name: str) -> tuple[datetime, ...] | None:
    if name == "all":
        return held.points
    return next((tier.points for tier in held.tiers if tier.name == name), None)


def _tier(tier: Tier, language: str) -> str:
    duration = say("picture.duration", language, count=tier.count, unit=plain(tier.unit).lower())
    return say("picture.tier", language, tier=say(_NAMES[tier.name], language), duration=duration)


def _whole(points: Sequence[datetime], language: str) -> dict[str, Any]:
    return {"tier": say(_NAMES["all"], language), "points": len(points), "oldest": _oldest(points, language)}


def _oldest(points: Sequence[datetime], language: str) -> str:
    return points[0].date().isoformat() if points else say("say.none", language)


def _said(rows: Iterable[tuple[object, ...]]) -> str:
    return "; ".join(", ".join(map(str, row)) for row in rows)


def _draw(sheet: Sheet, caption: str, timelines: Sequence[tuple[Timeline, frozenset[datetime]]], language: str) -> None:
    sheet.write(8, 20, cut(caption, WIDTH - 16, size=13, bold=True), size=13, bold=True)
    longest = max((_age(each, held.now) for held, _ in timelines for each in held.points[:1]), default=1.0)
    lanes = sum(len(held.tiers) for held, _ in timelines) + (2 if len(timelines) > 1 else 0)
    _axis(sheet, longest, _HEAD + _LANE * lanes, language)
    y = _HEAD + _LANE / 2
    for held, gone in timelines:
        if len(timelines) > 1:
            title = say("picture.held_by", language, policy=held.policy, count=len(held.points))
            sheet.write(8, y + 6, cut(title, WIDTH - 16, size=11, bold=True), size=11, bold=True)
            y += _LANE
        for tier in held.tiers:
            _lane(sheet, y, tier, held.now, gone, longest, language)
            y += _LANE
    if any(gone for _, gone in timelines):
        sheet.marks([(18, y + 18)], "x", 9, BAD)
        sheet.write(34, y + 18, say("picture.dropped", language), size=9.5)


def _lane(
    sheet: Sheet, y: float, tier: Tier, now: datetime, gone: frozenset[datetime], longest: float, language: str
) -> None:
    sheet.line((_LEFT, y), (_RIGHT, y), color=LIGHT, width=8)
    sheet.write(8, y - 8, say(_NAMES[tier.name], language), bold=True)
    sheet.write(8, y + 10, say("picture.duration", language, count=tier.count, unit=plain(tier.unit).lower()), size=9)
    kept = [(_across(_age(each, now), longest), y) for each in tier.points if each not in gone]
    dropped = [(_across(_age(each, now), longest), y) for each in tier.points if each in gone]
    sheet.marks(kept, _SHAPES[tier.name], 11, UNSURE if tier.name == "instant" else GOOD, "white")
    sheet.marks(dropped, "x", 9, BAD)
    count = say("picture.count", language, count=len(tier.points))
    if dropped:
        count = say("picture.count_dropped", language, points=len(tier.points), lost=len(dropped))
    sheet.write(_RIGHT + 24, y - 8, count, bold=True, color=BAD if dropped else DARK)
    sheet.write(_RIGHT + 24, y + 10, say("picture.oldest", language, day=_oldest(tier.points, language)), size=9)


def _axis(sheet: Sheet, longest: float, bottom: float, language: str) -> None:
    for days, name in _TICKS:
        if days <= longest:
            x = _across(days, longest)
            sheet.line((x, _HEAD - 22), (x, bottom), color=LIGHT)
            sheet.write(x, _HEAD - 34, say(name, language), size=9, color=DIM, align="center")


def _age(point: datetime, now: datetime) -> float:
    return max((now - point) / timedelta(days=1), 0.0)


def _across(days: float, longest: float) -> float:
    """
    Place an age on the sheet: now at the right, and the older, the closer together.
    """
    return _RIGHT - (_RIGHT - _LEFT) * math.log1p(days) / math.log1p(longest)
