"""
Tables as HTML, plain text and CSV, and the one escape function for each sink. No widgets, no Jupyter.

Text from Azure (names, tags, messages) is hostile until it has passed `escape`, `plain` or `csv_cell`.
Imports pandas and `text`.
"""

from __future__ import annotations

import html
import itertools
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from runbook_lib.text import DEFAULT_LANGUAGE, plain, say

__all__ = ["Lines", "Shown", "Table", "csv_cell", "escape", "plain"]

# No column is wrapped to less.
_NARROWEST = 12
_LONGEST_WORD = 40
# Full-width forms count as well: spreadsheets of East Asian locales take them for the plain ones.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def escape(value: object) -> str:
    """
    Make *value* safe as the text of an HTML element or attribute.
    """
    return html.escape(plain(value), quote=True)


def csv_cell(value: object) -> str:
    """
    Make *value* safe for a spreadsheet: what would start a formula is taken as text (OWASP, CSV injection).
    """
    said = plain(value)
    return f"'{said}" if said.startswith(_FORMULA) else said


class Shown(ABC):
    """
    Something that a notebook shows, as HTML where that is possible and as text everywhere.
    """

    @abstractmethod
    def html(self) -> str:
        """
        Return the HTML form.
        """

    @abstractmethod
    def text(self) -> str:
        """
        Return the plain form.
        """

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}

    def __repr__(self) -> str:
        return self.text()


class Lines(Shown):
    """
    Sentences, one to a line.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)

    def html(self) -> str:
        """
        Return one paragraph per line.
        """
        return "\n".join(f"<p>{escape(line)}</p>" for line in self.lines)

    def text(self) -> str:
        """
        Return the lines.
        """
        return "\n".join(plain(line) for line in self.lines)


class Table(Shown):
    """
    A captioned table: a real HTML table with scopes, or aligned text.

    Attributes:
        caption: what the table shows.
        frame: its content; column names are ids of `column.<id>` texts.
    """

    def __init__(
        self,
        caption: str,
        columns: Sequence[str],
        rows: Iterable[Mapping[str, Any]],
        language: str = DEFAULT_LANGUAGE,
        notes: Sequence[str] = (),
    ) -> None:
        self.caption = caption
        # Values stay what they are: pandas would turn whole numbers beside a None into fractions.
        self.frame = pd.DataFrame(
            [{name: row.get(name, "") for name in columns} for row in rows], columns=list(columns), dtype=object
        )
        self.titles = [say(f"column.{name}", language) for name in columns]
        self.notes = tuple(notes)

    def _cells(self) -> list[list[str]]:
        return [[str(cell) for cell in row] for row in self.frame.itertuples(index=False, name=None)]

    def html(self) -> str:
        """
        Return a table whose first column heads its row.
        """
        if not len(self.frame):
            said = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
            return f"<p><b>{escape(self.caption)}</b></p>{said}"
        head = "".join(f'<th scope="col" style="text-align:left">{escape(title)}</th>' for title in self.titles)
        body = "\n".join(f"<tr>{_row(cells)}</tr>" for cells in self._cells())
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f'<table><caption style="text-align:left;font-weight:bold">{escape(self.caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>{notes}"
        )

    def text(self, width: int | None = None) -> str:
        """
        Return aligned columns under the caption.

        Args:
            width: in characters; the widest columns are wrapped until the table fits.
        """
        if not len(self.frame):
            return "\n".join([plain(self.caption), *(plain(note) for note in self.notes)])
        rows = [self.titles, *([plain(cell) for cell in cells] for cells in self._cells())]
        widths = _fitting([max(len(row[column]) for row in rows) for column in range(len(self.titles))], width)
        lines = [line for row in rows for line in _laid_out(row, widths)]
        lines.insert(len(_laid_out(rows[0], widths)), "  ".join("-" * each for each in widths))
        return "\n".join([plain(self.caption), *lines, *(plain(note) for note in self.notes)])

    def write_csv(self, path: Path) -> None:
        """
        Write the table for spreadsheets, quoted throughout.
        """
        self.frame.map(csv_cell).to_csv(path, index=False, quoting=1, lineterminator="\n")


def _fitting(widths: list[int], width: int | None) -> list[int]:
    """
    Narrow the widest columns until all fit into *width*, but none below what can be read.
    """
    fitting = list(widths)
    while width is not None and sum(fitting) + 2 * (len(fitting) - 1) > width and max(fitting) > _NARROWEST:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _laid_out(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""] if len(cell) > width else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in itertools.zip_longest(*cells, fillvalue="")
    ]


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return "".join(
        [
            f'<th scope="row" style="text-align:left">{escape(first)}</th>',
            *(f'<td style="text-align:left{_breaking(cell)}">{escape(cell)}</td>' for cell in rest),
        ]
    )


def _breaking(cell: str) -> str:
    # An ARM id is one long word: unbroken, it pushes the table over the edge of the page, where it is cut.
    return ";overflow-wrap:anywhere" if any(len(word) > _LONGEST_WORD for word in cell.split()) else ""
