"""
The kernel of a chain: one for all notebooks. Imports jupyter_client only, for papermill takes a second to import, in
which the kernel can start.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

__all__ = ["Kernel", "environment", "transport"]

_RESET = "get_ipython().reset(new_session=True)"
# A reset collects garbage: what was imported stays, and would be gone through again before every notebook.
_PRELOAD = "import gc, runbook_lib.run; gc.freeze(); del gc"
# What a run executed is in its folder, and not for the user's history.
_WITHOUT_HISTORY = "--HistoryManager.enabled=False"


def transport() -> dict[str, Any]:
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


class Kernel:
    """
    A running kernel and the one client that all notebooks of a chain share.
    """

    def __init__(self, place: Path) -> None:
        """
        Start a kernel that works in *place*, and let it load the library while the caller does something else.
        """
        kind = KernelManager if sys.platform == "win32" else _IpcKernelManager
        self.manager = kind(kernel_name="python3")
        self.manager.start_kernel(cwd=str(place), extra_arguments=[_WITHOUT_HISTORY])
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.allow_stdin = False
        self.client.execute(_PRELOAD, silent=True, store_history=False)
        self._ready = False

    def reset(self) -> None:
        """
        Forget the last notebook's names and begin to count from 1 again; the first time, wait until it is up.
        """
        if not self._ready:
            self.client.wait_for_ready(timeout=120)
            self._ready = True
        self.client.execute_interactive(_RESET, silent=True, store_history=False, timeout=60)

    def stop(self) -> None:
        """
        End the kernel, and what still waits for an answer of it.
        """
        _abandon()
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def _abandon() -> None:
    """
    Cancel the tasks that an interrupt left half done in the loop under jupyter_client's blocking calls.

    The next such call would take them up again, on closed sockets, and asyncio would print their tracebacks.
    """
    loop = ensure_event_loop()
    if loop.is_running():
        # It is somebody else's, as are its tasks: the calls run in a thread then.
        return
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        # gather() takes their errors too, which are all of having been cancelled.
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


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
