"""
What all widgets share: the static twin, and callbacks whose errors are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import ipywidgets
from IPython.display import DisplayHandle, display

from runbook_lib.render import Lines, Shown, escape
from runbook_lib.secrets import redacted
from runbook_lib.text import say

__all__ = ["Remark", "Twin", "Twinned"]


class Twin:
    """
    A static output that changes in place. A handle is the one way that keeps a click's result in the saved notebook:
    what a callback prints or displays is lost (ipywidgets issue 2612).
    """

    def __init__(self) -> None:
        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._there = False

    @property
    def there(self) -> bool:
        """
        Whether it has been shown.
        """
        return self._there

    def show(self, content: Shown) -> None:
        """
        Show *content* in place of what it showed before.
        """
        (self._handle.update if self._there else self._handle.display)(content)
        self._there = True


class Remark(ipywidgets.HTML):  # type: ignore[misc]
    """
    A line beside a control: what is wrong with its value, read out by screen readers when it changes.
    """

    def __init__(self, **layout: Any) -> None:
        super().__init__(layout=ipywidgets.Layout(display="none", **layout))

    def tell(self, line: str, *, wrong: bool = False) -> None:
        """
        Show *line*, or nothing where it is empty; what is wrong is marked by more than its colour.
        """
        said = f'<b style="color:#b00020">✕ {escape(line)}</b>' if wrong else escape(line)
        self.value = f'<div role="status">{said}</div>' if line else ""
        self.layout.display = "" if line else "none"


class Twinned(ipywidgets.VBox):  # type: ignore[misc]
    """
    Controls with a static twin under them.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._taken: dict[str, Any] = {}
        self._twin = Twin()
        self._failure = Remark()
        self._open = Remark()
        super().__init__()

    def static(self) -> Shown:
        """
        Return what stands in the saved notebook: the values as they are now.
        """
        raise NotImplementedError

    def follow(self) -> None:
        """
        Bring the twin up to date, once it is on screen.
        """
        if self._twin.there:
            self._twin.show(self.static())

    @property
    def values(self) -> dict[str, Any]:
        """
        The values as they stand, in the parameters' own types; none of a widget that sets no parameter.
        """
        return {}

    def take(self) -> None:
        """
        Note that the values are the run's now.
        """
        self._taken = self.values
        self._tell_open()
        self.follow()

    @property
    def is_open(self) -> bool:
        """
        Whether values were changed since, and nobody took them over.
        """
        return self.values != self._taken

    def _tell_open(self) -> None:
        self._open.tell(say("say.not_taken", self._language) if self.is_open else "")

    @property
    def _undecided(self) -> tuple[str, ...]:
        """
        What the saved notebook says of values that nobody took over: they are no decision.
        """
        return (say("say.not_taken_saved", self._language),) if self.is_open else ()

    def guarded(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """
        Make a callback show its error beside the controls and in the twin: Jupyter would show it nowhere.
        """

        @wraps(callback)
        def run(change: Any) -> None:
            try:
                callback(change)
            # The top of a callback: whatever went wrong is shown, and goes on to the kernel's log.
            except Exception as error:
                problem = redacted(str(error))
                line = say("say.callback_failed", self._language, error=type(error).__name__, problem=problem)
                self._failure.tell(line, wrong=True)
                if self._twin.there:
                    self._twin.show(Lines([line]))
                raise
            self._failure.tell("")

        return run

    def _ipython_display_(self, **options: Any) -> None:
        bundle = self._repr_mimebundle_(**options)
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        # Without a kernel only the twin is of use.
        without = Lines([say("say.controls", self._language)])
        bundle = data | {"text/html": without.html(), "text/plain": without.text()}
        display(bundle, raw=True)  # type: ignore[no-untyped-call]
        self._twin.show(self.static())
