"""
The readiness of all VMs at a glance: a line for each VM, a column for each check. Imports `checks`, and `base` draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from runbook_lib.checks import CATALOGUE
from runbook_lib.records import Finding, Inventory, Status, Verdict, VmVerdict, key
from runbook_lib.render.pictures.base import (
    BAD,
    DARK,
    DIM,
    GOOD,
    LIGHT,
    MAYBE,
    UNSURE,
    WIDTH,
    Picture,
    Sheet,
    cut,
    drawn,
)
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["MOST_LINES", "Matrix", "MatrixRow", "matrix", "matrix_data"]

# Of more VMs than this, those that look alike share a line; of more lines, the worst are shown.
MOST_LINES = 60
_CHECKS = tuple(check.id for check in CATALOGUE)
_STATUSES = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS, Status.NOT_NEEDED)
# By letter, colour of the square and of the letter.
_LOOKS = {
    Status.FAIL: ("F", BAD, "white"),
    Status.UNKNOWN: ("?", "#cfe6f5", UNSURE),
    Status.WARN: ("W", MAYBE, DARK),
    Status.PASS: ("✓", "#d9efe8", GOOD),
    Status.NOT_NEEDED: ("–", LIGHT, DIM),
}
_MEANINGS = {
    Status.FAIL: "picture.fail",
    Status.UNKNOWN: "picture.unknown",
    Status.WARN: "picture.warn",
    Status.PASS: "picture.pass",
    Status.NOT_NEEDED: "picture.not_needed",
}
_VERDICTS = {
    Verdict.BLOCKED: BAD,
    Verdict.UNDETERMINED: UNSURE,
    Verdict.PROTECTED: GOOD,
    Verdict.ENABLED: GOOD,
    Verdict.READY: DARK,
}
_WORST_NAMED = 5
# Pixels.
_NAMES, _VERDICT, _CELL, _SQUARE, _LINE, _HEAD, _FOOT = 226, 114, 22, 17, 21, 262, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """
    A line of the matrix: one VM, or several that look alike.

    Attributes:
        name: of the VM, or of the first of them.
        count: how many VMs they are.
        cells: what each check found, in the catalogue's order; None where it was not made.
        decisive: ids of the checks that decided the verdict.
    """

    name: str
    count: int
    verdict: Verdict
    cells: tuple[Status | None, ...]
    decisive: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """
    What the picture has to show.

    Attributes:
        rows: the worst first.
        total: number of VMs.
        shown: how many of them the rows stand for.
        verdicts: how many VMs each verdict has.
        found: how often each check found what.
    """

    rows: tuple[MatrixRow, ...]
    total: int
    shown: int
    verdicts: Mapping[Verdict, int]
    found: Mapping[str, Mapping[Status, int]]


def matrix_data(inventory: Inventory, now: Sequence[VmVerdict], found: Iterable[Finding]) -> Matrix:
    """
    Put the findings on VMs in lines: the worst first, by verdict and by what was found.

    Args:
        now: where the VMs stand, one verdict for each.
    """
    cells: dict[str, dict[str, Status]] = {}
    counted: dict[str, Counter[Status]] = {check: Counter() for check in _CHECKS}
    for each in found:
        cells.setdefault(each.resource, {})[each.check] = each.status
        counted[each.check][each.status] += 1
    by_key = {key(vm): own for vm, own in cells.items()}
    rows = sorted(
        (
            MatrixRow(
                name=name,
                count=1,
                verdict=each.verdict,
                cells=tuple(by_key.get(key(each.vm), {}).get(check) for check in _CHECKS),
                decisive=each.decisive,
            )
            for each, name in zip(now, _names(inventory, now), strict=True)
        ),
        key=_badness,
    )
    lines = rows if len(rows) <= MOST_LINES else _alike(rows)
    shown = tuple(lines[:MOST_LINES])
    return Matrix(
        rows=shown,
        total=len(rows),
        shown=sum(row.count for row in shown),
        verdicts=Counter(each.verdict for each in now),
        found=counted,
    )


def _names(inventory: Inventory, now: Sequence[VmVerdict]) -> list[str]:
    """
    Name the VMs; with their resource group where two have one name.
    """
    vms = [inventory.vms[key(each.vm)] for each in now]
    named = Counter(vm.name.lower() for vm in vms)
    return [f"{inventory.group_name(vm)}/{vm.name}" if named[vm.name.lower()] > 1 else vm.name for vm in vms]


def _badness(row: MatrixRow) -> tuple[object, ...]:
    counted = Counter(row.cells)
    return (tuple(Verdict).index(row.verdict), *(-counted[status] for status in _STATUSES[:3]), *_look(row), row.name)


def _look(row: MatrixRow) -> tuple[object, ...]:
    return row.verdict, row.decisive, tuple(str(cell) for cell in row.cells)


def _alike(rows: Iterable[MatrixRow]) -> list[MatrixRow]:
    """
    Make one line of those that look alike; they stand together.
    """
    lines = []
    for _, group in groupby(rows, key=_look):
        first, *others = group
        lines.append(
            MatrixRow(
                name=first.name,
                count=1 + len(others),
                verdict=first.verdict,
                cells=first.cells,
                decisive=first.decisive,
            )
        )
    return lines


def matrix(inventory: Inventory, now: Sequence[VmVerdict], found: Iterable[Finding], language: str) -> Picture:
    """
    Show where each VM stands and what each check found on it.
    """
    data = matrix_data(inventory, now, found)
    caption = _caption(data, language)
    return Picture(
        caption,
        _alternative(data, caption, language),
        _table(data, caption, language),
        lambda: drawn(_HEAD + _LINE * len(data.rows) + _FOOT, lambda sheet: _draw(sheet, data, caption, language)),
        language,
    )


def _caption(data: Matrix, language: str) -> str:
    facts = {"total": data.total, "checks": len(_CHECKS)}
    if data.shown < data.total:
        return say("picture.matrix_worst", language, shown=data.shown, lines=len(data.rows), **facts)
    if len(data.rows) < data.total:
        return say("picture.matrix_grouped", language, lines=len(data.rows), **facts)
    return say("picture.matrix", language, **facts)


def _alternative(data: Matrix, caption: str, language: str) -> str:
    verdicts = ", ".join(f"{each.value} {data.verdicts[each]}" for each in Verdict if data.verdicts.get(each))
    worst = sorted(_CHECKS, key=lambda check: (-data.found[check][Status.FAIL], -data.found[check][Status.UNKNOWN]))
    named = [
        f"{say(f'check.{check}.title', language)} {data.found[check][Status.FAIL]}"
        for check in worst[:_WORST_NAMED]
        if data.found[check][Status.FAIL]
    ]
    said = say("picture.matrix_alternative", language, caption=caption, verdicts=verdicts)
    return " ".join([said, say("picture.matrix_fails", language, checks=", ".join(named))]) if named else said


def _table(data: Matrix, caption: str, language: str) -> Table:
    rows = [
        {
            "check": say(f"check.{check}.title", language),
            "fail": data.found[check][Status.FAIL],
            "unclear": data.found[check][Status.UNKNOWN],
            "warn": data.found[check][Status.WARN],
            "pass": data.found[check][Status.PASS],
            "not_needed": data.found[check][Status.NOT_NEEDED],
        }
        for check in _CHECKS
    ]
    return Table(caption, ("check", "fail", "unclear", "warn", "pass", "not_needed"), rows, language)


def _draw(sheet: Sheet, data: Matrix, caption: str, language: str) -> None:
    left = _NAMES + _VERDICT
    sheet.write(8, 20, cut(caption, WIDTH - 16, size=13, bold=True), size=13, bold=True)
    for column, check in enumerate(_CHECKS):
        title = cut(say(f"check.{check}.title", language), 232, size=9)
        sheet.write(left + _CELL * (column + 0.6), _HEAD - 6, title, size=9, angle=62)
    places: dict[Status, list[tuple[float, float]]] = {status: [] for status in _STATUSES}
    for line, row in enumerate(data.rows):
        y = _HEAD + _LINE * (line + 0.5)
        if line and row.verdict is not data.rows[line - 1].verdict:
            sheet.line((0, y - _LINE / 2), (WIDTH, y - _LINE / 2))
        more = say("picture.more", language, count=row.count - 1) if row.count > 1 else ""
        sheet.write(8, y, cut(f"{row.name} {more}".strip(), _NAMES - 12))
        sheet.write(_NAMES, y, row.verdict.value, size=8.5, bold=True, color=_VERDICTS[row.verdict])
        for column, (check, cell) in enumerate(zip(_CHECKS, row.cells, strict=True)):
            place = (left + _CELL * (column + 0.5), y)
            if cell is not None:
                places[cell].append(place)
            if check in row.decisive:
                _frame(sheet, place)
    for status, found in places.items():
        letter, fill, color = _LOOKS[status]
        sheet.boxes(found, _SQUARE, fill)
        sheet.letters(found, letter, 9, color)
    _legend(sheet, _HEAD + _LINE * len(data.rows) + 22, language)


def _legend(sheet: Sheet, y: float, language: str) -> None:
    x = 18.0
    for status in _STATUSES:
        letter, fill, color = _LOOKS[status]
        sheet.boxes([(x, y)], _SQUARE, fill)
        sheet.letters([(x, y)], letter, 9, color)
        sheet.write(x + 16, y, say(_MEANINGS[status], language), size=9.5)
        x += 168
    _frame(sheet, (x, y))
    sheet.write(x + 18, y, say("picture.decides", language), size=9.5)


def _frame(sheet: Sheet, place: tuple[float, float]) -> None:
    side = _SQUARE + 2
    sheet.box(place[0] - side / 2, place[1] - side / 2, side, side, fill="none", edge=DARK, line=1.8)
