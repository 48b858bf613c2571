"""
What all commands share: how they end, how they read parameters, and how wide the terminal is.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click

from runbook_lib.errors import InvalidParameters, RunbookError, speak
from runbook_lib.parameters import from_text
from runbook_lib.text import DEFAULT_LANGUAGE

__all__ = ["exits", "read_pairs", "width"]


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


def read_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """
    Read the parameters that stand on the command line.

    Raises:
        InvalidParameters: with every one that is none, or has no value of its type.
    """
    problems: list[RunbookError] = []
    read: dict[str, Any] = {}
    for name, value in pairs:
        try:
            read[name] = from_text(name, value)
        except InvalidParameters as error:
            problems.append(error)
    if problems:
        raise InvalidParameters(problems=tuple(problems))
    return read
