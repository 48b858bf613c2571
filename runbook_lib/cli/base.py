"""
What all commands share: how they end, what they say to people and to machines, how they read parameters and files, what
they sign with, and how wide the terminal is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
import yaml

from runbook_lib.errors import BrokenEvidence, InvalidParameters, RunbookError, speak
from runbook_lib.events import Event
from runbook_lib.evidence import read_json
from runbook_lib.parameters import Parameters, build, from_text
from runbook_lib.text import DEFAULT_LANGUAGE, LANGUAGES, inert

__all__ = ["Output", "exits", "language_of", "new_folder", "read_mapping", "read_parameters", "signed", "told", "width"]

# A file of parameters is small; a larger one is a mistake or an attack.
LARGEST_FILE = 1 << 20

signed = click.option(
    "--sign-key",
    default="",
    metavar="FILE",
    help="Sign the evidence with this private key (else $RUNBOOK_SIGN_KEY; an SSH key will do).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """
    Where a command says what: results on standard output, all else on standard error.

    Attributes:
        as_json: whether standard output holds one JSON document and nothing else.
        log: `text` for people, `json` for machines.
    """

    as_json: bool = False
    log: str = "text"

    def tell(self, event: Event, language: str = DEFAULT_LANGUAGE) -> None:
        """
        Tell what happens.
        """
        click.echo(event.json(_now()) if self.log == "json" else event.line(language), err=True)

    def result(self, document: Any) -> None:
        """
        Print the command's result as JSON.
        """
        click.echo(inert(json.dumps(document, ensure_ascii=False, indent=1, default=str)))

    def fail(self, error: RunbookError) -> None:
        """
        Say what went wrong, every problem of it.
        """
        # An error of wrong parameters holds the problems, each with a sentence of its own.
        problems = error.problems if isinstance(error, InvalidParameters) and error.problems else (error,)
        told = [
            {"error": each.message, "message": str(each), "resource": each.resource, "name": each.facts.get("name", "")}
            for each in problems
        ]
        if self.log == "json":
            for each in told:
                facts = each | {"exit_code": error.exit_code}
                click.echo(Event(id=f"error.{each['error']}", level="error", facts=facts).json(_now()), err=True)
        else:
            click.echo(str(error), err=True)
        if self.as_json:
            self.result({"exit_code": error.exit_code, "errors": told})


def exits(command: Callable[..., int]) -> Callable[..., None]:
    """
    End the process with the command's exit code, or with that of the error that it raised.
    """

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
        except RunbookError as error:
            output: Output = options.get("output") or Output(as_json=options.get("as_json", False))
            output.fail(error)
            code = error.exit_code
        finally:
            speak(DEFAULT_LANGUAGE)
        sys.exit(code)

    return run


def told(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give a command the options that say how it tells what happens and what came of it; it gets them as `output`.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output, and only that.")
    @click.option(
        "--log",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="What goes to standard error: lines for people, or JSON lines for machines.",
    )
    @wraps(command)
    def run(*args: Any, as_json: bool, log: str, **options: Any) -> None:
        command(*args, output=Output(as_json=as_json, log=log), **options)

    return run


def width() -> int:
    """
    Return the columns of the terminal; where there is none, as many as a log is read with.
    """
    return shutil.get_terminal_size((120, 24)).columns


def read_parameters(
    pairs: Iterable[tuple[str, str]], held: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None
) -> Parameters:
    """
    Read the parameters that stand on the command line, and check them with all others.

    Args:
        held: those of a file, which the command line goes before.
        options: those that have an option of their own, which goes before both.

    Raises:
        InvalidParameters: with every problem: what is no parameter, what has no value of its type, and what breaks a
            rule.
    """
    problems: list[RunbookError] = []
    read = dict(held or {})
    for name, value in pairs:
        read.pop(name, None)
        try:
            read[name] = from_text(name, value)
        except InvalidParameters as error:
            problems.append(error)
    try:
        asked = build(read | dict(options or {}))
    except InvalidParameters as error:
        problems += error.problems
    if problems:
        raise InvalidParameters(problems=tuple(problems))
    return asked


class _PlainLoader(yaml.SafeLoader):
    """
    YAML without aliases: a few hundred bytes of them stand for billions of values.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def read_mapping(path: Path) -> dict[str, Any]:
    """
    Read a YAML file that somebody wrote by hand.

    Raises:
        InvalidParameters: it is no mapping, or more than anybody writes by hand.
    """
    try:
        if not path.exists():
            raise ValueError("there is no such file")
        if not path.is_file():
            raise ValueError("it is not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("it is larger than 1 MiB")
        read = _PlainLoader(path.read_text(encoding="utf-8")).get_single_data()
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidParameters("parameters_file", resource=str(path), problem=str(error)) from error
    if not isinstance(read, dict):
        raise InvalidParameters("parameters_file", resource=str(path), problem="it is not a mapping")
    return {str(name): value for name, value in read.items()}


def language_of(*folders: Path) -> str:
    """
    Return the language of the runs in *folders*; English where it cannot be read, and where they differ.
    """
    found = {_language(each) for each in folders}
    return found.pop() if len(found) == 1 else DEFAULT_LANGUAGE


def _language(folder: Path) -> str:
    try:
        asked = read_json(folder / "parameters.json")
    except BrokenEvidence:
        return DEFAULT_LANGUAGE
    said = asked.get("language") if isinstance(asked, dict) else None
    return said if said in LANGUAGES else DEFAULT_LANGUAGE


def new_folder(prefix: str = "") -> Path:
    """
    Name a folder that is not there yet.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("runs") / f"{prefix}{stamp}-{os.urandom(3).hex()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
