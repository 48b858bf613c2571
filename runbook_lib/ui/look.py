"""
Something to look at, with controls that say of what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from runbook_lib.render import Shown
from runbook_lib.text import say
from runbook_lib.ui.twin import Twinned

__all__ = ["Look"]

# A longer list is searched by typing.
_LISTED = 60


class Look(Twinned):
    """
    A picture of what the controls name; it changes with them, and stays in the saved notebook.
    """

    def __init__(
        self, choices: Mapping[str, Sequence[tuple[str, Any]]], show: Callable[..., Shown], language: str
    ) -> None:
        """
        Args:
            choices: by the id of its label, what a control offers: what a person reads, and the value.
            show: makes the picture of one value of each, in the order of the choices.
        """
        super().__init__(language)
        self._show = show
        offered = {name: _distinct(options) for name, options in choices.items()}
        self._values = list(offered.values())
        self.controls = {name: _control(name, list(values), language) for name, values in offered.items()}
        for name, control in self.controls.items():
            control.add_class(f"rb-{name}")
            control.observe(self.guarded(self._changed), names="value")
        self.children = (*self.controls.values(), self._failure)

    def static(self) -> Shown:
        """
        Return the picture.
        """
        chosen = zip(self._values, self.controls.values(), strict=True)
        return self._show(*(values[control.value] for values, control in chosen))

    def _changed(self, _: Any) -> None:
        # While a name is typed it names nothing yet.
        if all(control.value in values for values, control in zip(self._values, self.controls.values(), strict=True)):
            self.follow()


def _distinct(options: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """
    Return the values by what a person reads; what reads alike is numbered.
    """
    told: dict[str, Any] = {}
    for label, value in options:
        words, number = label, 1
        while words in told:
            number += 1
            words = f"{label} ({number})"
        told[words] = value
    return told


def _control(name: str, offered: Sequence[str], language: str) -> Any:
    kind = ipywidgets.Dropdown if len(offered) <= _LISTED else ipywidgets.Combobox
    return kind(
        options=offered,
        value=offered[0],
        description=say(f"label.{name}", language),
        style={"description_width": "17em"},
        layout=ipywidgets.Layout(width="46em"),
    )
