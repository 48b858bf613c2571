"""
What all commands share: how they end, and how wide the terminal is.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from runbook_lib.errors import RunbookError, speak
from runbook_lib.text import DEFAULT_LANGUAGE

__all__ = ["exits", "width"]


def exits(command: Callable[..., int]) -> Callable[..., None]:
    """
    End the process with the command's exit code, or with that of the error that it raised.
    """

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
        except RunbookError as error:
            click.echo(str(error), err=True)
            code = error.exit_code
        finally:
            speak(DEFAULT_LANGUAGE)
        sys.exit(code)

    return run


def width() -> int:
    """
    Return the columns of the terminal; where there is none, as many as a log is read with.
    """
    return shutil.get_terminal_size((120, 24)).columns
