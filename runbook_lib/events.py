"""
What is told while work goes on: a line for people, a JSON object for machines. Imports `text`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.text import inert, plain, say

__all__ = ["Event"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something that happened: the id of its sentence, and the facts.

    Attributes:
        level: `info` or `error`.
        facts: what the sentence names; what it does not name is for machines.
    """

    id: str
    level: str = "info"
    facts: dict[str, Any] = field(default_factory=dict)

    def line(self, language: str) -> str:
        """
        Say it in one line, which no value can break or command.
        """
        return plain(say(self.id, language, **self.facts))

    def json(self, time: str) -> str:
        """
        Return it as one line of JSON: time, level, event, facts.
        """
        told = {"time": time, "level": self.level, "event": self.id.partition(".")[2], "facts": self.facts}
        return inert(json.dumps(told, ensure_ascii=False, default=str))
