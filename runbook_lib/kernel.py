"""
How notebooks are executed: strict parameters, no widget state, and one kernel for a whole chain if there is one.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from jupyter_client.manager import KernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine
from papermill.inspection import _infer_parameters

from runbook_lib.errors import InvalidParameters
from runbook_lib.folder import GIVEN, SUPERVISED
from runbook_lib.parameters import build

__all__ = ["declared_parameters", "environment", "execute", "start_kernel"]

_RESET = "get_ipython().reset(new_session=True)"


def execute(nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
    """
    Check the parameters that papermill put into *nb*, then execute it.

    Raises:
        InvalidParameters: before a kernel starts.
    """
    _check(nb)
    given = ",".join(nb.metadata.get("papermill", {}).get("parameters", {}))
    with environment({SUPERVISED: "1", GIVEN: given}):
        executed: NotebookNode = _Engine.execute_notebook(nb, kernel_name, **options)
        return executed


class _Engine(NBClientEngine):  # type: ignore[misc]
    """
    papermill's own engine, in a kernel of its own or in a shared one.
    """

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
        client = PapermillNotebookClient(nb_man, km=shared_kernel, startup_timeout=120, **kept)
        try:
            client.execute()
        finally:
            # nbclient leaves the channels open to a kernel that is not its own.
            if client.kc is not None:
                client.kc.stop_channels()


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


class _IpcKernelManager(KernelManager):
    """
    A kernel over IPC with a connection file of its own: kernels that share the default one talk across (measured).
    """

    def __init__(self, **options: Any) -> None:
        place = Path(gettempdir()) / f"runbook-{uuid.uuid4().hex}.json"
        super().__init__(transport="ipc", ip=str(place.with_suffix("")), connection_file=str(place), **options)


def start_kernel(place: Path) -> KernelManager:
    """
    Start a kernel for a chain, working in *place*.
    """
    kind = KernelManager if sys.platform == "win32" else _IpcKernelManager
    manager = kind(kernel_name="python3")
    manager.start_kernel(cwd=str(place))
    return manager


def _reset(kernel: KernelManager) -> None:
    """
    Forget the last notebook's names and begin to count from 1 again.

    Raises:
        DeadKernelError: there is no kernel any more.
    """
    if not kernel.is_alive():
        raise DeadKernelError("Kernel died")
    client = kernel.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        client.execute_interactive(_RESET, silent=True, store_history=False, timeout=60)
    finally:
        client.stop_channels()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """
    Set environment variables for the time of the block; kernels started in it inherit them.
    """
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
