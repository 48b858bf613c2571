"""
The command that tells what changed between two runs: `compare`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from runbook_lib import evidence
from runbook_lib.cli.base import Output, exits, language_of, width
from runbook_lib.comparison import Audit, compare_audits
from runbook_lib.errors import BrokenEvidence, speak
from runbook_lib.records import Inventory, decode
from runbook_lib.text import plain, say

__all__ = ["compare"]


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON on standard output.")
@exits
def compare(first: Path, second: Path, as_json: bool) -> int:
    """
    Tell what changed from the run in FIRST to the run in SECOND: verdicts, protection, vaults, policies, NSG rules.

    Ends with 0 whatever changed, with 1 where a run's evidence does not verify.
    """
    from runbook_lib.render import compared

    folders = (first, second)
    language = language_of(*folders)
    speak(language)
    audits = [_read(each) for each in folders]
    changed = compare_audits(*audits)
    verified = [_verifies(each) for each in folders]
    if as_json:
        runs = [
            {
                "run_dir": str(folder),
                "target": audit.mark,
                "read_at": audit.inventory.read_at,
                "verified": each,
            }
            for folder, audit, each in zip(folders, audits, verified, strict=True)
        ]
        Output(as_json=True).result({"runs": runs, "changed": [asdict(each) for each in changed]})
        return 0 if all(verified) else 1
    for folder, audit, each in zip(folders, audits, verified, strict=True):
        when = audit.inventory.read_at.isoformat(timespec="seconds")
        said = [
            say("mark.target", language, mark=audit.mark),
            say("say.read_at", language, when=when),
            say("say.run_folder", language, path=folder),
        ]
        if not each:
            said.append(say("compared.unverified", language, path=folder))
        for line in said:
            click.echo(plain(line))
    if any(each.what == "run" for each in changed):
        click.echo(say("compared.runs_differ", language))
    if not changed:
        click.echo(say("compared.same", language))
        return 0 if all(verified) else 1
    for line in compared(changed, language).text(width()).splitlines():
        click.echo(line)
    return 0 if all(verified) else 1


def _read(folder: Path) -> Audit:
    if not folder.is_dir():
        raise BrokenEvidence("no_folder", resource=str(folder))
    outcome, asked, inventory = (
        evidence.read_json(folder / f"{name}.json") for name in ("outcome", "parameters", "inventory-after")
    )
    try:
        return Audit(
            mark=str(outcome["target"]),
            asked=dict(asked),
            verdicts={str(each["vm"]): str(each["verdict"]) for each in outcome["verdicts"]},
            unread=tuple(str(each["vm"]) for each in outcome["missing"] if each["case"] == "unread"),
            inventory=decode(Inventory, inventory),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(folder), problem=repr(error)) from error


def _verifies(folder: Path) -> bool:
    try:
        return evidence.verify(folder).accepted
    except BrokenEvidence:
        # It was never sealed, or its attestation is none.
        return False
