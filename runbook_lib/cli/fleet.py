"""
The command that runs a fleet: `fleet`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib.cli.base import Output, exits, new_folder, read_mapping, told, width
from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.parameters import build
from runbook_lib.records import digest
from runbook_lib.text import DEFAULT_LANGUAGE, plain, say

if TYPE_CHECKING:
    from runbook_lib.fleet import FleetTarget

__all__ = ["fleet"]

# Also the name of a folder: no dots, so that it leads nowhere and is no other target's sandbox.
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# What Windows takes for a device, in whatever folder.
_DEVICE = re.compile("con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)


@click.command()
@click.argument("targets", type=click.Path(path_type=Path))
@click.option("--scheduler", metavar="ADDRESS", default="", help="Run on the Dask cluster of this scheduler.")
@click.option("--workers", type=click.IntRange(1, 64), help="Local processes; by default as many as there are cores.")
@click.option("--apply", "applies", is_flag=True, help="Write what the plans say; without it the runs only plan.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder of the runs; one that is there goes on.")
@told
@exits
def fleet(targets: Path, scheduler: str, workers: int | None, applies: bool, out: Path | None, output: Output) -> int:
    """
    Run one chain for each target of the YAML file TARGETS, each with its own folder and evidence.
    """
    from runbook_lib import render
    from runbook_lib.fleet import Processes, cluster, run_fleet

    if scheduler and workers:
        raise InvalidParameters("fleet_workers", name="--workers")
    wanted = _read(read_mapping(targets), applies)
    folder = (out or new_folder("fleet-")).resolve()
    with cluster(scheduler) if scheduler else Processes(workers or os.cpu_count() or 1) as executor:
        result = run_fleet(wanted, executor, folder, output.tell)
    document = result.document
    if output.as_json:
        output.result(document)
        return result.exit_code
    for line in render.fleet(document["runs"], DEFAULT_LANGUAGE).text(width()).splitlines():
        click.echo(line)
    path = plain(folder)
    if any(row.state in ("resumable", "nothing") for row in result.rows):
        click.echo(say("fleet.go_on", DEFAULT_LANGUAGE, path=path))
    click.echo(say("fleet.summary", DEFAULT_LANGUAGE, path=f"{path}/fleet.json", exit_code=result.exit_code))
    return result.exit_code


def _read(document: Mapping[str, Any], applies: bool) -> list[FleetTarget]:
    """
    Check a fleet's file, and build the parameters of every target.

    Raises:
        InvalidParameters: with every problem of every target.
    """
    from runbook_lib.fleet import FleetTarget

    problems = [InvalidParameters("fleet_entry", name=name) for name in document if name not in ("targets", "defaults")]
    rows, defaults = document.get("targets"), document.get("defaults", {})
    if not isinstance(rows, list) or not rows:
        problems.append(InvalidParameters("fleet_targets", name="targets"))
        rows = []
    if not isinstance(defaults, dict):
        problems.append(InvalidParameters("fleet_mapping", name="defaults"))
        defaults = {}
    made: list[FleetTarget] = []
    taken: set[str] = set()
    for number, row in enumerate(rows):
        place = f"targets[{number}]"
        if not isinstance(row, dict):
            problems.append(InvalidParameters("fleet_mapping", name=place))
            continue
        values = {str(name): value for name, value in {**defaults, **row}.items()}
        name, estate = values.pop("name", None), values.pop("estate", "")
        if name is None:
            problems.append(InvalidParameters("fleet_name_missing", name=place))
        elif not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(InvalidParameters("fleet_name", name=f"{place}.name", value=name))
        elif _DEVICE.fullmatch(name):
            problems.append(InvalidParameters("fleet_name_device", name=f"{place}.name", value=name))
        elif name.lower() in taken:
            problems.append(InvalidParameters("fleet_name_taken", name=f"{place}.name", value=name))
        else:
            taken.add(name.lower())
            place = f"{place} ({name})"
        found, held = _more(values, estate)
        try:
            asked = build(values | ({"apply": True} if applies else {}))
        except InvalidParameters as error:
            problems += [_of(place, each) for each in (*error.problems, *found)]
            continue
        problems += [_of(place, each) for each in found]
        # Workers need not stand where the command was given.
        there = isinstance(estate, str) and estate and Path(estate).exists()
        where = str(Path(estate).resolve()) if there else estate
        made.append(FleetTarget(name=str(name), asked=asked, estate=where, estate_digest=held))
    if problems:
        raise InvalidParameters(problems=tuple(problems))
    return made


def _more(values: Mapping[str, Any], estate: Any) -> tuple[list[InvalidParameters], str]:
    """
    List what `runbook run` would refuse as well, and tell the digest of what the estate holds.
    """
    from runbook_lib.sandbox import SandboxError, read_estate

    problems = []
    if values.get("run_dir"):
        problems.append(InvalidParameters("run_dir_option", name="run_dir"))
    if not estate:
        return problems, ""
    if values.get("target", "sandbox") != "sandbox":
        return [*problems, InvalidParameters("estate_on_azure", name="estate")], ""
    try:
        read = read_estate(str(estate))
    except SandboxError as error:
        return [
            *problems,
            InvalidParameters("estate", name="estate", problem=error.describe(InvalidParameters.language)),
        ], ""
    held = [read.as_of.isoformat(), list(read.resources), read.status, read.profile, read.source]
    return problems, digest(held)


def _of(place: str, problem: RunbookError) -> InvalidParameters:
    return InvalidParameters("fleet_target", name=place, problem=str(problem))
