"""
The box to tick before a step is applied.
"""

from __future__ import annotations

from typing import Any

import ipywidgets

from runbook_lib.render import Table
from runbook_lib.text import say
from runbook_lib.ui.twin import Twinned

__all__ = ["Approval"]


class Approval(Twinned):
    """
    A box to tick before a step is applied.

    Attributes:
        step: digest of the step that was on screen; another one is not approved by it.
    """

    def __init__(self, value: bool, step: str, language: str, words: str = "approval") -> None:
        """
        Args:
            words: which sentence stands beside the box, and over its twin.
        """
        super().__init__(language)
        self.step = step
        self._words = words
        self._box = ipywidgets.Checkbox(
            value=value,
            description=say(f"say.{words}", language),
            indent=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="42em"),
        )
        self._box.add_class("rb-approve")
        self._box.observe(self.guarded(self._clicked), names="value")
        self.children = (self._box, self._failure)

    @property
    def value(self) -> bool:
        """
        Whether the step is approved.
        """
        return bool(self._box.value)

    @value.setter
    def value(self, approved: bool) -> None:
        self._box.value = approved

    def static(self) -> Table:
        """
        Say whether the step is approved, and which it was.
        """
        answer = say("say.yes" if self.value else "say.no", self._language)
        rows = [{"approved": answer, "digest": f"sha256:{self.step[:12]}"}]
        return Table(say(f"caption.{self._words}", self._language), ("approved", "digest"), rows, self._language)

    def _clicked(self, _: Any) -> None:
        self.follow()
