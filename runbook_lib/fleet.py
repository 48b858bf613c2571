"""
Many runs: one chain for each target, over any `concurrent.futures.Executor`.

Local processes are the default; a Dask cluster that is there already is reached through its own executor. Each run has
a folder of its own, and with it evidence of its own; a fleet only starts them and sums up.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from runbook_lib import evidence
from runbook_lib.errors import BrokenEvidence, InvalidParameters, RunbookError, WriteFailed
from runbook_lib.events import Event
from runbook_lib.evidence import ATTESTATION
from runbook_lib.headless import forget_sandbox, has_begun, kept_parameters, run_headless
from runbook_lib.kernel import environment
from runbook_lib.parameters import Parameters
from runbook_lib.stopping import stoppable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FleetResult", "FleetRow", "FleetTarget", "Processes", "cluster", "run_fleet"]

SUMMARY = "fleet.json"
# The worst first: an error, wrong parameters, drift, what can be resumed, VMs that are not there, all well.
WORST = (1, 2, 4, 5, 3, 0)
# How executors say that the process that was at a task is gone; Dask's own is not imported for its name.
LOST = ("BrokenProcessPool", "CancelledError", "KilledWorker")
# Seconds until a scheduler must have answered.
PATIENCE = 20
# A chain works by the environment of its process, so that a process has one at a time, whatever its threads.
_ONE = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTarget:
    """
    One run of a fleet.

    Attributes:
        name: of the run's folder in the fleet's.
        estate: a fresh copy of which the run is to work on; empty for the shared sandbox, or for Azure.
        estate_digest: sha256 of what the estate holds; empty where there is none.
    """

    name: str
    asked: Parameters
    estate: str = ""
    estate_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """
    What came of one run.

    Attributes:
        state: `sealed`; `resumable`, with what was done on record; `nothing`, where nothing was begun; or `broken`,
            where its evidence cannot be read.
        ran: whether it ran now; what was sealed before is left alone.
        mark: of the target; empty where the run did not come so far.
        counts: VMs by verdict.
        digest: sha256 of the attestation.
        error: why it did not come to its end.
    """

    name: str
    state: str
    ran: bool
    exit_code: int
    mark: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetResult:
    """
    What came of a fleet, in the order of its targets.
    """

    rows: tuple[FleetRow, ...]

    @property
    def exit_code(self) -> int:
        """
        The worst of the runs', by the order of `WORST`.
        """
        return min((row.exit_code for row in self.rows), key=WORST.index)

    @property
    def document(self) -> dict[str, Any]:
        """
        Content of `fleet.json`.
        """
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts += Counter(row.counts)
        return {"exit_code": self.exit_code, "counts": dict(counts), "runs": [asdict(row) for row in self.rows]}


def run_fleet(
    targets: Sequence[FleetTarget], executor: Executor, out: Path, progress: Callable[[Event], None]
) -> FleetResult:
    """
    Run each target in its folder of *out*: what is sealed there is left alone, what is unfinished goes on.

    Args:
        executor: its processes share this machine's files, and Python's packages.
        progress: called with what happens.

    Raises:
        InvalidParameters: a folder holds something else than the target's run; nothing was started.
        WriteFailed: it was stopped, and can be gone on with.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _check(targets, out)
        (out / SUMMARY).unlink(missing_ok=True)
        going = [each for each in targets if not (out / each.name / ATTESTATION).exists()]
        progress(Event(id="fleet.begins", facts={"count": len(targets), "sealed": len(targets) - len(going)}))
        shared = {name: value for name, value in os.environ.items() if name.startswith("RUNBOOK_")}
        for each in going:
            if not has_begun(out / each.name):
                evidence.write_json(_origin(each, out), _estate_of(each))
        started = {executor.submit(run_target, each, str(out), shared): each for each in going}
        try:
            rows: dict[str, FleetRow] = {}
            with stoppable(out) as check:
                for each, row in _ended(started, out, progress):
                    rows[each.name] = row
                    check()
        except WriteFailed as error:
            for future in started:
                future.cancel()
            raise WriteFailed("fleet_stopped", resource=str(out)) from error
        result = FleetResult(rows=tuple(rows.get(each.name) or _row(each, out, ran=False) for each in targets))
        evidence.write_json(out / SUMMARY, result.document)
        return result


def run_target(target: FleetTarget, out: str, shared: Mapping[str, str]) -> None:
    """
    Run or resume one target in this process.

    Args:
        shared: environment of whoever started the fleet, as far as it is the runbook's.

    Raises:
        RunbookError: why the run did not come to its end.
    """
    folder = Path(out) / target.name
    with _ONE, environment(shared):
        # A worker that died may have begun it: what it did is found, and kept.
        estate = "" if has_begun(folder) else target.estate
        if estate:
            forget_sandbox(folder)
        run_headless(target.asked, folder, lambda _: None, estate=estate)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise InvalidParameters("fleet_running", name="--out", resource=str(out)) from None


def _check(targets: Sequence[FleetTarget], out: Path) -> None:
    """
    Refuse to go on with runs that were begun for something else.
    """
    problems = []
    for each in targets:
        folder = out / each.name
        if not folder.exists():
            continue
        if not has_begun(folder):
            if any(folder.iterdir()):
                problems.append(InvalidParameters("run_dir_taken", name="--out", resource=str(folder)))
            continue
        try:
            held = kept_parameters(folder).as_dict()
        except RunbookError:
            if (folder / ATTESTATION).exists():
                # It is left alone, and told as broken when all others have ended.
                continue
            raise
        asked = each.asked.as_dict()
        differing = [name for name, value in asked.items() if held[name] != value]
        if _kept_estate(each, out) != _estate_of(each):
            differing.append("estate")
        if differing:
            names = ", ".join(differing)
            problems.append(InvalidParameters("fleet_other", name=each.name, resource=str(folder), parameters=names))
    if problems:
        raise InvalidParameters(problems=tuple(problems))


def _origin(target: FleetTarget, out: Path) -> Path:
    """
    Name the file that keeps which estate a run was begun on; it lies beside the run's sandbox, and is no evidence.
    """
    return out / f"{target.name}.estate.json"


def _estate_of(target: FleetTarget) -> dict[str, str]:
    # Wherever it lies: what it holds makes it the same or another.
    return {"sha256": target.estate_digest} if target.estate else {}


def _kept_estate(target: FleetTarget, out: Path) -> Any:
    return evidence.read_json(_origin(target, out)) if _origin(target, out).exists() else {}


def _ended(
    started: Mapping[Future[None], FleetTarget], out: Path, progress: Callable[[Event], None]
) -> Iterator[tuple[FleetTarget, FleetRow]]:
    for future in as_completed(started):
        error = CancelledError() if future.cancelled() else future.exception()
        row = _row(started[future], out, ran=True, error=error)
        facts = {"name": row.name, "state": row.state, "exit_code": row.exit_code, "error": row.error}
        if row.error:
            progress(Event(id="fleet.failed", level="error", facts=facts))
        else:
            progress(Event(id="fleet.ended", facts=facts))
        yield started[future], row


def _row(target: FleetTarget, out: Path, *, ran: bool, error: BaseException | None = None) -> FleetRow:
    """
    Read what a run came to off its folder, which alone is evidence.
    """
    folder = out / target.name
    begun = has_begun(folder)
    if error is not None:
        state = "resumable" if begun else "nothing"
        if type(error).__name__ in LOST:
            return FleetRow(name=target.name, state=state, ran=ran, exit_code=5, error=type(error).__name__)
        if not isinstance(error, RunbookError):
            said = f"{type(error).__name__}: {error}"
            return FleetRow(name=target.name, state=state, ran=ran, exit_code=1, error=said)
        # What a notebook was stopped by is told in the language of the run already.
        said = " ".join(error.describe(target.asked.language).split())
        return FleetRow(name=target.name, state=state, ran=ran, exit_code=error.exit_code, error=said)
    try:
        return _read_row(target.name, folder, ran=ran)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        broken: RunbookError = BrokenEvidence("evidence_unreadable", resource=str(folder), problem=repr(problem))
    except RunbookError as problem:
        broken = problem
    return FleetRow(name=target.name, state="broken", ran=ran, exit_code=BrokenEvidence.exit_code, error=str(broken))


def _read_row(name: str, folder: Path, *, ran: bool) -> FleetRow:
    """
    Raises:
        RunbookError: its evidence cannot be read; or AttributeError, KeyError, TypeError, ValueError where it is none.
    """
    outcome = evidence.read_json(folder / "outcome.json")
    digest, problem, code = "", "", int(outcome["exit_code"])
    if (folder / ATTESTATION).exists():
        found = evidence.verify(folder)
        digest = found.digest
        if not found.accepted:
            broken = BrokenEvidence("fleet_broken", resource=str(folder))
            problem, code = str(broken), broken.exit_code
    if code not in WORST:
        raise ValueError(f"outcome.json: exit_code {code}")
    return FleetRow(
        name=name,
        state="sealed" if digest else "resumable",
        ran=ran,
        exit_code=code,
        mark=str(outcome["target"]),
        counts={str(verdict): int(count) for verdict, count in outcome["counts"].items()},
        digest=digest,
        error=problem,
    )


class Processes(Executor):
    """
    Local processes, a new one for each task: where one is killed, a pool of several would end all others too.
    """

    def __init__(self, workers: int) -> None:
        self._waiting = ThreadPoolExecutor(workers, thread_name_prefix="fleet")

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """
        Start a task as soon as there is room.
        """
        return self._waiting.submit(_in_a_process, task, *args, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """
        Take no more tasks, and wait for those that there are.
        """
        self._waiting.shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # Whoever goes on waits for nobody: runs that are told to stop can be resumed.
            self.shutdown(wait=False, cancel_futures=True)
            for each in multiprocessing.active_children():
                each.terminate()
        self.shutdown()


def _in_a_process(task: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(task, *args, **options).result()


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """
    Reach a Dask cluster that is there already, for the time of the block.

    Raises:
        RunbookError: Dask is not installed, or nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RunbookError("fleet_extra") from error
    try:
        client = Client(address, timeout=PATIENCE)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RunbookError("scheduler", resource=address, problem=str(error)) from error
    with client:
        yield client.get_executor(pure=False)  # type: ignore[no-untyped-call]
