"""
The check catalogue for a terminal: a block of wrapped lines for each check.
"""

from __future__ import annotations

import textwrap

from runbook_lib.checks import CATALOGUE
from runbook_lib.text import say

__all__ = ["check_lines"]

_LABELS = (("guide", "column.guide"), ("today", "column.status"), ("source", "column.source"))


def check_lines(only: str, width: int, language: str) -> list[str]:
    """
    Describe every check, or the one whose id is *only*: title, effect, section, both rules and their sources.
    """
    lines: list[str] = []
    for each in CATALOGUE:
        if only not in ("", each.id):
            continue
        told = [
            (say("column.effect", language), say(f"effect.{each.effect}", language)),
            (say("column.section", language), say(f"section.{each.section}", language)),
            *((say(label, language), say(f"check.{each.id}.{part}", language)) for part, label in _LABELS),
        ]
        lines += [""] if lines else []
        lines += _wrapped(f"{each.id}: {say(f'check.{each.id}.title', language)}", width, "")
        for label, said in told:
            lines += _wrapped(f"{label}: {said}", width, "  ")
    return lines


def _wrapped(said: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(said, width, initial_indent=indent, subsequent_indent=f"{indent}  ")
