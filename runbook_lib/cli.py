"""
`runbook …`: thin commands over the library. The only module that prints.

What needs Azure or Jupyter is imported where it is used, so that `verify` works with the base dependencies.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from runbook_lib import evidence
from runbook_lib.errors import InvalidParameters, RunbookError, WriteFailed
from runbook_lib.parameters import Parameters, build, from_text, schema
from runbook_lib.records import Verdict
from runbook_lib.text import DEFAULT_LANGUAGE, plain, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbook_lib.chain import ChainResult

__all__ = ["main"]

# A parameter file is small; a larger one is a mistake or an attack.
LARGEST_FILE = 1 << 20


class _PlainLoader(yaml.SafeLoader):
    """
    YAML without aliases: a few hundred bytes of them stand for billions of values.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


def _exits(command: Callable[..., int]) -> Callable[..., None]:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="azure-vm-backup-runbook")
def main() -> None:
    """
    Get Azure Resource Manager VMs ready for Azure Backup, and prove it.
    """


@main.command("run")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; may be repeated.")
@click.option("-f", "file", type=click.Path(path_type=Path), help="Parameters as a YAML mapping.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Where to read and write.")
@click.option("--estate", default="", help="Rehearse on a fresh copy of this estate: a name, a file or a folder.")
@click.option("--apply", "applies", is_flag=True, help="Write what the plan says; without it a run only plans.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@_exits
def run(
    pairs: tuple[tuple[str, str], ...],
    file: Path | None,
    target: str | None,
    estate: str,
    applies: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """
    Run all notebooks headlessly: plan, apply if told to, read back, seal the evidence.
    """
    given = _read_file(file) if file else {}
    given |= _read_pairs(pairs)
    given |= {"target": target} if target else {}
    given |= {"apply": True} if applies else {}
    asked = build(given)
    if estate and asked.target != "sandbox":
        raise InvalidParameters("estate_on_azure", name="estate")
    if asked.run_dir:
        raise InvalidParameters("run_dir_option", name="run_dir")
    folder = (out or _new_folder()).resolve()
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise InvalidParameters("run_dir_taken", name="--out", resource=str(folder))
    return _run(asked, folder, estate, as_json)


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@_exits
def resume(run_dir: Path, as_json: bool) -> int:
    """
    Go on with a run that did not end: what is done already is found and kept.
    """
    kept = evidence.read_json(run_dir / "parameters.json")
    state = evidence.read_json(run_dir / "run.json")
    return _run(build(kept | {"apply": state["applies"]}), run_dir.resolve(), "", as_json)


def _run(asked: Parameters, out: Path, estate: str, as_json: bool) -> int:
    from runbook_lib.chain import run_chain

    own = _own_sandbox(out)
    fresh = [path for path in (out, own) if not path.exists()]
    try:
        with _sandbox_of(own, estate):
            result = run_chain(asked, out, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        raise WriteFailed("interrupted", resource=str(out)) from None
    except InvalidParameters:
        # Nothing came of it: leave nothing behind that looks like a run.
        for path in fresh:
            _remove(path)
        raise
    if as_json:
        click.echo(json.dumps(result.outcome, ensure_ascii=False, indent=1))
    else:
        _print_verdicts(result, asked.language)
    return int(result.outcome["exit_code"])


def _own_sandbox(out: Path) -> Path:
    """
    Name a run's own sandbox; it lies beside the run folder, and is no evidence.
    """
    return out.with_name(out.name + ".sandbox.sqlite")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()


@contextmanager
def _sandbox_of(own: Path, estate: str) -> Iterator[None]:
    """
    Give a run its own sandbox where it was started with an estate.
    """
    from runbook_lib.arm.session import sandbox_path, sandbox_state

    before = os.environ.get("RUNBOOK_SANDBOX")
    if estate:
        sandbox_state(own, estate).close()
    # Absolute, for the kernel works in another folder.
    os.environ["RUNBOOK_SANDBOX"] = str((own if own.exists() else sandbox_path()).resolve())
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("RUNBOOK_SANDBOX", None)
        else:
            os.environ["RUNBOOK_SANDBOX"] = before


def _print_verdicts(result: ChainResult, language: str) -> None:
    from runbook_lib.render import Table

    outcome = result.outcome
    columns = ("vm", "resource_group", "before", "verdict", "why")
    rows = [
        {
            "vm": each["machine"]["vm"],
            "resource_group": each["machine"]["resource_group"],
            "before": each["before"],
            "verdict": each["verdict"],
            "why": f"{each['why']} {each['remedy']}".strip(),
        }
        for each in outcome["verdicts"]
    ]
    click.echo(say("mark.target", language, mark=outcome["target"]))
    caption, worst = say("caption.readiness", language, count=len(rows)), [str(verdict) for verdict in Verdict]
    table = Table(caption, columns, rows, language, ranks=[worst.index(row["verdict"]) for row in rows])
    table.whole = plain(result.folder / "tables" / "comparison.csv")
    click.echo(table.text())
    click.echo(", ".join(f"{name} {count}" for name, count in sorted(outcome["counts"].items())))
    if outcome["applied"]:
        counted = {name: outcome["changes"].get(name, 0) for name in ("done", "adopted", "failed")}
        click.echo(say("say.changes", language, **counted))
    elif outcome["changes"]["planned"]:
        _print_plan(result.folder / "tables" / "plan.csv", outcome["changes"]["planned"], language)
        click.echo(say("say.planned", language, count=outcome["changes"]["planned"]))
    for note in outcome["notes"]:
        click.echo(plain(note))
    for gap in outcome["unread"]:
        click.echo(plain(say("say.unread", language, what=gap["what"], scope=gap["scope"], code=gap["code"])))
    ending = "say.sealed" if result.digest else "say.not_sealed"
    click.echo(say(ending, language, path=plain(result.folder), digest=result.digest))


def _print_plan(path: Path, count: int, language: str) -> None:
    """
    Print the first planned changes, of which a large estate has tens of thousands.
    """
    from runbook_lib.render import MOST_ROWS

    with path.open(encoding="utf-8", newline="") as file:
        for row in itertools.islice(csv.DictReader(file), MOST_ROWS):
            click.echo(plain(f"  {row['step']} {row['change']}"))
    if count > MOST_ROWS:
        click.echo(say("say.table_cut", language, shown=MOST_ROWS, count=count, file=plain(path)))


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@_exits
def verify(run_dir: Path) -> int:
    """
    Check a run's evidence, offline and without running anything.
    """
    found = evidence.verify(run_dir)
    for line in found.lines(DEFAULT_LANGUAGE):
        click.echo(line)
    return 0 if found.accepted else 1


@main.command()
@_exits
def parameters() -> int:
    """
    List every parameter with its type, default, choices and meaning.
    """
    for row in schema():
        choices = f" [{', '.join(row.choices)}]" if row.choices else ""
        click.echo(f"{row.name}: {row.type} = {json.dumps(row.default)}{choices}\n    {row.help()}")
    return 0


@main.command("checks")
@_exits
def show_checks() -> int:
    """
    List every check: its effect, the guide's rule, today's rule and their sources.
    """
    from runbook_lib.render import catalogue

    click.echo(catalogue(DEFAULT_LANGUAGE).text())
    return 0


@main.group()
def sandbox() -> None:
    """
    The simulator of Azure Resource Manager that runs and rehearsals use by default.
    """


@sandbox.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1; a free one by default.")
@click.option("--profile", "file", type=click.Path(path_type=Path), help="A JSON file of settings and fault rules.")
@click.option("--throttle", metavar="LIMITS", help="none, arm2024 or backup-strict.")
@click.option("--latency", nargs=2, type=float, metavar="MEDIAN P99", help="Seconds that answers take.")
@click.option("--clock-scale", type=float, metavar="N", help="How many seconds of the tenant pass in a real one.")
@click.option("--seed", type=int, help="Of what is drawn: durations and latencies.")
@_exits
def sandbox_serve(port: int | None, file: Path | None, **options: Any) -> int:
    """
    Serve it over HTTP on the loopback interface, until Ctrl-C.

    What the options set stays with the sandbox until it is reset or loaded; docs/sandbox.md tells what there is.
    """
    from runbook_lib.arm.session import sandbox_path, sandbox_state
    from runbook_lib.sandbox import SandboxError, read_profile
    from runbook_lib.sandbox.server import serve

    settings = {name: value for name, value in options.items() if value is not None}
    if "latency" in settings:
        settings["latency"] = dict(zip(("median", "p99"), settings["latency"], strict=True))
    opened = sandbox_state(sandbox_path())
    try:
        opened.configure(**(read_profile(file) if file else {}) | settings)
        server = serve(opened, port)
    except SandboxError as error:
        raise InvalidParameters("sandbox", problem=str(error)) from error
    click.echo(say("say.sandbox_serving", DEFAULT_LANGUAGE, url=f"http://{server.host}:{server.port}"))
    server.run()
    return 0


@sandbox.command("reset")
@_exits
def sandbox_reset() -> int:
    """
    Put the example estate back.
    """
    from runbook_lib.arm.session import DEFAULT_ESTATE

    return _load(DEFAULT_ESTATE)


@sandbox.command("load")
@click.argument("source")
@_exits
def sandbox_load(source: str) -> int:
    """
    Load an estate: its name, an estate file, or a folder of recorded interactions.
    """
    return _load(source)


def _load(source: str) -> int:
    from runbook_lib.arm.session import sandbox_path, sandbox_state

    opened = sandbox_state(sandbox_path(), source)
    click.echo(json.dumps(opened.status(), indent=1, default=str))
    opened.close()
    return 0


@sandbox.command("status")
@_exits
def sandbox_status() -> int:
    """
    Say where its state is and what it holds.
    """
    from runbook_lib.arm.session import sandbox_path, sandbox_state

    opened = sandbox_state(sandbox_path())
    click.echo(json.dumps(opened.status(), indent=1, default=str))
    opened.close()
    return 0


def _new_folder() -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("runs") / f"{stamp}-{os.urandom(3).hex()}"


def _read_pairs(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
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


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            raise ValueError("not a file of at most 1 MiB")
        read = _PlainLoader(path.read_text(encoding="utf-8")).get_single_data()
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidParameters("parameters_file", resource=str(path), problem=str(error)) from error
    if not isinstance(read, dict):
        raise InvalidParameters("parameters_file", resource=str(path), problem="not a mapping")
    return {str(name): value for name, value in read.items()}
