"""
Tables as HTML, plain text and CSV, and the one escape function for each sink. No widgets, no Jupyter.

Text from Azure (names, tags, messages) is hostile until it has passed `escape`, `plain` or `csv_cell`.
Imports `text`, and pandas late.
"""

from __future__ import annotations

import csv
import html
import itertools
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.text import DEFAULT_LANGUAGE, plain, say

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["MOST_ROWS", "Lines", "Shown", "Stack", "Table", "csv_cell", "escape", "plain"]

# What a notebook shows of one table: it has up to nine of them, each as HTML and as text, and stays below 5 MB.
MOST_ROWS = 200
MOST_CHARACTERS = 120_000
WIDEST = 400
# Jupyter would set what stands between two dollar signs as a formula, in names as well.
_PLAIN = ' class="tex2jax_ignore mathjax_ignore"'
# No column is wrapped to less.
_NARROWEST = 12
_LONGEST_WORD = 18
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
        return "\n".join(f"<p{_PLAIN}>{escape(line)}</p>" for line in self.lines)

    def text(self) -> str:
        """
        Return the lines.
        """
        return "\n".join(plain(line) for line in self.lines)


class Stack(Shown):
    """
    Several things, one under the other.
    """

    def __init__(self, parts: Iterable[Shown]) -> None:
        self.parts = tuple(parts)

    def html(self) -> str:
        """
        Return the parts, each in its HTML form.
        """
        return "\n".join(part.html() for part in self.parts)

    def text(self) -> str:
        """
        Return the parts with an empty line between them.
        """
        return "\n\n".join(part.text() for part in self.parts)


class Table(Shown):
    """
    A captioned table: a real HTML table with scopes, or aligned text.

    Attributes:
        caption: what the table shows.
        columns: ids of `column.<id>` texts.
        rows: its content, all of it.
        whole: name of the file that has all rows, where only the first are shown.
    """

    def __init__(
        self,
        caption: str,
        columns: Sequence[str],
        rows: Iterable[Mapping[str, Any]],
        language: str = DEFAULT_LANGUAGE,
        notes: Sequence[str] = (),
        ranks: Sequence[int] | None = None,
    ) -> None:
        """
        Make a table.

        Args:
            ranks: of each row; where only the first rows are shown, those of the lowest rank are.
        """
        self.caption = caption
        self.columns = tuple(columns)
        self.rows = [tuple(row.get(name, "") for name in columns) for row in rows]
        self.titles = [say(f"column.{name}", language) for name in columns]
        self.notes = tuple(notes)
        self.whole = ""
        self._language = language
        self._ranks = ranks

    @cached_property
    def frame(self) -> DataFrame:
        """
        The table for whoever wants to calculate with it.
        """
        # Imported here: it costs 0.3 s, and nothing that is shown needs it.
        from pandas import DataFrame

        # Values stay what they are: pandas would turn whole numbers beside a None into fractions.
        return DataFrame(self.rows, columns=list(self.columns), dtype=object)

    @property
    def is_long(self) -> bool:
        """
        Whether there is more than a notebook should show.
        """
        return len(self._first) < len(self.rows)

    @cached_property
    def _first(self) -> list[int]:
        """
        The places of the rows that a notebook has room for, in the order in which it shows them.
        """
        places = list(range(len(self.rows)))
        if self._ranks is not None:
            places.sort(key=self._ranks.__getitem__)
        characters = 0
        for count, place in enumerate(places[:MOST_ROWS]):
            characters += sum(len(str(cell)) for cell in self.rows[place])
            if characters > MOST_CHARACTERS and count:
                return places[:count]
        return places[:MOST_ROWS]

    def put_worst_first(self) -> None:
        """
        Order the rows by their ranks, not only where a beginning of them is shown.
        """
        ranks = self._ranks or ()
        self.rows = [self.rows[place] for place in sorted(range(len(self.rows)), key=ranks.__getitem__)]
        self._ranks = sorted(ranks)

    def _shown(self) -> tuple[str, list[list[str]]]:
        """
        Return the caption and the cells of the rows that are shown: all of them, unless a file has the others.
        """
        places: Iterable[int] = range(len(self.rows))
        caption = self.caption
        if self.whole and self.is_long:
            places = self._first
            facts = {"shown": len(self._first), "count": len(self.rows), "file": self.whole}
            cut = say("say.table_cut" if self._ranks is None else "say.table_cut_worst", self._language, **facts)
            caption = f"{caption} {cut}"
        return caption, [[str(cell) for cell in self.rows[each]] for each in places]

    def html(self) -> str:
        """
        Return a table whose first column heads its row.
        """
        notes = "".join(f"<p{_PLAIN}>{escape(note)}</p>" for note in self.notes)
        if not self.rows:
            return f"<p{_PLAIN}><b>{escape(self.caption)}</b></p>{notes}"
        caption, rows = self._shown()
        head = "".join(f'<th scope="col" style="text-align:left">{escape(title)}</th>' for title in self.titles)
        body = "\n".join(f"<tr>{_row(cells)}</tr>" for cells in rows)
        return (
            f'<table{_PLAIN}><caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>{notes}"
        )

    def text(self, width: int | None = None) -> str:
        """
        Return aligned columns under the caption.

        Args:
            width: in characters; the widest columns are wrapped until the table fits.
        """
        notes = [plain(note) for note in self.notes]
        if not self.rows:
            return "\n".join([plain(self.caption), *notes])
        caption, shown = self._shown()
        rows = [self.titles, *([plain(cell) for cell in cells] for cells in shown)]
        # One cell of a whole page must not make every row that wide.
        most = [min(max(len(row[column]) for row in rows), WIDEST) for column in range(len(self.titles))]
        widths = most if width is None else _fitting(most, width)
        laid_out = [_laid_out(row, widths, wraps=width is not None) for row in rows]
        laid_out.insert(1, ["  ".join("-" * each for each in widths)])
        lines = list(itertools.chain.from_iterable(laid_out))
        return "\n".join([plain(caption), *lines, *notes])

    def write_csv(self, path: Path) -> None:
        """
        Write all rows for spreadsheets, quoted throughout.
        """
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(map(csv_cell, row) for row in self.rows)


def _fitting(widths: list[int], width: int) -> list[int]:
    """
    Narrow the widest columns until all fit into *width*, but none below what can be read.
    """
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > width and max(fitting) > _NARROWEST:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _laid_out(row: Sequence[str], widths: Sequence[int], *, wraps: bool) -> list[str]:
    cells = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""] if wraps and len(cell) > width else [cell]
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
