"""
The cells of the fault matrix: every call of the job by every fault, and why some of the pairs are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from faults.calls import CALLS, Call
from faults.kinds import FAULTS, REASONS, RESTING, Form, Kind, removal

__all__ = ["AFTER_ANSWER", "AFTER_SEND", "BEFORE_SEND", "Cell", "cells", "missing", "summary"]

BEFORE_SEND, AFTER_SEND, AFTER_ANSWER = "before-the-send", "after-the-send", "after-the-answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """
    One cell: a call that meets a form of a fault.

    Args:
        form: None where a process is killed or a second operator comes.
        point: where the process is killed.
    """

    call: Call
    kind: Kind
    form: Form | None = None
    point: str = ""

    @property
    def id(self) -> str:
        """
        Name the cell.
        """
        return "-".join(
            each for each in (self.call.name, self.kind.id, self.form.name if self.form else self.point) if each
        )

    @property
    def ends(self) -> frozenset[int]:
        """
        Return the exit codes that the job may end with.
        """
        if self.form is None:
            return RESTING
        ends = self.form.ends.get(self.call.does, self.form.ends.get("*", RESTING))
        return ends if self.call.needed else ends | {0}


@cache
def cells() -> tuple[Cell, ...]:
    """
    List all cells.
    """
    return tuple(cell for place, call in enumerate(CALLS) for kind in FAULTS for cell in _cells(place, call, kind))


def _cells(place: int, call: Call, kind: Kind) -> Iterator[Cell]:
    if reason(call, kind):
        return
    if kind.id == "F13":
        points = (BEFORE_SEND, AFTER_SEND, AFTER_ANSWER) if call.does == "write" else (AFTER_SEND,)
        yield from (Cell(call=call, kind=kind, point=point) for point in points)
        return
    if kind.id == "F14":
        yield Cell(call=call, kind=kind)
        return
    forms = [removal(each) for each in call.gone] if kind.id == "F8" else list(kind.forms)
    forms = [form for form in forms if not form.only or call.does in form.only]
    if not call.thorough and kind.id != "F8":
        forms = _in_turns(place, call, forms)
    yield from (Cell(call=call, kind=kind, form=form) for form in forms)


def _in_turns(place: int, call: Call, forms: list[Form]) -> list[Form]:
    """
    Choose the form of a fault that is a call's turn; a write also meets one in which the service acted.
    """
    acted = [form for form in forms if form.name.endswith(("after", "after-effect")) and call.does == "write"]
    rest = [form for form in forms if form not in acted]
    return [some[place % len(some)] for some in (rest, acted) if some]


def reason(call: Call, kind: Kind) -> str:
    """
    Say why a fault cannot happen to a call; empty when it can.
    """
    if kind.id == "F13" and call.led_by:
        return REASONS["F13", "led"]
    if call.does not in kind.on:
        return REASONS.get((kind.id, call.does)) or REASONS[kind.id, "*"]
    lacks = (kind.id == "F8" and not call.gone) or (
        kind.id in ("F10", "F11") and ((call.does == "write" and not call.lasts) or call.led_by)
    )
    return REASONS[kind.id, ""] if lacks else ""


def missing() -> dict[str, int]:
    """
    Count the pairs of a call and a fault that are no cells, by the reason.
    """
    return dict(Counter(said for call in CALLS for kind in FAULTS if (said := reason(call, kind))))


def summary() -> list[str]:
    """
    Say how large the matrix is and what it leaves out.
    """
    made = cells()
    pairs = len({(cell.call.name, cell.kind.id) for cell in made})
    lines = [
        f"{len(CALLS)} calls x {len(FAULTS)} faults: {len(made)} cells for {pairs} pairs;"
        f" {sum(missing().values())} pairs cannot happen"
    ]
    lines += [f"  {count:3} {said}" for said, count in sorted(missing().items(), key=lambda each: -each[1])]
    return lines
