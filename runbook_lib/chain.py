"""
Headless runs: the chain of all notebooks, in one kernel, by papermill and our engine.

It walks 00 to 06 plan-only, saves the plan, applies it if asked to, runs 07 and seals the run. papermill, which takes a
second to import, is imported while the kernel starts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import errors, evidence
from runbook_lib.conclusion import close
from runbook_lib.errors import Drift, InvalidParameters, PlanRefused, RunbookError, WriteFailed
from runbook_lib.events import Event
from runbook_lib.folder import CHAINED, NOTEBOOKS, SUPERVISED, RunFolder
from runbook_lib.kernel import Kernel, environment
from runbook_lib.parameters import Parameters
from runbook_lib.plan import Difference, is_done, world_moved
from runbook_lib.records import Plan, Target, key
from runbook_lib.secrets import redacted
from runbook_lib.text import DEFAULT_LANGUAGE, say

if TYPE_CHECKING:
    from papermill.exceptions import PapermillExecutionError

    from runbook_lib.applying import Progress
    from runbook_lib.run import Run

__all__ = ["ChainResult", "notebook_path", "run_chain"]

# More changes than this are told of in sums, every so many seconds.
MOST_LINES = 60
SECONDS = 5.0
# More would not be read on a terminal; the plan has to be made anew in any case.
MOST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainResult:
    """
    How a chain ended.

    Attributes:
        outcome: content of `outcome.json`.
        digest: sha256 of the attestation; empty when changes failed and the run is left open.
        key: id of the key that signed it; empty where none did.
    """

    folder: Path
    outcome: dict[str, Any]
    digest: str
    key: str = ""


def notebook_path(name: str, language: str) -> Path:
    """
    Return where a notebook is in *language*: under `$RUNBOOK_NOTEBOOKS`, or in the checkout that the package is
    installed from; English ones lie there, each translation in a folder of its own.

    Raises:
        RunbookError: it is not there.
    """
    named = os.environ.get("RUNBOOK_NOTEBOOKS")
    home = Path(named) if named else Path(__file__).parents[1] / "notebooks"
    path = (home if language == DEFAULT_LANGUAGE else home / language) / f"{name}.ipynb"
    if not path.exists():
        raise RunbookError("notebook_missing", resource=str(path))
    return path


def run_chain(
    asked: Parameters,
    out: Path,
    progress: Callable[[Event], None],
    given: Plan | None = None,
    sign_key: str = "",
    *,
    own: bool = False,
    stays: bool = False,
) -> ChainResult:
    """
    Run the whole job: plan, apply if `asked.apply`, read back, seal.

    Args:
        out: the run folder; a new one, or that of a run that did not end.
        given: a plan to apply in place of one that is made anew.
        progress: called with what happens, as work goes on.
        sign_key: the private key to sign with; where it is empty, `$RUNBOOK_SIGN_KEY` names it.
        own: whether the sandbox is this run's own.
        stays: whether the given plan is to be applied where it was made, and not to what that is a copy of.

    Raises:
        RunbookError: with the exit code that the command line ends with.
    """
    folder = RunFolder(out)
    if folder.sealed:
        raise InvalidParameters("run_sealed", name="run_dir", resource=str(out))
    for name in NOTEBOOKS:
        notebook_path(name, asked.language)
    # Before anything is sent: a key that cannot be used would be found out too late.
    signer = evidence.signer(sign_key)
    folder.save_parameters(asked)
    folder.begin(applies=asked.apply, given=given)
    if asked.apply and (folder.interrupted or folder.given_plan()):
        folder.check_approved()
    folder.keep_sandbox(own=own)
    began = folder.inventory("before")
    if (plan := folder.given_plan()) or (asked.apply and began):
        from runbook_lib.run import Run

        run = Run(folder, asked)
        _check_place(run.session.target, began.target if began else None, plan if stays else None)
        if plan:
            _check_given(plan, run)
    # The run folder is named relative to the kernel's place, so that no path of this machine gets into the evidence.
    with environment({CHAINED: "1", SUPERVISED: "1"}):
        kernel = Kernel(out.resolve().parent)
        try:
            # What was approved and interrupted goes on as it is; if the world has moved since, it is planned anew.
            going_on = asked.apply and folder.interrupted
            stopped = _apply(asked, folder, progress, folder.plan()) if going_on else None
            if not going_on or isinstance(stopped, Drift):
                for name in NOTEBOOKS[:-1]:
                    _execute(name, replace(asked, apply=False), folder, kernel, progress)
                stopped = _apply(asked, folder, progress) if asked.apply else None
            _execute(NOTEBOOKS[-1], asked, folder, kernel, progress)
        finally:
            kernel.stop()
    if stopped is not None:
        # What was sent until then is on record; the run is left open.
        raise stopped
    outcome = evidence.read_json(out / "outcome.json")
    # A run with changes that did not come to be is not at its end: unsealed, it is INCOMPLETE and can be resumed.
    digest = "" if evidence.unfinished(outcome["changes"]) else close(folder, signer)
    return ChainResult(folder=out, outcome=outcome, digest=digest, key=signer.public_key.keyid if signer else "")


def _check_place(here: Target, began: Target | None, staying: Plan | None) -> None:
    """
    Refuse to go on elsewhere than a run began, and to apply elsewhere than a plan was made: only who names a target
    leads from a copy to the original.

    Raises:
        PlanRefused: nothing was sent.
    """
    # Who goes on may be somebody else; a tenant that the token does not name is that of the subscriptions.
    if began and began != replace(here, caller=began.caller, tenant=here.tenant or began.tenant):
        raise PlanRefused("run_elsewhere", began=began.mark, found=here.mark)
    if staying and staying.copy_of and staying.copy_of != here.copy_of:
        raise PlanRefused("plan_elsewhere", mark=staying.copy_of.mark)


def _check_given(plan: Plan, run: Run) -> None:
    """
    Refuse a plan that was made for another target or another world, before a notebook is executed.

    Raises:
        PlanRefused, Drift: nothing was sent.
    """
    from runbook_lib.arm.apply import check_plan

    check_plan(plan, run.session)
    try:
        differences = world_moved(plan, run.before)
    except InvalidParameters as error:
        # What could be selected when the plan was made is gone.
        raise Drift("plan_selection", problem=str(error)) from error
    told = [_moved(each, run.asked.language) for each in differences] + _held_back(plan, run)
    if told:
        more = max(0, len(told) - MOST_DIFFERENCES)
        raise Drift("plan_moved", differences=" ".join(told[:MOST_DIFFERENCES]), count=more)


def _held_back(plan: Plan, run: Run) -> list[str]:
    """
    Say which VMs that the plan protects may not be enabled any more.
    """
    from runbook_lib.applying import PROTECTING, refused_of

    left = [each for each in plan.changes if each.kind in PROTECTING and not is_done(run.before, each)]
    refused = refused_of(run.before, run.asked, left)
    vms = {key(each.target): each.body["properties"]["sourceResourceId"] for each in left}
    return [say("say.moved_verdict", run.asked.language, resource=vms[each], why=why) for each, why in refused.items()]


def _moved(each: Difference, language: str) -> str:
    return say(
        "say.moved",
        language,
        resource=each.resource,
        field=each.field or "existence",
        expected=each.expected,
        found=each.found,
    )


def _apply(
    asked: Parameters, folder: RunFolder, progress: Callable[[Event], None], saved: Plan | None = None
) -> RunbookError | None:
    """
    Apply the plan step by step; return what stopped it, if a step was refused.

    Args:
        saved: the plan that an earlier try has begun to apply; None where one is to be made.
    """
    from runbook_lib.run import Run

    run = Run(folder, asked)
    plan = saved or run.plan
    if saved is None and folder.given_plan() is None:
        folder.save_plan(plan)
    numbers = [step.number for step in plan.steps]
    progress(Event(id="say.progress_apply", facts={"steps": ", ".join(numbers), "count": len(plan.changes)}))
    try:
        run.apply_plan(plan, numbers, _Reporter(run, progress))
    except (Drift, PlanRefused) as error:
        return error
    return None


class _Reporter:
    """
    Tells of each change as it ends; of a fleet's, how far they are, every few seconds.
    """

    def __init__(self, run: Run, progress: Callable[[Event], None]) -> None:
        self._run = run
        self._progress = progress
        self._next = 0.0

    def __call__(self, now: Progress) -> None:
        if now.last is not None and (now.total <= MOST_LINES or now.last.outcome not in ("done", "adopted")):
            self._progress(self._run.progress(now.last))
        if now.total > MOST_LINES and (time.monotonic() >= self._next or now.ended.total() == now.total):
            self._next = time.monotonic() + SECONDS
            self._progress(now.event)


def _execute(
    name: str, asked: Parameters, folder: RunFolder, kernel: Kernel, progress: Callable[[Event], None]
) -> None:
    with _without_iris():
        import papermill
        from papermill.exceptions import PapermillExecutionError
        from papermill.iorw import load_notebook_node

        from runbook_lib.executing import DeadKernelError, declared_parameters

    progress(Event(id="say.progress_notebook", facts={"notebook": name}))
    source = notebook_path(name, asked.language)
    declared = declared_parameters(load_notebook_node(str(source)))
    values = asked.as_dict() | {"run_dir": folder.path.name}
    try:
        papermill.execute_notebook(
            str(source),
            str(folder.path / f"{name}.ipynb"),
            parameters={each: values[each] for each in declared},
            engine_name="runbook",
            kernel_name="python3",
            progress_bar=False,
            shared_kernel=kernel,
        )
    except PapermillExecutionError as error:
        raise _as_ours(error, name) from error
    except DeadKernelError as error:
        # Killed, or out of memory: what was done is on record, and the run can go on.
        raise WriteFailed("kernel_died", resource=str(folder.path), notebook=name) from error


@contextmanager
def _without_iris() -> Iterator[None]:
    """
    Import in the block what checks notebooks, without its grammar of IRIs: it takes over a second to build, and the
    schema of notebooks has no IRI.
    """
    grammar = "rfc3987_syntax"
    if grammar in sys.modules:
        yield
        return
    # Python's own way to say that a module cannot be imported; jsonschema does without it then.
    sys.modules[grammar] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[grammar]


def _as_ours(error: PapermillExecutionError, notebook: str) -> RunbookError:
    """
    Turn an error of a cell into the error that it was, so that the exit code is right.
    """
    kind = getattr(errors, error.ename, None)
    if isinstance(kind, type) and issubclass(kind, RunbookError):
        return kind("in_notebook", resource=notebook, detail=redacted(error.evalue))
    return RunbookError("notebook_failed", resource=notebook, error=error.ename, detail=redacted(error.evalue))
