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
from runbook_lib.arm.opening import sandbox_path, sandbox_state
from runbook_lib.chain import ChainResult, run_chain
from runbook_lib.errors import BrokenEvidence, Drift, InvalidParameters, PlanRefused, SignInError, WriteFailed
from runbook_lib.events import Event
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.private import make_folder
from runbook_lib.records import Plan, Target
from runbook_lib.stopping import stoppable

__all__ = ["forget_sandbox", "has_begun", "kept_parameters", "own_sandbox", "run_headless"]

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
    made_in = given[1] if given else None
    fresh = [] if out.exists() else [out]
    with _private():
        if estate:
            own: Path | None = _reserved(_beside(out))
            fresh.append(_beside(out))
        else:
            # A plan is applied to the sandbox of the run that made it; a run that goes on stays on its own.
            own = _kept_sandbox(made_in or out) if made_in or begun else None
            if own and made_in:
                _reserved(_pointer(out)).write_text(str(own), encoding="utf-8")
                fresh.append(_pointer(out))
    try:
        with _private(), stoppable(out, timeout) as check, _sandbox_of(own, estate):

            def tell(event: Event) -> None:
                check()
                progress(event)

            plan = given[0] if given else None
            return run_chain(asked, out, tell, plan, sign_key, own=own is not None, stays=made_in is not None)
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


def own_sandbox(out: Path) -> Path | None:
    """
    Name the sandbox of a run that has one of its own; it lies beside the run folder, and is no evidence.
    """
    path = Path(_pointer(out).read_text(encoding="utf-8")) if _pointer(out).is_file() else _beside(out)
    state = evidence.read_json(out / STATE) if has_begun(out) else {}
    # Runs of older versions do not say.
    return path if state.get("own_sandbox", path.exists()) is True else None


def forget_sandbox(out: Path) -> None:
    """
    Remove the sandbox that a run was to have which died before it began.
    """
    if not _beside(out).is_symlink():
        _remove([_beside(out)])


def _kept_sandbox(out: Path) -> Path | None:
    """
    Raises:
        InvalidParameters: a link lies in its place.
        PlanRefused: it is gone.
    """
    own = own_sandbox(out)
    if own and own.is_symlink():
        raise InvalidParameters("sandbox_taken", name="sandbox", resource=str(own))
    if own and not own.is_file():
        raise PlanRefused("sandbox_gone", resource=str(own))
    return own


def _reserved(path: Path) -> Path:
    """
    Make an empty file for what a new run is to have beside its folder.

    Raises:
        InvalidParameters: something lies there, or where a database keeps more: nothing is overwritten, and whoever
            prepares a link must not make the run write elsewhere.
    """
    for each in _files(path):
        if os.path.lexists(each):
            raise InvalidParameters("sandbox_taken", name="sandbox", resource=str(each))
    try:
        make_folder(path.parent)
        path.touch(0o600, exist_ok=False)
    except OSError as error:
        raise InvalidParameters("run_dir", name="run_dir", resource=str(path), problem=str(error)) from error
    return path


def _beside(out: Path) -> Path:
    return out.with_name(out.name + ".sandbox.sqlite")


def _pointer(out: Path) -> Path:
    return out.with_name(out.name + ".sandbox")


def _files(path: Path) -> list[Path]:
    """
    Name a database, and what it may keep beside itself.
    """
    return [path.with_name(path.name + suffix) for suffix in ("", "-journal", "-shm", "-wal")]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
            continue
        for each in _files(path):
            each.unlink(missing_ok=True)


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
def _sandbox_of(own: Path | None, estate: str) -> Iterator[None]:
    """
    Give a run its own sandbox, where it has one: filled, where it was started with an estate.
    """
    before = os.environ.get("RUNBOOK_SANDBOX")
    if own and estate:
        sandbox_state(own, estate).close()
    # Absolute, for the kernel works in another folder.
    os.environ["RUNBOOK_SANDBOX"] = str((own or sandbox_path()).resolve())
    try:
        yield
    finally:
        if own and own.exists():
            # A kernel that was ended leaves its log behind; who opens and closes the database last tidies up.
            sandbox_state(own).close()
        if before is None:
            os.environ.pop("RUNBOOK_SANDBOX", None)
        else:
            os.environ["RUNBOOK_SANDBOX"] = before
