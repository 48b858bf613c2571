"""
The commands that run the job: `run`, `resume`, `apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib import evidence
from runbook_lib.cli.base import Output, exits, new_folder, read_mapping, read_parameters, signed, told, width
from runbook_lib.errors import BrokenEvidence, InvalidParameters, PlanRefused, speak
from runbook_lib.events import Event
from runbook_lib.parameters import SIGNING_IN, Parameters, as_options
from runbook_lib.text import plain, say

if TYPE_CHECKING:
    from runbook_lib.chain import ChainResult
    from runbook_lib.records import Plan

__all__ = ["apply", "resume", "run"]

# A week: a run that takes longer has lost its token, and its plan has aged.
LONGEST = 604_800
# How to sign in, which neither a plan nor a run that goes on depends on.
signing_in = click.option(
    "-p",
    "pairs",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help=f"{', '.join(SIGNING_IN)}: over what the plan or the run says; may be repeated.",
)
timed = click.option(
    "--timeout",
    type=click.IntRange(1, LONGEST),
    metavar="SECONDS",
    help="Stop after this time with exit code 5; the run can be resumed.",
)


@click.command("run")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; may be repeated.")
@click.option("-f", "file", type=click.Path(path_type=Path), help="Parameters as a YAML mapping.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Where to read and write.")
@click.option("--estate", default="", help="Rehearse on a fresh copy of this estate: a name, a file or a folder.")
@click.option("--apply", "applies", is_flag=True, help="Write what the plan says; without it a run only plans.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.")
@signed
@timed
@told
@exits
def run(
    pairs: tuple[tuple[str, str], ...],
    file: Path | None,
    target: str | None,
    estate: str,
    applies: bool,
    out: Path | None,
    sign_key: str,
    timeout: int | None,
    output: Output,
) -> int:
    """
    Run all notebooks headlessly: plan, apply if told to, read back, seal the evidence.
    """
    speak(dict(pairs).get("language"))
    given = read_mapping(file) if file else {}
    speak(dict(pairs).get("language", given.get("language")))
    options = ({"target": target} if target else {}) | ({"apply": True} if applies else {})
    asked = read_parameters(pairs, given, options)
    if estate and asked.target != "sandbox":
        raise InvalidParameters("estate_on_azure", name="estate")
    if asked.run_dir:
        raise InvalidParameters("run_dir_option", name="run_dir")
    return _run(asked, _free_folder(out), output, estate=estate, sign_key=sign_key, timeout=timeout)


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@signing_in
@signed
@timed
@told
@exits
def resume(
    run_dir: Path, pairs: tuple[tuple[str, str], ...], sign_key: str, timeout: int | None, output: Output
) -> int:
    """
    Go on with a run that did not end: what is done already is found and kept. It signs in as it was started with.
    """
    from runbook_lib.headless import kept_parameters

    kept = kept_parameters(run_dir)
    speak(kept.language)
    asked = _signing_in(pairs, kept.as_dict())
    return _run(asked, run_dir.resolve(), output, sign_key=sign_key, timeout=timeout)


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The run folder of the application.")
@click.option("--target", type=click.Choice(["sandbox", "azure"]), help="Apply a rehearsed plan to the original here.")
@signing_in
@signed
@timed
@told
@exits
def apply(
    plan: Path,
    out: Path | None,
    target: str | None,
    pairs: tuple[tuple[str, str], ...],
    sign_key: str,
    timeout: int | None,
    output: Output,
) -> int:
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
    _check_sealed(path.resolve().parent)
    given = read_plan(path)
    if plan_digest(given) != given.digest:
        raise PlanRefused("plan_edited", digest=given.digest)
    speak(given.parameters.get("language"))
    asked = _signing_in(pairs, given.parameters | {"apply": True} | ({"target": target} if target else {}))
    folder = _free_folder(out)
    made_in = path.resolve().parent if target is None else None
    return _run(asked, folder, output, given=(given, made_in), sign_key=sign_key, timeout=timeout)


def _signing_in(pairs: tuple[tuple[str, str], ...], held: Mapping[str, Any]) -> Parameters:
    """
    Read parameters that say how to sign in, over those that a plan or a run has.

    Raises:
        InvalidParameters: one of them says something else, or breaks a rule.
    """
    others = [name for name, _ in pairs if name not in SIGNING_IN]
    if others:
        known = ", ".join(SIGNING_IN)
        raise InvalidParameters(
            problems=tuple(InvalidParameters("only_signing_in", name=name, known=known) for name in others)
        )
    return read_parameters(pairs, held)


def _check_sealed(folder: Path) -> None:
    """
    Refuse a plan that lies in a sealed run folder which is not as it was sealed.

    Raises:
        PlanRefused: `runbook verify` calls it broken.
    """
    if not (folder / evidence.ATTESTATION).exists():
        return
    try:
        broken = bool(evidence.verify(folder).problems)
    except BrokenEvidence as error:
        raise PlanRefused("plan_unsealed", resource=str(folder)) from error
    if broken:
        raise PlanRefused("plan_unsealed", resource=str(folder))


def _free_folder(out: Path | None) -> Path:
    """
    Return the folder of a new run.

    Raises:
        InvalidParameters: it holds something already.
    """
    folder = (out or new_folder()).resolve()
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise InvalidParameters("run_dir_taken", name="--out", resource=str(folder))
    return folder


def _run(
    asked: Parameters,
    out: Path,
    output: Output,
    *,
    estate: str = "",
    given: tuple[Plan, Path | None] | None = None,
    sign_key: str = "",
    timeout: int | None = None,
) -> int:
    from runbook_lib.headless import own_sandbox, run_headless

    def tell(event: Event) -> None:
        output.tell(event, asked.language)

    result = run_headless(asked, out, tell, estate=estate, given=given, sign_key=sign_key, timeout=timeout)
    code = int(result.outcome["exit_code"])
    facts = {"exit_code": code, "run_dir": str(out), "digest": result.digest, "counts": result.outcome["counts"]}
    tell(Event(id="say.progress_ended", facts=facts))
    if output.as_json:
        output.result(result.outcome)
    else:
        _print_verdicts(result, asked.language)
    if asked.apply:
        for line in _rehearsed(result, own_sandbox(out), asked):
            # Beside the outcome, which is what is asked for as JSON.
            click.echo(line, err=output.as_json)
    return code


def _print_verdicts(result: ChainResult, language: str) -> None:
    from runbook_lib.render import ending

    steps = evidence.read_json(result.folder / "plan.json").get("steps", ())
    for line in ending(result.outcome, steps, width(), language):
        click.echo(line)
    path = plain(result.folder)
    if not result.digest:
        click.echo(say("say.not_sealed", language, path=path))
        return
    click.echo(evidence.sealed(path, result.digest, result.key, language))


def _rehearsed(result: ChainResult, own: Path | None, asked: Parameters) -> list[str]:
    """
    Say what applying the plan to the original takes, where the run's own sandbox is a copy of one.
    """
    from runbook_lib.arm.opening import copied_by, sandbox_state
    from runbook_lib.folder import RunFolder
    from runbook_lib.rehearsal import estimate, lines
    from runbook_lib.render import planned

    if own is None:
        return []
    folder = RunFolder(result.folder)
    plan = folder.plan()
    if plan is None or plan.copy_of is None:
        return []
    sandbox = sandbox_state(own)
    throttle = sandbox.profile().throttle
    copied = asdict(copied_by(sandbox.status()["source"]))
    sandbox.close()
    # What the rehearsal itself was told goes before what the copy was made with.
    own_words = {name for name in SIGNING_IN if getattr(asked, name) != getattr(Parameters(), name)}
    signing = replace(asked, **{name: value for name, value in copied.items() if name not in own_words})
    options = as_options(signing, SIGNING_IN) if plan.copy_of.kind == "azure" else ""
    changes = planned(evidence.read_json(result.folder / "plan.json").get("steps", ()), asked.language)
    found = estimate(folder.journal.entries())
    return [*changes, *lines(found, plan.copy_of, throttle, str(result.folder), options, asked.language)]
