"""
The command that copies an estate: `snapshot`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib.cli.base import exits, read_parameters
from runbook_lib.errors import InvalidParameters, ReadFailed, speak
from runbook_lib.parameters import NAMES, Parameters, as_options
from runbook_lib.records import encode, key
from runbook_lib.selection import VMS
from runbook_lib.text import plain, say

if TYPE_CHECKING:
    from runbook_lib.arm.snapshot import Snapshot
    from runbook_lib.sandbox import Estate

__all__ = ["estate_of", "snapshot"]

# A rehearsal on it runs under the limits that Resource Manager documents, so that it tells what applying will take.
_PROFILE = {"throttle": "arm2024"}
# Unread things of one kind and subscription are told of together.
_MOST = 20


@click.command("snapshot")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; may be repeated.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Where to read.")
@exits
def snapshot(file: Path, pairs: tuple[tuple[str, str], ...], target: str | None) -> int:
    """
    Copy an estate into FILE, to rehearse on with `run --estate FILE --apply`. Only reads; goes on where it stopped.

    Parameters are those of the run to rehearse: they decide which subscriptions, recovery points and service tags are
    read. Exit code 3: something could not be read, and the copy says so.
    """
    speak(dict(pairs).get("language"))
    asked = read_parameters(pairs, options={"target": target} if target else {})
    for path in (file, _part(file), _journal(file)):
        # Whoever prepares a folder must not make the copy write elsewhere.
        if path.is_symlink():
            raise InvalidParameters("snapshot_link", name="FILE", resource=str(path))
    if file.exists():
        raise InvalidParameters("snapshot_taken", name="FILE", resource=str(file))
    if not file.resolve().parent.is_dir():
        raise InvalidParameters("snapshot_folder", name="FILE", resource=str(file))
    try:
        found = _read(file, asked)
    except KeyboardInterrupt:
        raise ReadFailed("snapshot_stopped", resource=str(_part(file))) from None
    _write(file, found, asked)
    for line in _told(file, found, asked):
        click.echo(plain(line))
    return 3 if found.unread else 0


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}.journal.jsonl")


def _read(file: Path, asked: Parameters) -> Snapshot:
    from runbook_lib.arm.opening import open_session
    from runbook_lib.arm.signin import Asked
    from runbook_lib.arm.snapshot import read_snapshot
    from runbook_lib.journal import Journal
    from runbook_lib.lease import leased
    from runbook_lib.places import state_path

    session = open_session(asked.target, Journal(_journal(file)), Asked.by(asked))
    holder = {
        "caller": session.target.caller,
        "run": file.name,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }

    def told(asked_for: int, waited: int) -> None:
        click.echo(say("copy.progress", asked.language, asked=asked_for, waited=waited), err=True)

    with leased(state_path() / "leases", session.place, [str(file.resolve())], holder):
        return read_snapshot(session, asked, _part(file), told)


def _write(file: Path, found: Snapshot, asked: Parameters) -> None:
    from runbook_lib.sandbox import SandboxError, read_estate, write_estate

    try:
        write_estate(estate_of(file, found, asked), file)
        read_estate(file)
    except SandboxError as error:
        raise InvalidParameters("estate", name="FILE", problem=error.describe(InvalidParameters.language)) from error
    _part(file).unlink()


def estate_of(file: Path, found: Snapshot, asked: Parameters) -> Estate:
    """
    Make an estate of what was read; a rehearsal on it begins at the newest answer, under the documented limits.
    """
    from runbook_lib.arm.signin import Asked
    from runbook_lib.sandbox import Estate

    profile: dict[str, Any] = {**_PROFILE, **({"faults": list(found.faults)} if found.faults else {})}
    return Estate(
        name=file.stem,
        as_of=found.until,
        resources=tuple(found.resources.values()),
        status=found.status,
        profile=profile,
        origin=str(file),
        # How to sign in is what a rehearsal does not need, and applying its plan does.
        source=encode(found.origin) | {"unread": encode(found.unread), "asked": encode(Asked.by(asked))},
    )


def _told(file: Path, found: Snapshot, asked: Parameters) -> list[str]:
    """
    Say what the copy holds, what it lacks, and how to rehearse on it what was asked for.
    """
    language = asked.language
    vms = sum(1 for each in found.resources if f"/providers/{VMS}/".lower() in key(each))
    lines = [
        say("copy.of", language, mark=found.origin.mark, when=found.origin.read_at.isoformat(timespec="seconds")),
        say(
            "copy.holds",
            language,
            file=str(file),
            vms=vms,
            resources=len(found.resources),
            subscriptions=len(found.origin.subscriptions),
            asked=found.asked,
            kept=found.kept,
        ),
    ]
    lines += [
        say("say.unread", language, what=gap.what, scope=gap.scope, code=gap.code) for gap in found.unread[:_MOST]
    ]
    if len(found.unread) > _MOST:
        lines.append(say("say.more_in", language, count=len(found.unread) - _MOST, file=str(file)))
    names = [each for each in NAMES if each not in ("target", "run_dir", "apply")]
    lines.append(say("copy.rehearse", language, file=str(file), options=as_options(asked, names)))
    return lines
