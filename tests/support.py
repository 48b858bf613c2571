"""
What several tests use.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from runbook_lib import text
from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox

RunMaker = Callable[..., Run]
# The service treats these questions as it treats changes (locks hold them up), but they change nothing.
QUESTIONS = ("/effectivenetworksecuritygroups", "/effectiveroutetable")


def writes(sandbox: Sandbox, since: int = 0) -> list[str]:
    """
    List the mutations that the sandbox saw, as `METHOD path`.
    """
    return [
        f"{each['method']} {each['path']}"
        for each in sandbox.requests(since)
        if each["writes"] and not each["path"].lower().endswith(QUESTIONS)
    ]


@cache
def templates(language: str = text.DEFAULT_LANGUAGE) -> dict[str, str]:
    """
    Read the sentences of a language by id, from its file.
    """
    flat: dict[str, str] = {}

    def walk(prefix: str, node: dict[str, Any]) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            else:
                flat[f"{prefix}{name}"] = value

    walk("", tomllib.loads((Path(text.__file__).parent / f"{language}.toml").read_text(encoding="utf-8")))
    return flat
