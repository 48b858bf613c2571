"""
A transport of azure-core that hands requests to the sandbox in this process. The only module that imports `azure`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ResponseNotReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
    StreamClosedError,
    StreamConsumedError,
)
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.core.utils import case_insensitive_dict

from runbook_lib.sandbox.faults import ConnectionBroken

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["SandboxResponse", "SandboxTransport"]

_CHUNK = 65536


class SandboxTransport(HttpTransport[HttpRequest, HttpResponse]):
    """
    Answers the requests of SDK clients from a WSGI application; any number of threads may share it.

    Args:
        app: the service.
        on_sleep: gets the seconds that a client wants to wait, and returns at once.
    """

    def __init__(self, app: WSGIApplication, on_sleep: Callable[[float], None]) -> None:
        self._app = app
        self._on_sleep = on_sleep

    def open(self) -> None:
        """
        Do nothing: there is no connection.
        """

    def close(self) -> None:
        """
        Do nothing: there is no connection.
        """

    def __enter__(self) -> SandboxTransport:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def sleep(self, duration: float) -> None:
        """
        Turn the virtual clock instead of waiting; the poller and the retry policy wait here.
        """
        self._on_sleep(duration)

    def send(self, request: HttpRequest, *, stream: bool = False, **kwargs: Any) -> SandboxResponse:
        """
        Answer a request.

        Args:
            stream: leave the body to be read by the caller, as the first call of a long operation does.

        Raises:
            ServiceRequestError: the connection broke, or the client gave up, before the service acted.
            ServiceResponseError: the connection broke, or the client gave up, after the service acted.
            IncompleteReadError: the answer ended in the middle.
        """
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
            started.append((status, headers))
            return _no_write

        try:
            body = b"".join(self._app(_environ(request), start_response))
        except ConnectionBroken as error:
            if error.how == "timeout":
                self._on_sleep(error.seconds)
            raise _as_client(error) from error
        status, headers = started[-1]
        response = SandboxResponse(request, status, headers, body)
        if not stream:
            response.read()
        return response


class SandboxResponse(HttpResponse):
    """
    A response of the sandbox: azure-core's public interface over a body that is in memory.

    azure-core has an implementation of its own, but it is private and asks for a connection to read from.
    """

    def __init__(self, request: HttpRequest, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, self._reason = status.partition(" ")
        self._request = request
        self._status_code = int(code)
        self._headers: MutableMapping[str, str] = case_insensitive_dict(headers)
        self._body = body
        self._encoding: str | None = None
        self._read = self._consumed = self._closed = False

    @property
    def request(self) -> HttpRequest:
        return self._request

    @property
    def status_code(self) -> int:
        return self._status_code

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._headers

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def content_type(self) -> str | None:
        return self._headers.get("Content-Type")

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_stream_consumed(self) -> bool:
        return self._consumed

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def content(self) -> bytes:
        if not self._read:
            raise ResponseNotReadError(self)
        return self._body

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or self._encoding or "utf-8-sig")

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self._status_code >= 400:
            raise HttpResponseError(response=self)

    def __enter__(self) -> SandboxResponse:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True

    def read(self) -> bytes:
        if not self._read:
            self._body = b"".join(self.iter_raw())
            self._read = True
        return self._body

    def iter_raw(self, **kwargs: Any) -> Iterator[bytes]:
        if self._consumed:
            raise StreamConsumedError(self)
        if self._closed:
            raise StreamClosedError(self)
        self._consumed = True
        for start in range(0, len(self._body), _CHUNK):
            yield self._body[start : start + _CHUNK]
        self.close()

    def iter_bytes(self, **kwargs: Any) -> Iterator[bytes]:
        if self._read:
            yield self._body
        else:
            yield from self.iter_raw()


def _as_client(error: ConnectionBroken) -> AzureError:
    # What the transports over sockets raise.
    if error.how == "truncate":
        return IncompleteReadError(str(error), error=error)
    if error.how == "timeout":
        late = ServiceResponseTimeoutError if error.acted else ServiceRequestTimeoutError
        return late(str(error), error=error)
    lost = ServiceResponseError if error.acted else ServiceRequestError
    return lost(str(error), error=error)


def _environ(request: HttpRequest) -> WSGIEnvironment:
    parts = urlsplit(request.url)
    content = _bytes(request.content)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(content),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_HOST": parts.netloc,
    }
    headers: Mapping[str, str] = request.headers
    for name, value in headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


def _bytes(content: Any) -> bytes:
    if content is None:
        return b""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes):
        return content
    return b"".join(content)


def _no_write(data: bytes) -> None:
    raise NotImplementedError("the sandbox answers through the iterable only")
