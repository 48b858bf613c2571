"""
How notebooks are executed: strict parameters, no widget state, and one kernel for a whole chain if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine
from papermill.inspection import _infer_parameters

from runbook_lib.errors import InvalidParameters
from runbook_lib.folder import GIVEN, SUPERVISED
from runbook_lib.kernel import Kernel, environment, transport
from runbook_lib.parameters import build
from runbook_lib.secrets import redacted
from runbook_lib.text import LANGUAGES

__all__ = ["DeadKernelError", "declared_parameters", "execute"]

# papermill writes the notebook before and after each of its cells; once a second is as good for whoever looks on.
_SAVE_EVERY = 1.0


def execute(nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
    """
    Check the parameters that papermill put into *nb*, then execute it.

    Raises:
        InvalidParameters: before a kernel starts.
    """
    _check(nb)
    if "shared_kernel" in options:
        # Evidence says nothing of the machine's folders.
        name = Path(options["output_path"]).name
        home = Path(nb.metadata["papermill"]["input_path"]).parent.name
        source = f"notebooks/{home}/{name}" if home in LANGUAGES else f"notebooks/{name}"
        nb.metadata["papermill"] |= {"input_path": source, "output_path": name}
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
        cls, nb_man: Any, kernel_name: str, *, shared_kernel: Kernel | None = None, **options: Any
    ) -> None:
        """
        Execute in a kernel of its own, or in a shared one whose names and counter are reset first.

        Widget state is not kept: it carries JavaScript that runs when the file is opened (measured).
        """
        settings = {"store_widget_state": False, "coalesce_streams": True} | options
        settings.pop("execution_timeout", None)
        if shared_kernel is None:
            settings |= transport()
            with _saved_clean(nb_man):
                super().execute_managed_notebook(nb_man, kernel_name, **settings)
            return
        if not shared_kernel.manager.is_alive():
            raise DeadKernelError("Kernel died")
        shared_kernel.reset()
        known = {"log_output", "stdout_file", "stderr_file", "store_widget_state", "coalesce_streams"}
        kept = {name: value for name, value in settings.items() if name in known}
        client = PapermillNotebookClient(nb_man, km=shared_kernel.manager, startup_timeout=120, **kept)
        client.kc = shared_kernel.client
        with _saved_clean(nb_man), _saved_seldom(nb_man):
            client.execute()


@contextmanager
def _saved_seldom(nb_man: Any) -> Iterator[None]:
    """
    Keep papermill from writing the notebook more than once a second; it does so at the end in any case.
    """
    save = nb_man.save

    def seldom(**options: Any) -> None:
        if (nb_man.now() - nb_man.last_save_time).total_seconds() >= _SAVE_EVERY:
            save(**options)

    nb_man.save = seldom
    try:
        yield
    finally:
        nb_man.save = save


@contextmanager
def _saved_clean(nb_man: Any) -> Iterator[None]:
    """
    Take out of each cell's outputs what opens something before they are written: a traceback may quote a signed URL.
    """
    save, done = nb_man.save, set()

    def clean() -> None:
        for number, cell in enumerate(nb_man.nb.cells):
            if number not in done and cell.get("outputs"):
                cell.outputs = [_without_secrets(output) for output in cell.outputs]
                if cell.metadata.get("papermill", {}).get("status") in ("completed", "failed"):
                    done.add(number)

    def saved(**options: Any) -> None:
        clean()
        save(**options)

    nb_man.save = saved
    try:
        yield
    finally:
        nb_man.save = save
        clean()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return nbformat.from_dict(  # type: ignore[no-untyped-call]
            {name: _without_secrets(here) for name, here in value.items()}
        )
    return [_without_secrets(here) for here in value] if isinstance(value, list) else value


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
