"""
What all commands share: how they end, how they read parameters, what they sign with, and how wide the terminal is.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click

from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.parameters import from_text

__all__ = ["exits", "read_pairs", "signed", "width"]

signed = click.option(
    "--sign-key",
    default="",
    metavar="FILE",
    help="Sign the evidence with this private key (else $RUNBOOK_SIGN_KEY; an SSH key will do).",
)


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
