"""
How far long work is.
"""

from __future__ import annotations

import time

from runbook_lib.render import Lines
from runbook_lib.ui.twin import Twin

__all__ = ["Live"]

# Seconds between two lines of what is told while work goes on.
PAUSE = 0.5


class Live:
    """
    A line that tells how far long work is; it changes in place, and the last one stays in the saved notebook.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._twin = Twin()

    def tell(self, line: str, *, last: bool) -> None:
        """
        Show a line, but not more often than can be read; the last one in any case.
        """
        now = time.monotonic()
        if not last and now < self._next:
            return
        self._next = now + PAUSE
        self._twin.show(Lines([line.strip()]))
