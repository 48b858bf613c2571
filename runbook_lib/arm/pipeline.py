"""
What every request passes through: the read-only guard and the call log. Imports azure-core, `errors` and `journal`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy

from runbook_lib.errors import ReadOnlyViolation
from runbook_lib.journal import Journal

__all__ = ["CallLog", "ReadOnlyGuard", "origin_of", "public_url"]

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


def origin_of(url: str) -> tuple[str, str, int | None]:
    """
    Return scheme, host and port of *url*; nothing of each where it is no URL.
    """
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", "", None


class ReadOnlyGuard(HTTPPolicy[Any, Any]):
    """
    Let only reads through, unless `writing()` is open: GET, HEAD and a named list of reading POSTs.
    """

    def __init__(self, base_url: str) -> None:
        """
        Args:
            base_url: of Resource Manager, the only one who may be asked by POST.
        """
        super().__init__()
        self._origin = origin_of(base_url)
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
        """
        http = request.http_request
        path = urlsplit(http.url).path.lower()
        reads = http.method in ("GET", "HEAD") or (http.method == "POST" and self._asks(http.url, path))
        if not reads and not getattr(self._open, "here", False):
            raise ReadOnlyViolation("read_only", resource=path, method=http.method)
        request.context[_CHANGE] = getattr(self._open, "change", "")
        return self.next.send(request)

    def _asks(self, url: str, path: str) -> bool:
        known = _READING_POSTS.fullmatch(path) and not _AMBIGUOUS.search(path)
        return bool(known) and origin_of(url) == self._origin


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
