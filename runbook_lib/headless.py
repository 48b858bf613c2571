"""
One headless run as the command line and fleets start it: with a sandbox of its own where it has an estate, private
files, and nothing left behind that only looks like a run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runbook_lib import evidence
from runbook_lib.arm.session import sandbox_path, sandbox_state
from runbook_lib.chain import ChainResult, run_chain
from runbook_lib.errors import BrokenEvidence, Drift, InvalidParameters, PlanRefused, SignInError, WriteFailed
from runbook_lib.events import Event
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.records import Plan, Target
from runbook_lib.stopping import stoppable

__all__ = ["has_begun", "kept_parameters", "own_sandbox", "run_headless"]

STATE = "run.json"


def run_headless(
    asked: Parameters,
    out: Path,
    progress: Callable[[Event], None],
    *,
    estate: str = "",
    given: tuple[Plan, Path | None] | None = None,
    sign_key: str = "",
    timeout: float | None = None,
) -> ChainResult:
    """
    Run the chain in the folder *out*: a new one, or that of a run that did not end.

    Args:
        estate: a fresh copy of which the run is to work on; empty for the shared sandbox, or the run's own.
        given: a plan to apply, and the folder whose sandbox it is applied to; None for the target that there is.
        sign_key: the private key to sign with; where it is empty, `$RUNBOOK_SIGN_KEY` names it.
        timeout: seconds that the run may take.

    Raises:
        RunbookError: with the exit code that the command line ends with.
    """
    if given is not None:
        _check_kind(given[0], asked.target)
    begun = has_begun(out)
    own = own_sandbox(out)
    fresh = [path for path in (out, own) if not path.exists()]
    if given is not None and given[1] is not None and own_sandbox(given[1]).exists():
        # A plan is applied to the sandbox of the run that made it.
        own = own_sandbox(given[1])
        fresh.append(_pointer(out))
        _pointer(out).parent.mkdir(parents=True, exist_ok=True)
        _pointer(out).write_text(str(own), encoding="utf-8")
    try:
        with _private(), stoppable(out, timeout) as check, _sandbox_of(own, estate):

            def tell(event: Event) -> None:
                check()
                progress(event)

            return run_chain(asked, out, tell, given[0] if given else None, sign_key)
    except (Drift, InvalidParameters, PlanRefused) as error:
        if isinstance(error, InvalidParameters) or not list(out.glob("*.ipynb")):
            # Nothing came of it: leave nothing behind that looks like a run.
            _remove(fresh)
        raise
    except SignInError:
        if not begun and not _answered(out):
            _remove(fresh)
        raise
    except WriteFailed as error:
        if begun or has_begun(out):
            raise
        _remove(fresh)
        raise WriteFailed("stopped_early") from error


def _check_kind(plan: Plan, target: str) -> None:
    """
    Refuse a plan for an invented estate before anybody has to sign in to Azure; all else is for `check_plan` to tell.

    Raises:
        PlanRefused: it goes to a sandbox, and to nothing else.
    """
    if target == "azure" and plan.copy_of is None and plan.target == Target(kind="sandbox", name="").mark:
        raise PlanRefused("plan_target", planned=plan.target, found="AZURE")


def _answered(out: Path) -> bool:
    """
    Tell whether a run got any answer of its target.
    """
    entries = Journal(out / "journal.jsonl").entries()
    return any(entry["entry"] == "call" and entry["status"] for entry in entries)


def has_begun(out: Path) -> bool:
    """
    Tell whether a folder is that of a run that can be gone on with, or looked at.
    """
    return (out / STATE).is_file()


def kept_parameters(out: Path) -> Parameters:
    """
    Return what a run that was begun in a folder was asked to do.

    Raises:
        BrokenEvidence: nobody began a headless run there.
        InvalidParameters: its parameters are none.
    """
    kept, state = (evidence.read_json(out / name) for name in ("parameters.json", STATE))
    if not isinstance(kept, dict) or not isinstance(state, dict) or not isinstance(state.get("visited"), dict):
        raise BrokenEvidence("no_run", resource=str(out))
    return build(kept | {"apply": state.get("applies") is True})


def own_sandbox(out: Path) -> Path:
    """
    Name a run's own sandbox; it lies beside the run folder, and is no evidence.
    """
    if _pointer(out).exists():
        return Path(_pointer(out).read_text(encoding="utf-8"))
    return out.with_name(out.name + ".sandbox.sqlite")


def _pointer(out: Path) -> Path:
    return out.with_name(out.name + ".sandbox")


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
            continue
        # A sandbox, with what its database keeps beside it.
        for suffix in ("", "-journal", "-shm", "-wal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _private() -> Iterator[None]:
    """
    Let the run's files, those of its kernel among them, be the user's alone; Windows has such folders in any case.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _sandbox_of(own: Path, estate: str) -> Iterator[None]:
    """
    Give a run its own sandbox where it was started with an estate.
    """
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
