"""
Get Azure Resource Manager VMs ready for Azure Backup, step by step, and prove it.

What notebooks use is exported here and loaded on first use, so that importing the package stays light.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Run": "runbook_lib.run",
    "open_run": "runbook_lib.run",
}

__all__ = ["Run", "open_run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
