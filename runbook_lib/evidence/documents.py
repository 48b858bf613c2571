"""
The JSON files of a run folder, written whole or not at all. Imports `errors`, `records` and `text`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runbook_lib.errors import BrokenEvidence
from runbook_lib.records import encode, opened
from runbook_lib.text import inert

__all__ = ["MALFORMED", "check_file", "read_json", "write_json"]

# What reading a document that is not what it should be can end in.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class _Inert(json.JSONEncoder):
    """
    JSON that a terminal may show: letters stay as they are, what commands is escaped.
    """

    def encode(self, o: Any) -> str:
        return inert(super().encode(o))


_JSON = _Inert(ensure_ascii=False).encode


def write_json(path: Path, value: Any, *, depth: int = 2) -> None:
    """
    Write *value* (records allowed) as JSON, whole or not at all.

    Args:
        depth: how many levels have a line for each of their elements; what is below stands in its element's line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        # Texts from Azure can hold half a surrogate pair: its escape is valid JSON, its bytes would be no UTF-8.
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            # Piece by piece: what is said of 50,000 VMs is never in memory as one text.
            file.writelines(_pieces(value, depth, "\n"))
            file.write("\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _pieces(value: Any, depth: int, line: str) -> Iterator[str]:
    taken = opened(value)
    if not depth or not taken or not isinstance(taken, dict | list | tuple):
        yield _JSON(encode(value))
        return
    below = f"{line} "
    if isinstance(taken, dict):
        between = "{"
        for name, here in taken.items():
            yield f"{between}{below}{_JSON(str(name))}: "
            yield from _pieces(here, depth - 1, below)
            between = ","
        yield f"{line}}}"
        return
    between = "["
    for here in taken:
        yield f"{between}{below}"
        yield from _pieces(here, depth - 1, below)
        between = ","
    yield f"{line}]"


def check_file(path: Path) -> None:
    """
    Refuse what a link or a pipe leads to in place of a file: it is not in the folder, and reading it may never end.

    Raises:
        BrokenEvidence: there is something else in its place.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise BrokenEvidence("evidence_no_file", resource=str(path))


def read_json(path: Path) -> Any:
    """
    Read a JSON file of a run folder.

    Raises:
        BrokenEvidence: it is missing, no file of its own, or not JSON.
    """
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BrokenEvidence("evidence_missing", resource=str(path.parent), file=path.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(path), problem=str(error)) from error
