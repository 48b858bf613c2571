"""
From a method and a path to the route that serves it: ARM compares paths without regard to case.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runbook_lib.sandbox.call import Route

__all__ = ["Match", "Router"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """
    The routes of a path by method, and its variable parts in the caller's case.
    """

    routes: dict[str, Route]
    names: dict[str, str]


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    variable: dict[str, _Node] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """
    All routes as a tree of path segments; a fixed segment goes before a variable one.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for segment in route.path.strip("/").split("/"):
                if segment.startswith("{"):
                    node = node.variable.setdefault(segment[1:-1], _Node())
                else:
                    node = node.fixed.setdefault(segment.lower(), _Node())
            node.routes[route.method] = route

    def match(self, path: str) -> Match | None:
        """
        Return what serves *path*; None when nothing does.
        """
        return self._walk(self._root, [segment for segment in path.split("/") if segment], 0, {})

    def _walk(self, node: _Node, segments: list[str], place: int, names: dict[str, str]) -> Match | None:
        if place == len(segments):
            return Match(routes=node.routes, names=names) if node.routes else None
        segment = segments[place]
        fixed = node.fixed.get(segment.lower())
        if fixed is not None:
            found = self._walk(fixed, segments, place + 1, names)
            if found is not None:
                return found
        for name, child in node.variable.items():
            found = self._walk(child, segments, place + 1, {**names, name: segment})
            if found is not None:
                return found
        return None
