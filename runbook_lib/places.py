"""
Where a user's runs and what their processes share are kept, and whether somebody has the notebook open. Imports `text`.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from runbook_lib.text import LANGUAGES

__all__ = ["interactive", "opened_language", "runs_home", "state_path"]


def state_path() -> Path:
    """
    Return what the processes of one user share: `$RUNBOOK_STATE`, or a folder of the user's data.
    """
    named = os.environ.get("RUNBOOK_STATE")
    return Path(named) if named else user_data_path("azure-vm-backup-runbook")


def runs_home() -> Path:
    """
    Return where runs without a named folder are kept: `$RUNBOOK_RUNS`, or a folder of the shared state.
    """
    named = os.environ.get("RUNBOOK_RUNS")
    return Path(named) if named else state_path() / "runs"


def interactive() -> bool:
    """
    Tell whether a Jupyter server started this kernel for a notebook that somebody has open.
    """
    return "JPY_SESSION_NAME" in os.environ


def opened_language() -> str:
    """
    Return the language of the translated notebook that somebody has open, by the folder that it lies in; else nothing.
    """
    folder = Path(os.environ.get("JPY_SESSION_NAME", "")).parent.name
    return folder if folder in LANGUAGES else ""
