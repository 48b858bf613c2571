"""
What holds for every read, whatever its provider: ARM compares paths without regard to case, the pages of a list are the
list, and what a filter excludes is not in it.

Imports `recordings` and `stage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fidelity.recordings import Exchange
from fidelity.stage import Stage

from runbook_lib.sandbox.odata import parse_filter

__all__ = ["excludes", "filtered_wrongly", "read_faults"]

_MOST_PAGES = 50
_MOMENTS = frozenset({"enddate", "endtime", "startdate", "starttime"})


def read_faults(exchange: Exchange, stage: Stage) -> list[str]:
    """
    Ask a read of *stage* again, its path in capitals and its list in pages of one row, and tell what is wrong.
    """
    request, status = exchange["request"], exchange["response"]["status"]
    if request["method"] != "GET" or status >= 300:
        return []
    found = []
    capitals = stage.send("GET", _in_capitals(exchange), kept=False)
    if capitals["response"]["status"] != status:
        found.append(f"{request['uri']} in capitals is answered with {capitals['response']['status']}")
    rows = _rows(exchange)
    if len(rows) > 1 and _paged(exchange, stage) != rows:
        found.append(f"{request['uri']} in pages of one row is another list")
    return found


def filtered_wrongly(traffic: Iterable[Exchange]) -> list[str]:
    """
    Return the requests whose answers have a row that their filter excludes.
    """
    return [each["request"]["uri"] for each in traffic if each["response"]["status"] == 200 and _has_excluded(each)]


def excludes(exchange: Exchange, row: dict[str, Any]) -> bool:
    """
    Tell whether the filter of a list excludes a row, by the members of its properties that the filter names.
    """
    query = {name.lower(): text for name, text in parse_qsl(urlsplit(exchange["request"]["uri"]).query)}
    own = {name.lower(): value for name, value in (row.get("properties") or {}).items() if isinstance(value, str)}
    try:
        wanted = parse_filter(query.get("$filter", ""))
    except ValueError:
        # Some filters are functions, which name no members.
        return False
    return any(own[name].lower() != wanted[name].lower() for name in own.keys() & wanted.keys() - _MOMENTS)


def _in_capitals(exchange: Exchange) -> str:
    """
    Return the URI of a request with the fixed words of its path in capitals.
    """
    uri, words = exchange["request"]["uri"], exchange["operation"].partition(" ")[2].split("/")
    path = urlsplit(uri).path
    parts = [part if word.startswith("{") else part.upper() for part, word in zip(path.split("/"), words, strict=True)]
    return str(uri.replace(path, "/".join(parts), 1))


def _paged(exchange: Exchange, stage: Stage) -> list[Any]:
    stage.make_pages_small()
    rows: list[Any] = []
    uri: str | None = exchange["request"]["uri"]
    for _ in range(_MOST_PAGES):
        if not uri:
            break
        page = stage.send("GET", uri, kept=False)
        rows += _rows(page)
        uri = (page["response"]["body"] or {}).get("nextLink")
    return rows


def _rows(exchange: Exchange) -> list[Any]:
    body = exchange["response"]["body"]
    value = body.get("value") if isinstance(body, dict) else None
    return [row.get("id", row) for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _has_excluded(exchange: Exchange) -> bool:
    body = exchange["response"]["body"]
    rows = body.get("value", ()) if isinstance(body, dict) else ()
    return isinstance(rows, list) and any(isinstance(row, dict) and excludes(exchange, row) for row in rows)
