"""
Runs that are told to stop: by Ctrl-C, by SIGTERM, or because their time is over. Imports `errors`.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runbook_lib.errors import WriteFailed

__all__ = ["stoppable"]


@contextmanager
def stoppable(place: Path, timeout: float | None = None) -> Iterator[Callable[[], None]]:
    """
    End the block with an error that says how to go on, when it is told to stop; at once, but for requests on their way.

    Signals are the main thread's own: in another thread the block goes on to its end.

    Yields:
        What the block calls now and then. A signal that comes while Python clears up after an object is lost with the
        exception that it raises there, which Python would print; it is raised once more then.

    Args:
        place: of the run, which can be taken up again.
        timeout: seconds that the block may take; None for as long as it does.

    Raises:
        WriteFailed: it was stopped; what was done is on record.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    over = threading.Event()

    def ring() -> None:
        over.set()
        # Windows has no signals to threads; there the main thread notices as soon as it runs Python code.
        if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
            signal.pthread_kill(main, signal.SIGTERM)
        else:
            _thread.interrupt_main(signal.SIGTERM)

    told = threading.Event()

    def stop(*_: object) -> None:
        told.set()
        raise KeyboardInterrupt

    def check() -> None:
        if told.is_set():
            raise KeyboardInterrupt

    def lost(info: sys.UnraisableHookArgs) -> None:
        if not isinstance(info.exc_value, KeyboardInterrupt):
            told_of(info)

    told_of, sys.unraisablehook = sys.unraisablehook, lost
    before = signal.signal(signal.SIGTERM, stop)
    # Who starts a command in the background may have it ignore Ctrl-C.
    listens = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    interrupted = signal.signal(signal.SIGINT, stop) if listens else None
    timer = threading.Timer(timeout or 0, ring)
    timer.daemon = True
    try:
        if timeout is not None:
            timer.start()
        yield check
    except KeyboardInterrupt:
        if over.is_set():
            raise WriteFailed("timed_out", resource=str(place), seconds=timeout) from None
        raise WriteFailed("interrupted", resource=str(place)) from None
    finally:
        timer.cancel()
        sys.unraisablehook = told_of
        signal.signal(signal.SIGTERM, before)
        if listens:
            signal.signal(signal.SIGINT, interrupted)
