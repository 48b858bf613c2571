"""
How a benchmark tells its figures: one line each, with the target and whether it was reached.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Figure", "conditions", "report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    A measured figure and the most that it may be.
    """

    what: str
    value: float
    most: float
    unit: str

    @property
    def reached(self) -> bool:
        """
        Tell whether the target is reached.
        """
        return self.value <= self.most


def conditions() -> str:
    """
    Say where the figures were measured.
    """
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, simulated Azure"


def report(title: str, figures: list[Figure], notes: Sequence[str] = ()) -> int:
    """
    Print *figures* and return the exit code: 0 when all targets are reached, else 1.

    Args:
        notes: what else is to be known of them: how they were measured, and figures without a target.
    """
    lines = [f"{title} ({conditions()})", *(f"  {note}" for note in notes)]
    lines += [
        f"  {each.what}: {each.value:.3g}{each.unit}, target <= {each.most:g}{each.unit}:"
        f" {'reached' if each.reached else 'MISSED'}"
        for each in figures
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(each.reached for each in figures) else 1
