"""
The commands that run the job: `run`, `resume`, `apply`.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from runbook_lib import evidence
from runbook_lib.cli.base import exits, read_pairs, width
from runbook_lib.errors import Drift, InvalidParameters, PlanRefused, WriteFailed, speak
from runbook_lib.parameters import Parameters, build
from runbook_lib.text import plain, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbook_lib.chain import ChainResult
    from runbook_lib.records import Plan

__all__ = ["apply", "resume", "run"]

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


@click.command("run")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; may be repeated.")
@click.option("-f", "file", type=click.Path(path_type=Path), help="Parameters as a YAML mapping.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Where to read and write.")
@click.option("--estate", default="", help="Rehearse on a fresh copy of this estate: a name, a file or a folder.")
@click.option("--apply", "applies", is_flag=True, help="Write what the plan says; without it a run only plans.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@exits
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
    speak(dict(pairs).get("language"))
    given = _read_file(file) if file else {}
    given |= read_pairs(pairs)
    speak(given.get("language"))
    given |= {"target": target} if target else {}
    given |= {"apply": True} if applies else {}
    asked = build(given)
    if estate and asked.target != "sandbox":
        raise InvalidParameters("estate_on_azure", name="estate")
    if asked.run_dir:
        raise InvalidParameters("run_dir_option", name="run_dir")
    return _run(asked, _free_folder(out), estate, as_json)


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@exits
def resume(run_dir: Path, as_json: bool) -> int:
    """
    Go on with a run that did not end: what is done already is found and kept.
    """
    kept = evidence.read_json(run_dir / "parameters.json")
    speak(kept.get("language"))
    state = evidence.read_json(run_dir / "run.json")
    return _run(build(kept | {"apply": state["applies"]}), run_dir.resolve(), "", as_json)


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The run folder of the application.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Apply a rehearsed plan to the original here.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@exits
def apply(plan: Path, out: Path | None, target: str | None, as_json: bool) -> int:
    """
    Apply a saved plan, a plan.json or the run folder that has it, exactly as it is: refused if the world moved.

    Without --target it is applied where it was made. A plan that was rehearsed on a copy (`runbook snapshot`) goes to
    the original when --target says so, and to nothing else.
    """
    from runbook_lib.folder import read_plan
    from runbook_lib.plan import plan_digest

    path = plan / "plan.json" if plan.is_dir() else plan
    if not path.is_file():
        raise InvalidParameters("plan_missing", name="PLAN", resource=str(path))
    given = read_plan(path)
    if plan_digest(given) != given.digest:
        raise PlanRefused("plan_edited", digest=given.digest)
    speak(given.parameters.get("language"))
    asked = build(given.parameters | {"apply": True} | ({"target": target} if target else {}))
    folder = _free_folder(out)
    planned_on = _own_sandbox(path.resolve().parent)
    if planned_on.exists() and target is None:
        _pointer(folder).parent.mkdir(parents=True, exist_ok=True)
        _pointer(folder).write_text(str(planned_on), encoding="utf-8")
    return _run(asked, folder, "", as_json, given)


def _free_folder(out: Path | None) -> Path:
    """
    Return the folder of a new run.

    Raises:
        InvalidParameters: it holds something already.
    """
    folder = (out or _new_folder()).resolve()
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise InvalidParameters("run_dir_taken", name="--out", resource=str(folder))
    return folder


def _run(asked: Parameters, out: Path, estate: str, as_json: bool, given: Plan | None = None) -> int:
    from runbook_lib.chain import run_chain

    own = _own_sandbox(out)
    fresh = [path for path in (out, own) if not path.exists()]
    fresh += [_pointer(out)] if given else []
    try:
        with _sandbox_of(own, estate):
            result = run_chain(asked, out, lambda line: click.echo(line, err=True), given)
    except KeyboardInterrupt:
        raise WriteFailed("interrupted", resource=str(out)) from None
    except (Drift, InvalidParameters, PlanRefused) as error:
        if isinstance(error, InvalidParameters) or not list(out.glob("*.ipynb")):
            # Nothing came of it: leave nothing behind that looks like a run.
            for path in fresh:
                _remove(path)
        raise
    if as_json:
        click.echo(json.dumps(result.outcome, ensure_ascii=False, indent=1))
    else:
        _print_verdicts(result, asked.language)
    if asked.apply and own.exists():
        for line in _rehearsed(result, own, asked.language):
            # Beside the outcome, which is what is asked for as JSON.
            click.echo(line, err=as_json)
    return int(result.outcome["exit_code"])


def _own_sandbox(out: Path) -> Path:
    """
    Name a run's own sandbox; it lies beside the run folder, and is no evidence. A plan is applied to that of the run
    that made it.
    """
    if _pointer(out).exists():
        return Path(_pointer(out).read_text(encoding="utf-8"))
    return out.with_name(out.name + ".sandbox.sqlite")


def _pointer(out: Path) -> Path:
    return out.with_name(out.name + ".sandbox")


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
        if own.exists():
            # A kernel that was ended leaves its log behind; who opens and closes the database last tidies up.
            sandbox_state(own).close()
        if before is None:
            os.environ.pop("RUNBOOK_SANDBOX", None)
        else:
            os.environ["RUNBOOK_SANDBOX"] = before


def _print_verdicts(result: ChainResult, language: str) -> None:
    from runbook_lib.render import ending

    steps = evidence.read_json(result.folder / "plan.json").get("steps", ())
    for line in ending(result.outcome, steps, width(), language):
        click.echo(line)
    sealed = "say.sealed" if result.digest else "say.not_sealed"
    click.echo(say(sealed, language, path=plain(result.folder), digest=result.digest))


def _rehearsed(result: ChainResult, own: Path, language: str) -> list[str]:
    """
    Say what applying the plan to the original takes, where the run's own sandbox is a copy of one.
    """
    from runbook_lib.arm.session import sandbox_state
    from runbook_lib.folder import RunFolder
    from runbook_lib.rehearsal import estimate, lines
    from runbook_lib.render import planned

    folder = RunFolder(result.folder)
    plan = folder.plan()
    if plan is None or plan.copy_of is None:
        return []
    sandbox = sandbox_state(own)
    throttle = sandbox.profile().throttle
    sandbox.close()
    changes = planned(evidence.read_json(result.folder / "plan.json").get("steps", ()), language)
    found = estimate(folder.journal.entries())
    return [*changes, *lines(found, plan.copy_of, throttle, str(result.folder), language)]


def _new_folder() -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("runs") / f"{stamp}-{os.urandom(3).hex()}"


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
