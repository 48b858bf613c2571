"""
The sandbox over HTTP on the loopback interface, for clients in other processes and of other makes.

Imports the standard library, waitress and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Iterable
from http.client import responses
from typing import TYPE_CHECKING

from waitress.channel import ClientDisconnected
from waitress.server import TcpWSGIServer, create_server

from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.faults import ConnectionDropped
from runbook_lib.sandbox.tenant import Sandbox

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["SandboxServer", "serve"]

_ADDRESS = "127.0.0.1"
_NAMES = (_ADDRESS, "localhost", "[::1]")
_MOST_BYTES = 4 << 20


class SandboxServer:
    """
    A listening server; `run` serves until `close` is called from another thread.
    """

    def __init__(self, server: TcpWSGIServer) -> None:
        self._server = server
        self.host = _ADDRESS
        self.port = int(server.effective_port)

    def run(self) -> None:
        """
        Serve until the server is closed or the process is interrupted.
        """
        self._server.run()

    def close(self) -> None:
        """
        Stop listening and end `run`.
        """
        self._server.close()


def serve(sandbox: Sandbox, port: int | None = None) -> SandboxServer:
    """
    Listen on the loopback interface, on *port* or on a free one.

    Raises:
        SandboxError: the port cannot be had.
    """
    guard = _Guard(sandbox.wsgi())
    try:
        server = create_server(
            guard, host=_ADDRESS, port=port or 0, max_request_body_size=_MOST_BYTES, ident=None, threads=8
        )
    except OSError as error:
        raise SandboxError(f"port {port}: cannot listen on it ({error.strerror}); choose another") from error
    guard.port = server.effective_port
    return SandboxServer(server)


class _Guard:
    """
    Keeps out what a web page could send: the sandbox is for programs on this machine (DNS rebinding, cross-site).
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.port = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        allowed = {f"{name}:{self.port}" for name in _NAMES}
        if environ.get("HTTP_HOST", "").lower() not in allowed or "HTTP_ORIGIN" in environ:
            text = b"The sandbox answers programs on this machine only, under its own address."
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))]
            start_response(f"403 {responses[403]}", headers)
            return [text]
        try:
            return self._app(environ, start_response)
        except ConnectionDropped as error:
            raise ClientDisconnected from error
