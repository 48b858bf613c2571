"""
The commands that list what there is to choose and what is judged.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from runbook_lib.cli.base import Output, exits, width
from runbook_lib.errors import InvalidParameters
from runbook_lib.parameters import schema
from runbook_lib.text import DEFAULT_LANGUAGE

__all__ = ["parameters", "show_checks"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON list.")
@exits
def parameters(as_json: bool) -> int:
    """
    List every parameter with its type, default, choices and meaning.
    """
    if as_json:
        Output(as_json=True).result([{**asdict(row), "help": row.help()} for row in schema()])
        return 0
    for row in schema():
        choices = f" [{', '.join(row.choices)}]" if row.choices else ""
        click.echo(f"{row.name}: {row.type} = {json.dumps(row.default)}{choices}\n    {row.help()}")
    return 0


@click.command("checks")
@click.argument("check", required=False)
@exits
def show_checks(check: str | None) -> int:
    """
    List every check, or the one named CHECK: its effect, the guide's rule, today's rule and their sources.
    """
    from runbook_lib.checks import CATALOGUE
    from runbook_lib.render import check_lines

    known = [each.id for each in CATALOGUE]
    if check and check not in known:
        raise InvalidParameters("unknown_check", name=check, known=", ".join(known))
    for line in check_lines(check or "", width(), DEFAULT_LANGUAGE):
        click.echo(line)
    return 0
