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
@click.option("--key", type=click.Path(path_type=Path), metavar="PUB", help="The public key it must be signed by.")
@click.option("--expect-digest", default="", metavar="SHA256", help="The attestation's digest, kept elsewhere.")
@click.option("--require-signature", is_flag=True, help="Accept nothing that is not signed by --key.")
@exits
def verify(run_dir: Path, key: Path | None, expect_digest: str, require_signature: bool) -> int:
    """
    Check a run's evidence, offline and without running anything.
    """
    found = evidence.verify(run_dir, key=key, expected=expect_digest, signature=require_signature)
    for line in found.lines(DEFAULT_LANGUAGE):
        click.echo(line)
    return 0 if found.accepted else 1
