"""
The sandbox over HTTP on the loopback interface, for clients in other processes and of other makes.

Imports the standard library, waitress and other modules of the sandbox only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from http.client import responses
from threading import Event
from typing import TYPE_CHECKING, Any

from waitress.channel import ClientDisconnected
from waitress.server import create_server
from waitress.wasyncore import close_all

from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.faults import ConnectionBroken
from runbook_lib.sandbox.tenant import Sandbox

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["SandboxServer", "serve"]

_ADDRESS = "127.0.0.1"
_NAMES = (_ADDRESS, "localhost", "[::1]")
# More than clients are likely to be, for a fault rule may keep some of them waiting.
_THREADS = 32
_MOST_BYTES = 4 << 20
_MOST_BUFFERED = 64 << 20


class SandboxServer:
    """
    A listening server on *host* and *port*.
    """

    def __init__(self, sandbox: Sandbox, port: int | None) -> None:
        self._guard = guard = _Guard(sandbox)
        self._sockets: dict[int, Any] = {}
        try:
            self._server = create_server(
                guard,
                self._sockets,
                host=_ADDRESS,
                port=port or 0,
                max_request_body_size=_MOST_BYTES,
                # Waitress does not close the files into which it puts what is larger.
                inbuf_overflow=_MOST_BYTES,
                outbuf_overflow=_MOST_BUFFERED,
                ident=None,
                threads=_THREADS,
            )
        except OSError as error:
            close_all(self._sockets)
            raise SandboxError("port", port=port, problem=error.strerror) from error
        self.host = _ADDRESS
        self.port = guard.port = int(self._server.effective_port)

    def run(self) -> None:
        """
        Serve until `close` is called from another thread, or the process is interrupted.
        """
        try:
            self._server.run()
        finally:
            self._server.task_dispatcher.shutdown()

    def close(self) -> None:
        """
        End `run`, with all its connections.
        """
        self._guard.closing.set()
        trigger = self._server.trigger
        # In the thread of `run`, so that no socket is closed while it is being waited for; and under the lock, so that
        # the thread, woken by something else, does not close the trigger before it is pulled.
        with trigger.lock:
            trigger.thunks.append(self._end)
            trigger.pull_trigger()

    def _end(self) -> None:
        # Requests first: a thread that ends one later would pull a trigger whose number another file may have by then.
        self._server.task_dispatcher.shutdown()
        close_all(self._sockets)


def serve(sandbox: Sandbox, port: int | None = None) -> SandboxServer:
    """
    Listen on the loopback interface, on *port* or on a free one; `run` of the result serves.

    Raises:
        SandboxError: the port cannot be had.
    """
    return SandboxServer(sandbox, port)


class _Guard:
    """
    Keeps out what a web page could send: the sandbox is for programs on this machine (DNS rebinding, cross-site).
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._app = sandbox.wsgi()
        self.port = 0
        self.closing = Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        allowed = {f"{name}:{self.port}" for name in _NAMES}
        if environ.get("HTTP_HOST", "").lower() not in allowed or "HTTP_ORIGIN" in environ:
            text = b"The sandbox answers programs on this machine only, under its own address."
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))]
            start_response(f"403 {responses[403]}", headers)
            return [text]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, self._in_client_time(headers))

        try:
            return self._app(environ, start)
        except ConnectionBroken as error:
            if error.how == "truncate":
                start(f"{error.status} {responses[error.status]}", list(error.headers.items()))
                return [error.content[: len(error.content) // 2]]
            if error.how == "timeout":
                self.closing.wait(error.seconds / (self._sandbox.profile().clock_scale or 1))
            raise ClientDisconnected from error

    def _in_client_time(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        # A client waits in its own seconds, the tenant counts in those of its scaled clock.
        scale = self._sandbox.profile().clock_scale
        if scale is None:
            return headers
        return [
            (name, str(math.ceil(int(value) / scale)) if name == "Retry-After" and value.isdigit() else value)
            for name, value in headers
        ]
