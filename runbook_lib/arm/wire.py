"""
Members of ARM's JSON as one type each, whatever was answered: absent, null and another type are empty.

Imports `parameters` for the spelling of regions.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from runbook_lib.naming import location_name

__all__ = [
    "Json",
    "as_list",
    "as_number",
    "as_object",
    "as_text",
    "base",
    "http_date",
    "id_of",
    "located",
    "name_of",
    "properties_of",
    "state_of",
]

Json = dict[str, Any]


def as_object(value: Any) -> Json:
    """
    Return *value* if it is an object, else an empty one.
    """
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """
    Return *value* if it is a list, else an empty one.
    """
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """
    Return *value* if it is a text, else an empty one.
    """
    return value if isinstance(value, str) else ""


def as_number(value: Any, otherwise: int = 0) -> int:
    """
    Return *value* if it is a whole number, else *otherwise*.
    """
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def properties_of(row: Json) -> Json:
    """
    Return the `properties` of a resource.
    """
    return as_object(row.get("properties"))


def state_of(properties: Json) -> str:
    """
    Return how far the service is with what it was asked to make, in small letters.
    """
    return as_text(properties.get("provisioningState")).lower()


def id_of(value: Any) -> str:
    """
    Return the id of a reference `{"id": …}`.
    """
    # One text for a resource and for all that refer to it.
    return sys.intern(as_text(as_object(value).get("id")))


def name_of(row: Json) -> str:
    """
    Return the name of a resource, from its id where it has none of its own.
    """
    return as_text(row.get("name")) or as_text(row.get("id")).rstrip("/").rsplit("/", 1)[-1]


def base(row: Json) -> Json:
    """
    Return the fields of a `Resource`.
    """
    return {"id": sys.intern(as_text(row.get("id"))), "name": name_of(row)}


def located(row: Json) -> Json:
    """
    Return the fields of a `Resource` that has a region.
    """
    # One text for all that lie there: an estate has few regions and many resources.
    return base(row) | {"location": sys.intern(location_name(as_text(row.get("location"))))}


def http_date(said: str) -> datetime | None:
    """
    Read a `Date` header, aware; None where it is none. Without a zone, or with that of nowhere, it is UTC.
    """
    try:
        read = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
