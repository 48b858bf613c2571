"""
The `$filter` of the lists that the sandbox serves: equalities joined by `and`. Imports the standard library only.
"""

from __future__ import annotations

import re

__all__ = ["parse_filter"]

_CLAUSE = re.compile(r"\s*'?(?P<name>[\w/]+)'?\s+eq\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<bare>[^\s']+))\s*")
_AND = re.compile(r"and(?=\s)", re.IGNORECASE)


def parse_filter(text: str) -> dict[str, str]:
    """
    Return the values that a filter asks for, by lower-cased name; an empty filter asks for none.

    Raises:
        ValueError: *text* is not a chain of `name eq 'value'`.
    """
    wanted: dict[str, str] = {}
    place = 0
    while text.strip():
        clause = _CLAUSE.match(text, place)
        if clause is None:
            raise ValueError(f"'{text}' is not understood at position {place}")
        value = clause["bare"] if clause["text"] is None else clause["text"].replace("''", "'")
        wanted[clause["name"].lower()] = value
        place = clause.end()
        if place == len(text):
            break
        joint = _AND.match(text, place)
        if joint is None:
            raise ValueError(f"'{text}' is not understood at position {place}")
        place = joint.end()
    return wanted
