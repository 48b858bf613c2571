"""
The only widget module. Every widget has a static twin, for whoever reads the saved notebook without a kernel.

Widgets never block and never write: the next cell reads their values.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ipywidgets
from IPython.display import DisplayHandle

from runbook_lib.parameters import Parameter, Parameters, schema
from runbook_lib.render import Lines, Table
from runbook_lib.text import say

__all__ = ["Approval", "Form", "Live"]

# Seconds between two lines of what is told while work goes on.
PAUSE = 0.5

_WIDE = {"style": {"description_width": "initial"}, "layout": ipywidgets.Layout(width="42em")}
_NAMED = {"style": {"description_width": "13em"}, "layout": ipywidgets.Layout(width="42em")}
# What a parameter means stands under its control: beside it, at 1280 pixels, it would leave no room to type.
_UNDER = ipywidgets.Layout(margin="-4px 0 8px 13.8em")


class Form(ipywidgets.VBox):  # type: ignore[misc]
    """
    Controls for some parameters; their initial values are the parameters.

    Attributes:
        names: the parameters on offer.
        controls: by parameter name.
    """

    def __init__(self, asked: Parameters, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._language = asked.language
        rows = {row.name: row for row in schema()}
        given = asked.as_dict()
        self.controls = {name: _control(rows[name], given[name], asked.language) for name in names}
        for name, control in self.controls.items():
            control.add_class(f"rb-{name.replace('_', '-')}")
        meanings = [ipywidgets.Label(rows[name].help(asked.language), layout=_UNDER) for name in names]
        super().__init__([each for pair in zip(self.controls.values(), meanings, strict=True) for each in pair])

    @property
    def values(self) -> dict[str, Any]:
        """
        The values as they stand, in the parameters' own types.
        """
        kinds = {row.name: row.type for row in schema()}
        return {name: _value(kinds[name], control) for name, control in self.controls.items()}

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        rows = [{"parameter": name, "value": value} for name, value in self.values.items()]
        twin = Table(say("caption.parameters", self._language), ("parameter", "value"), rows, self._language)
        return _with_twin(super()._repr_mimebundle_(**options), twin)


class Approval(ipywidgets.Checkbox):  # type: ignore[misc]
    """
    A box to tick before a step is applied.

    Attributes:
        step: digest of the step that was on screen; another one is not approved by it.
    """

    def __init__(self, words: str, value: bool, step: str, language: str) -> None:
        self._words = words
        self._language = language
        self.step = step
        super().__init__(value=value, description=words, indent=False, **_WIDE)
        self.add_class("rb-approve")

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        rows = [{"parameter": self._words, "value": self.value}]
        twin = Table("", ("parameter", "value"), rows, self._language)
        return _with_twin(super()._repr_mimebundle_(**options), twin)


class Live:
    """
    A line that tells how far long work is; it changes in place, and the last one stays in the saved notebook.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._place: Any = DisplayHandle()  # type: ignore[no-untyped-call]

    def tell(self, line: str, *, last: bool) -> None:
        """
        Show a line, but not more often than can be read; the last one in any case.
        """
        now = time.monotonic()
        if not last and now < self._next:
            return
        show = self._place.update if self._next else self._place.display
        self._next = now + PAUSE
        show(Lines([line.strip()]))


def _with_twin(bundle: Any, twin: Table) -> dict[str, Any]:
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    return {**data, "text/html": twin.html(), "text/plain": twin.text()}


def _control(row: Parameter, value: Any, language: str) -> Any:
    words = {"description": row.name, "tooltip": row.help(language), **_NAMED}
    match row.type:
        case "bool":
            return ipywidgets.Checkbox(value=value, **words)
        case "int":
            return ipywidgets.IntText(value=value, **words)
        case "list[str]":
            return ipywidgets.Text(value=", ".join(value), **words)
    if row.choices:
        return ipywidgets.Dropdown(options=list(row.choices), value=value, **words)
    return ipywidgets.Text(value=value, **words)


def _value(kind: str, control: Any) -> Any:
    if kind == "list[str]":
        return [part.strip() for part in control.value.split(",") if part.strip()]
    return control.value
