"""
The commands that look at what a run left behind.
"""

from __future__ import annotations

from pathlib import Path

import click

from runbook_lib import evidence, redaction
from runbook_lib.cli.base import exits, language_of, signed
from runbook_lib.errors import speak
from runbook_lib.text import plain, say

__all__ = ["redact", "verify"]


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder of the copy.")
@click.option("--salt-file", type=click.Path(path_type=Path), help="A secret: copies of runs with the same one join.")
@signed
@exits
def redact(run_dir: Path, out: Path, salt_file: Path | None, sign_key: str) -> int:
    """
    Copy a run's evidence with pseudonyms for names and ids, sealed by itself.
    """
    language = language_of(run_dir)
    speak(language)
    digest = redaction.redact(run_dir, out, salt_file, evidence.signer(sign_key))
    click.echo(say("evidence.redacted_copy", language, path=plain(out), digest=digest))
    return 0


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), metavar="PUB", help="The public key it must be signed by.")
@click.option("--expect-digest", metavar="SHA256", help="The attestation's digest, kept elsewhere.")
@click.option("--require-signature", is_flag=True, help="Accept nothing that is not signed by --key.")
@exits
def verify(run_dir: Path, key: Path | None, expect_digest: str | None, require_signature: bool) -> int:
    """
    Check a run's evidence, offline and without running anything; told in the language of the run.
    """
    language = language_of(run_dir)
    speak(language)
    found = evidence.verify(run_dir, key=key, expected=expect_digest, signature=require_signature)
    for line in found.lines(language):
        click.echo(line)
    return 0 if found.accepted else 1
