"""
What several tests use.
"""

from __future__ import annotations

from collections.abc import Callable

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
