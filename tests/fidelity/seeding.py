"""
How a bug is seeded: by changing the answers of one operation, or a function, a constant or an effect of the sandbox.

Imports the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import pytest

from runbook_lib.sandbox import app
from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.call import Call, Handler
from runbook_lib.sandbox.state import Body

__all__ = [
    "NOTHING",
    "Apply",
    "Mutant",
    "Patch",
    "answer",
    "body",
    "edited",
    "handled",
    "instead",
    "no_effect",
    "result",
    "status",
    "without",
]

Patch = pytest.MonkeyPatch
Apply = Callable[[Patch], None]
Change = Callable[[Answer], Answer]
# In place of a value: what stands there is taken away.
NOTHING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    A bug.

    Args:
        name: what is wrong, as a sentence.
        apply: puts the bug into the sandbox.
    """

    name: str
    apply: Apply


def handled(operation: str, wrap: Callable[[Handler], Handler]) -> Apply:
    """
    Wrap the handler of one operation.
    """

    def apply(patch: Patch) -> None:
        place = [f"{route.method} {route.path}" for route in app.ROUTES].index(operation)
        route = app.ROUTES[place]
        routes = (*app.ROUTES[:place], replace(route, handler=wrap(route.handler)), *app.ROUTES[place + 1 :])
        patch.setattr(app, "ROUTES", routes)

    return apply


def answer(operation: str, change: Change) -> Apply:
    """
    Change the answers of one operation.
    """

    def wrap(handler: Handler) -> Handler:
        def changed(call: Call) -> Answer:
            return change(handler(call))

        return changed

    return handled(operation, wrap)


def status(code: int) -> Change:
    """
    Answer with another status.
    """
    return lambda given: replace(given, status=code)


def without(header: str) -> Change:
    """
    Drop a header, by its lower-cased name.
    """
    return lambda given: replace(
        given, headers={name: value for name, value in given.headers.items() if name.lower() != header}
    )


def body(path: str, value: Any = NOTHING) -> Change:
    """
    Put *value* at a place of the body, or take away what stands there; see `edited`.
    """
    return lambda given: replace(given, body=edited(given.body, path, value))


def edited(given: Any, path: str, value: Any = NOTHING) -> Any:
    """
    Return *given* with *value*, or what the function *value* makes of the old one, at *path*; `*` goes through a list.
    """
    word, _, rest = path.partition("/")
    if word == "*":
        return [edited(one, rest, value) if rest else _new(one, value) for one in given or ()]
    if not isinstance(given, dict) or (rest and word not in given):
        return given
    if rest:
        return {**given, word: edited(given[word], rest, value)}
    if value is NOTHING:
        return {name: one for name, one in given.items() if name != word}
    return {**given, word: _new(given.get(word), value)}


def _new(old: Any, value: Any) -> Any:
    return value(old) if callable(value) else value


def result(module: Any, name: str, change: Callable[[Any], Any]) -> Apply:
    """
    Change what a function returns.
    """

    def apply(patch: Patch) -> None:
        function = getattr(module, name)

        @wraps(function)
        def changed(*args: Any, **kwargs: Any) -> Any:
            return change(function(*args, **kwargs))

        patch.setattr(module, name, changed)

    return apply


def instead(owner: Any, name: str, value: Any) -> Apply:
    """
    Put another function, method or constant in place of one.
    """
    return lambda patch: patch.setattr(owner, name, value)


def no_effect(kind: str) -> Apply:
    """
    Let operations of a kind end without their effect.
    """

    def nothing(tenant: Any, args: Body) -> None:
        """
        Forget the effect.
        """

    if kind not in app._EFFECTS:
        raise LookupError(f"{kind} is no kind of operation")
    return lambda patch: patch.setitem(app._EFFECTS, kind, nothing)
