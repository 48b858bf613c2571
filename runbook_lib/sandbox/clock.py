"""
How the sandbox writes moments and durations, in the forms that Azure Resource Manager uses.

Imports the standard library only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

__all__ = [
    "arm_time",
    "compute_time",
    "etag_of",
    "http_date",
    "iso_duration",
    "parse_time",
    "routing_time",
    "span",
    "span_of",
]


def arm_time(moment: datetime) -> str:
    """
    Write a moment with seven decimals, as the service does: `2024-04-28T06:35:04.3193040Z`.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def compute_time(moment: datetime) -> str:
    """
    Write a moment as Compute does, with the zone in numbers: `2024-04-28T06:35:04.3193040+00:00`.
    """
    return arm_time(moment).removesuffix("Z") + "+00:00"


def etag_of(moment: datetime) -> str:
    """
    Write the etag of a vault, which is the moment of its last change.
    """
    return f"W/\"datetime'{quote(arm_time(moment))}'\""


def http_date(moment: datetime) -> str:
    """
    Write a moment for the `Date` header.
    """
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def iso_duration(seconds: float) -> str:
    """
    Write a duration as jobs carry it: `PT1H56M16.923667S`.
    """
    whole, fraction = divmod(max(seconds, 0.0), 1)
    minutes, rest = divmod(int(whole), 60)
    hours, minutes = divmod(minutes, 60)
    hour_part = f"{hours}H" if hours else ""
    minute_part = f"{minutes}M" if hours or minutes else ""
    return f"PT{hour_part}{minute_part}{rest + fraction:.6f}".rstrip("0").rstrip(".") + "S"


def parse_time(text: str) -> datetime:
    """
    Read a moment as the service writes it; more than six decimals are cut, a missing zone means UTC.

    Raises:
        ValueError: *text* is not an ISO 8601 moment.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def routing_time(moment: datetime) -> str:
    """
    Write a moment for the `x-ms-routing-request-id` header.
    """
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def span(duration: timedelta) -> str:
    """
    Write a time span as soft-deleted items carry it: `13.23:59:42.8656000`.
    """
    left = max(duration, timedelta())
    minutes, seconds = divmod(left.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{left.days}.{hours:02}:{minutes:02}:{seconds:02}.{left.microseconds:06}0"


def span_of(seconds: float) -> str:
    """
    Write a span of whole seconds below a day as the front door writes the interval of a limit: `01:00:00`.
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"
