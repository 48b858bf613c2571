"""
The commands that look at what a run left behind.
"""

from __future__ import annotations

from pathlib import Path

import click

from runbook_lib import evidence
from runbook_lib.cli.base import exits
from runbook_lib.text import DEFAULT_LANGUAGE

__all__ = ["verify"]


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@exits
def verify(run_dir: Path) -> int:
    """
    Check a run's evidence, offline and without running anything.
    """
    found = evidence.verify(run_dir)
    for line in found.lines(DEFAULT_LANGUAGE):
        click.echo(line)
    return 0 if found.accepted else 1
