"""
What every request passes through: the guard, which lets only reads through and nothing out of Resource Manager, and the
call log. Imports azure-core, urllib3, `errors` and `journal`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, RedirectPolicy
from urllib3.util import parse_url

from runbook_lib.errors import ReadOnlyViolation
from runbook_lib.journal import Journal

__all__ = ["CallLog", "ForeignHost", "ReadOnlyGuard", "Redirects", "leads_to", "origin_of", "public_url"]

# POST operations that change nothing: questions about protection, and about the rules and routes that hold for a
# network interface (azure-contract, sections 7 and 8.3).
_GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_READING_POSTS = re.compile(
    f"/subscriptions/{_GUID}/"
    "(providers/microsoft\\.recoveryservices/locations/[^/]+/"
    "(backupprevalidateprotection|backupstatus|backupvalidatefeatures)"
    "|resourcegroups/[^/]+/providers/microsoft\\.network/networkinterfaces/[^/]+/"
    "(effectivenetworksecuritygroups|effectiveroutetable))"
)
# What a server could take for another path than the one that was compared.
_AMBIGUOUS = re.compile(r"%2e|%2f|%5c|%25|[\\;]|/\.{1,2}(/|$)")
# What one parser of URLs drops, or takes for the end of a host, and another does not. Some services leave plain spaces
# in a query, where they do no harm.
_UNCLEAR = re.compile(r"[\\\x00-\x1f\x7f-\xa0]|^[^?]*\s")
_PORTS = {"http": 80, "https": 443}
# Signed polling URLs carry a certificate and a signature: not secret, but no business of a journal (real-shapes).
_KEPT_QUERY = frozenset({"api-version", "$filter", "$expand", "$skiptoken", "statusonly"})
# Where the guard leaves the digest of the change that a request belongs to.
_CHANGE = "runbook_change"


def public_url(url: str) -> str:
    """
    Return path and query of *url* without signatures and tokens.
    """
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() in _KEPT_QUERY]
    query = urlencode(kept, safe="$'")
    return f"{parts.path}?{query}" if query else parts.path


class ForeignHost(AzureError):
    """
    A request was about to leave Resource Manager, with the token or as an answer to one that had it.

    Attributes:
        status: of the redirect that led there; 0 where it was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """
    Return scheme, host and port of *url*; None where it is no URL, has a user, or leads elsewhere by another reading.
    """
    if _UNCLEAR.search(url):
        return None
    try:
        # The standard library's reading, and that of the transport, which is where the request goes.
        ours, sent = urlsplit(url), parse_url(url)
        read = {
            _origin(ours.scheme, ours.hostname, ours.port),
            _origin(sent.scheme, (sent.host or "").strip("[]"), sent.port),
        }
    except ValueError:
        return None
    first, *others = read
    return None if others or not first[1] or "@" in ours.netloc else first


def _origin(scheme: str | None, host: str | None, port: int | None) -> tuple[str, str, int | None]:
    return scheme or "", host or "", _PORTS.get(scheme or "") if port is None else port


def leads_to(url: str, base_url: str) -> bool:
    """
    Tell whether *url* lies where *base_url* does, without any doubt.
    """
    origin = origin_of(url)
    return origin is not None and origin == origin_of(base_url)


class ReadOnlyGuard(HTTPPolicy[Any, Any]):
    """
    Let only reads through, unless `writing()` is open: GET, HEAD and a named list of reading POSTs; and nothing at all
    to another host, whoever leads there: a link, a redirect or a client.
    """

    def __init__(self, base_url: str) -> None:
        """
        Args:
            base_url: of Resource Manager, the only one who may be asked.
        """
        super().__init__()
        self._base_url = base_url
        self._open = threading.local()

    @contextmanager
    def writing(self, change: str = "") -> Iterator[None]:
        """
        Allow this thread to write for the time of the block; others read on meanwhile.

        Args:
            change: digest of the change that is written, for the call log.
        """
        self._open.here, self._open.change = True, change
        try:
            yield
        finally:
            self._open.here, self._open.change = False, ""

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """
        Pass a read on; refuse anything else unless writing is open.

        Raises:
            ReadOnlyViolation: before anything is sent.
            ForeignHost: likewise.
        """
        http = request.http_request
        path = urlsplit(http.url).path.lower()
        ours = leads_to(http.url, self._base_url)
        reads = http.method in ("GET", "HEAD") or (http.method == "POST" and ours and self._asks(path))
        if not reads and not getattr(self._open, "here", False):
            raise ReadOnlyViolation("read_only", resource=path, method=http.method)
        if not ours:
            raise ForeignHost(f"{path}: leads to another host")
        request.context[_CHANGE] = getattr(self._open, "change", "")
        return self.next.send(request)

    def _asks(self, path: str) -> bool:
        return bool(_READING_POSTS.fullmatch(path)) and not _AMBIGUOUS.search(path)


class Redirects(RedirectPolicy[Any, Any]):
    """
    Follow a redirect within Resource Manager, and none out of it: what answers there is not who was asked.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def get_redirect_location(self, response: PipelineResponse[Any, Any]) -> str | Literal[False] | None:
        """
        Return where a redirect leads; what is none leads nowhere.

        Raises:
            ForeignHost: to another host.
        """
        location = super().get_redirect_location(response)
        asked = response.http_request.url
        if location and not leads_to(_joined(asked, location), self._base_url):
            status = response.http_response.status_code
            raise ForeignHost(f"{urlsplit(asked).path}: redirected to another host", status)
        return location


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


class CallLog(HTTPPolicy[Any, Any]):
    """
    Write one journal line per request that was sent, retries included; never a header that could hold a token.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """
        Send, then record what came back, or that nothing did.
        """
        started = time.monotonic()
        http = request.http_request
        entry: dict[str, Any] = {
            "method": http.method,
            "url": public_url(http.url),
            "client_request_id": http.headers.get("x-ms-client-request-id", ""),
        }
        if change := request.context.get(_CHANGE):
            entry["change_sha256"] = change
        try:
            response = self.next.send(request)
        except AzureError as error:
            # Logged and passed on as it is: that no answer came is what the journal must say.
            self._journal.call(entry | {"status": 0, "error": type(error).__name__, "seconds": _since(started)})
            raise
        headers = response.http_response.headers
        entry |= {
            "status": response.http_response.status_code,
            "date": headers.get("Date", ""),
            "request_id": headers.get("x-ms-request-id", ""),
            "correlation_id": headers.get("x-ms-correlation-request-id", ""),
            "seconds": _since(started),
        }
        self._journal.call(entry)
        return response


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
