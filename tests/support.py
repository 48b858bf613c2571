"""
What several tests use.
"""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox

RunMaker = Callable[..., Run]


def writes(sandbox: Sandbox, since: int = 0) -> list[str]:
    """
    List the mutations that the sandbox saw, as `METHOD path`.
    """
    return [f"{each['method']} {each['path']}" for each in sandbox.requests(since) if each["writes"]]
