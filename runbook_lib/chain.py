"""
Headless runs: the papermill engine `runbook`, and the chain of all notebooks in one kernel.

The engine refuses unknown and ill-typed parameters before a kernel starts (papermill itself only logs them). The chain
walks 00 to 06 plan-only, saves the plan, applies it if asked to, runs 07 and seals the run.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import papermill
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.inspection import _infer_parameters
from papermill.iorw import load_notebook_node

from runbook_lib import errors, evidence
from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.folder import CHAINED, SUPERVISED, RunFolder
from runbook_lib.parameters import Parameters, build
from runbook_lib.run import NOTEBOOKS, Run
from runbook_lib.text import say

__all__ = ["ChainResult", "RunbookEngine", "notebook_path", "run_chain"]

_RESET = "get_ipython().reset(new_session=True)"


class RunbookEngine(NBClientEngine):  # type: ignore[misc]
    """
    papermill's own engine, made strict: `papermill --engine runbook IN OUT -p NAME VALUE`.
    """

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
        """
        Check the parameters, then execute.

        Raises:
            InvalidParameters: before a kernel starts and before anything is written.
        """
        _check(nb)
        with _environment({SUPERVISED: "1"}):
            return super().execute_notebook(nb, kernel_name, **options)

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, shared_kernel: KernelManager | None = None, **options: Any
    ) -> None:
        """
        Execute in a kernel of its own, or in a shared one whose names and counter are reset first.

        Widget state is not kept: it carries JavaScript that runs when the file is opened (measured).
        """
        settings = {"store_widget_state": False, "coalesce_streams": True} | options
        settings.pop("execution_timeout", None)
        if shared_kernel is None:
            settings |= _transport()
            super().execute_managed_notebook(nb_man, kernel_name, **settings)
            return
        _reset(shared_kernel)
        known = {"log_output", "stdout_file", "stderr_file", "store_widget_state", "coalesce_streams"}
        kept = {name: value for name, value in settings.items() if name in known}
        PapermillNotebookClient(nb_man, km=shared_kernel, startup_timeout=120, **kept).execute()


def _check(nb: NotebookNode) -> None:
    """
    Compare what was passed with what the notebook declares, and with the schema.
    """
    passed = dict(nb.metadata.get("papermill", {}).get("parameters", {}))
    declared = declared_parameters(nb)
    unknown = [name for name in passed if name not in declared]
    problems = tuple(InvalidParameters("unknown_parameter", name=name, known=", ".join(declared)) for name in unknown)
    if problems:
        raise InvalidParameters(problems=problems)
    build(passed)


def declared_parameters(nb: NotebookNode) -> tuple[str, ...]:
    """
    List the names that a notebook's parameters cell assigns.
    """
    return tuple(each.name for each in _infer_parameters(nb))


def _transport() -> dict[str, Any]:
    """
    Choose the kernel's transport: sockets in the file system where there are such, for TCP ports are open to everyone.
    """
    return {} if sys.platform == "win32" else {"kernel_manager_class": _IpcKernelManager}


class _IpcKernelManager(KernelManager):  # type: ignore[misc]
    """
    A kernel over IPC with a connection file of its own: kernels that share the default one talk across (measured).
    """

    def __init__(self, **options: Any) -> None:
        place = Path(gettempdir()) / f"runbook-{uuid.uuid4().hex}.json"
        super().__init__(transport="ipc", ip=str(place.with_suffix("")), connection_file=str(place), **options)


def _kernel() -> KernelManager:
    return KernelManager(kernel_name="python3") if sys.platform == "win32" else _IpcKernelManager(kernel_name="python3")


def _reset(kernel: KernelManager) -> None:
    """
    Forget the last notebook's names and begin to count from 1 again.
    """
    client = kernel.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        client.execute_interactive(_RESET, silent=True, store_history=False, timeout=60)
    finally:
        client.stop_channels()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainResult:
    """
    How a chain ended.

    Attributes:
        outcome: content of `outcome.json`.
        digest: sha256 of the attestation.
    """

    folder: Path
    outcome: dict[str, Any]
    digest: str


def notebook_path(name: str) -> Path:
    """
    Return where a notebook is: `$RUNBOOK_NOTEBOOKS`, or the checkout that the package is installed from.

    Raises:
        RunbookError: it is not there.
    """
    named = os.environ.get("RUNBOOK_NOTEBOOKS")
    home = Path(named) if named else Path(__file__).parents[1] / "notebooks"
    path = home / f"{name}.ipynb"
    if not path.exists():
        raise RunbookError("notebook_missing", resource=str(path))
    return path


def run_chain(asked: Parameters, out: Path, progress: Callable[[str], None]) -> ChainResult:
    """
    Run the whole job: plan, apply if `asked.apply`, read back, seal.

    Args:
        out: the run folder; a new one, or that of a run that did not end.
        progress: called with a line of text as work goes on.

    Raises:
        RunbookError: with the exit code that the command line ends with.
    """
    folder = RunFolder(out)
    if folder.sealed:
        raise InvalidParameters("run_sealed", name="run_dir", resource=str(out))
    for name in NOTEBOOKS:
        notebook_path(name)
    papermill_engines.register("runbook", RunbookEngine)
    folder.save_parameters(asked)
    kernel = _kernel()
    # The run folder is named relative to the kernel's place, so that no path of this machine gets into the evidence.
    with _environment({CHAINED: "1", SUPERVISED: "1"}):
        kernel.start_kernel(cwd=str(out.resolve().parent))
        try:
            for name in NOTEBOOKS[:-1]:
                _execute(name, replace(asked, apply=False), folder, kernel, progress)
            folder.save_parameters(asked)
            if asked.apply:
                _apply(asked, folder, progress)
            _execute(NOTEBOOKS[-1], asked, folder, kernel, progress)
        finally:
            kernel.shutdown_kernel(now=True)
    digest = evidence.seal(out)
    return ChainResult(folder=out, outcome=evidence.read_json(out / "outcome.json"), digest=digest)


def _apply(asked: Parameters, folder: RunFolder, progress: Callable[[str], None]) -> None:
    run = Run(folder, asked)
    plan = run.plan
    folder.save_plan(plan)
    for step in plan.steps:
        progress(say("say.progress_step", asked.language, step=step.number, count=len(step.changes)))
        for each in run.apply_plan(plan, [step.number]):
            progress(run.progress(each))


def _execute(
    name: str, asked: Parameters, folder: RunFolder, kernel: KernelManager, progress: Callable[[str], None]
) -> None:
    progress(say("say.progress_notebook", asked.language, notebook=name))
    source = notebook_path(name)
    target = folder.path / f"{name}.ipynb"
    declared = declared_parameters(load_notebook_node(str(source)))
    values = asked.as_dict() | {"run_dir": folder.path.name}
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters={each: values[each] for each in declared},
            engine_name="runbook",
            kernel_name="python3",
            progress_bar=False,
            shared_kernel=kernel,
        )
    except PapermillExecutionError as error:
        raise _as_ours(error, name) from error
    finally:
        if target.exists():
            _without_paths(target, name)


def _as_ours(error: PapermillExecutionError, notebook: str) -> RunbookError:
    """
    Turn an error of a cell into the error that it was, so that the exit code is right.
    """
    kind = getattr(errors, error.ename, None)
    if isinstance(kind, type) and issubclass(kind, RunbookError):
        return kind("in_notebook", resource=notebook, detail=error.evalue)
    return RunbookError("notebook_failed", resource=notebook, error=error.ename, detail=error.evalue)


def _without_paths(executed: Path, name: str) -> None:
    """
    Replace papermill's absolute paths by the notebook's name: evidence says nothing of the machine's folders.
    """
    content = json.loads(executed.read_text(encoding="utf-8"))
    about = content["metadata"].get("papermill", {})
    about |= {"input_path": f"notebooks/{name}.ipynb", "output_path": f"{name}.ipynb"}
    evidence.write_json(executed, content)
