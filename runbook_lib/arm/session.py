"""
The SDK clients that talk to the target of a run, and what all of their requests have in common.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.resource.subscriptions import SubscriptionClient

from runbook_lib.arm.limiter import Limiter
from runbook_lib.arm.patience import Patience
from runbook_lib.arm.pipeline import CallLog, ForeignHost, ReadOnlyGuard, Redirects, leads_to
from runbook_lib.arm.wire import http_date
from runbook_lib.errors import SignInError
from runbook_lib.journal import Journal
from runbook_lib.records import Target
from runbook_lib.secrets import redacted

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.recoveryservices import RecoveryServicesClient
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
    from azure.mgmt.resource.resources import ResourceManagementClient

__all__ = ["WORKERS", "ArmError", "Session", "pause_of"]

T = TypeVar("T")
R = TypeVar("R")

_ARM = "https://management.azure.com"
# Requests at one time in one subscription; the limits are met with far fewer.
WORKERS = 8
# Between two looks at an operation that does not say how long it takes; the recorded ones of the network take 10 s.
POLL = 10.0
LONGEST = 3600.0


class ArmError(Exception):
    """
    A read that did not succeed: what the inventory turns into something unread.

    Attributes:
        status: HTTP status, 0 when no answer came.
        code: the service's error code.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = redacted(message)
        super().__init__(f"{status} {code}: {self.message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clients:
    """
    The typed SDK clients of one subscription.
    """

    resources: ResourceManagementClient
    network: NetworkManagementClient
    vaults: RecoveryServicesClient
    backup: RecoveryServicesBackupClient


class Session:
    """
    One signed-in target: raw rows for bulk reads, typed clients for writes, all through one guarded pipeline.
    """

    def __init__(
        self,
        target: Target,
        credential: TokenCredential,
        journal: Journal,
        transport: HttpTransport[Any, Any] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        shared: Path | None = None,
        base_url: str = _ARM,
        place: str = "",
        refused: Callable[[str, str], SignInError] | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            transport: where requests go; None for azure-core's own, over the network.
            clock: seconds on the target's clock.
            shared: file in which local processes share what is left of the target's limits; None for this one alone.
            base_url: of Resource Manager.
            place: what tells this target from others of its kind; nothing where there is only one.
            refused: explains, of a resource and its words, why it takes no token; None for a person at the Azure CLI.
            options: more options of the SDK's clients.
        """
        self.target = target
        self.guard = ReadOnlyGuard(base_url)
        self.journal = journal
        self.clock = clock
        self.limiter = Limiter(shared, clock, self.sleep)
        self._credential = credential
        self._transport = transport
        self.place = place or base_url
        self._base_url = base_url
        self._explain = refused or _refused
        self._more = options
        self._clients: dict[str, _Clients] = {}
        self._lock = threading.Lock()
        self._now: datetime | None = None
        self._raw = SubscriptionClient(credential, **self._options())

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "base_url": self._base_url,
            "per_retry_policies": [self.guard, CallLog(self.journal)],
            "redirect_policy": Redirects(self._base_url),
            "retry_policy": Patience(self.limiter, self.sleep, self.target.caller),
            # azure-core's own logging would print headers; ours is the journal.
            "logging_enable": False,
        }
        if self._transport is not None:
            options["transport"] = self._transport
        return options | self._more

    def clients(self, subscription: str) -> _Clients:
        """
        Return the typed clients of a subscription.
        """
        # Imported where they are used: a run that only plans needs none of them, and they cost 0.4 s at its start.
        from azure.mgmt.network import NetworkManagementClient
        from azure.mgmt.recoveryservices import RecoveryServicesClient
        from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
        from azure.mgmt.resource.resources import ResourceManagementClient

        with self._lock:
            if subscription not in self._clients:
                options = self._options()
                self._clients[subscription] = _Clients(
                    resources=ResourceManagementClient(self._credential, subscription, **options),
                    network=NetworkManagementClient(self._credential, subscription, **options),
                    vaults=RecoveryServicesClient(self._credential, subscription, **options),
                    backup=RecoveryServicesBackupClient(self._credential, subscription, **options),
                )
            return self._clients[subscription]

    @property
    def now(self) -> datetime:
        """
        The service's clock at its last answer, from the `Date` header.
        """
        if self._now is None:
            raise SignInError("no_answer", resource=self._base_url)
        return self._now

    def sleep(self, seconds: float) -> None:
        """
        Wait on the target's clock: really on Azure, at once on the in-process sandbox.
        """
        if self._transport is not None:
            self._transport.sleep(seconds)
        else:
            time.sleep(seconds)

    def each(self, look: Callable[[T], R], items: Iterable[T], most: int = WORKERS) -> Iterator[R]:
        """
        Do the same for each of *items*, up to *most* at one time where answers come over the network: those that this
        process computes itself come later for being computed side by side (measured).
        """
        if self._transport is not None:
            yield from map(look, items)
            return
        with ThreadPoolExecutor(most, thread_name_prefix="arm") as pool:
            yield from pool.map(look, items)

    def get(self, path: str, api_version: str, **query: str) -> dict[str, Any]:
        """
        Read one resource as ARM's own JSON.

        Raises:
            ArmError: it could not be read.
            SignInError: the credential is refused.
        """
        return self._send(HttpRequest("GET", path, params={"api-version": api_version, **query}))

    def ask(self, path: str, api_version: str, body: dict[str, Any]) -> dict[str, Any]:
        """
        Put a question to the service by POST, one of those that change nothing.

        Raises:
            ArmError: it could not be answered.
            SignInError: the credential is refused.
            ReadOnlyViolation: the POST is none of the reading ones; nothing was sent.
        """
        return self._send(HttpRequest("POST", path, params={"api-version": api_version}, json=body))

    def ask_and_wait(self, path: str, api_version: str, deadline: float) -> dict[str, Any]:
        """
        Put a question that the service takes its time for: by POST, then again where it says, until it is answered.

        Args:
            deadline: seconds on the target's clock that the answer may take.

        Raises:
            ArmError: it could not be answered, or not in time.
            SignInError: the credential is refused.
            ReadOnlyViolation: the POST is none of the reading ones; nothing was sent.
        """
        request = HttpRequest("POST", path, params={"api-version": api_version})
        waited = 0.0
        while True:
            response = self._exchange(request)
            if response.status_code != 202:
                return _body_of(response)
            location = response.headers.get("Location", "")
            self._refuse_foreign(path, location)
            pause = pause_of(response.headers)
            if waited + pause > deadline:
                raise ArmError(202, "NotInTime", f"{path}: no answer within {deadline:.0f} seconds")
            self.sleep(pause)
            waited += pause
            request = HttpRequest("GET", location)

    def follow(self, url: str) -> tuple[int, dict[str, Any]]:
        """
        Ask how far an operation is, at the URL that the service gave, word for word.

        Returns:
            The status, and the body where there is one.

        Raises:
            ArmError: the URL leads to another host, or there is no answer to it.
            SignInError: the credential is refused.
        """
        self._refuse_foreign(url, url)
        response = self._exchange(HttpRequest("GET", url))
        if response.status_code in (202, 204) or (response.status_code in (200, 201) and not response.content):
            return response.status_code, {}
        return response.status_code, _body_of(response)

    def rows(self, path: str, api_version: str, **query: str) -> Iterator[dict[str, Any]]:
        """
        Read a list over all its pages, as ARM's own JSON: models cost 0.75 ms a VM (measured).

        Raises:
            ArmError: a page could not be read, is no list, leads to another host, or the pages go in a circle.
            SignInError: the credential is refused.
        """
        for page, _ in self.pages(path, api_version, **query):
            yield from page

    def pages(
        self, path: str, api_version: str, after: str = "", **query: str
    ) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """
        Read a list as `rows` does, page by page, each with the link to the next one; empty where it is the last.

        Args:
            after: link to the page to go on with, of an earlier reading.
        """
        if after:
            self._refuse_foreign(path, after)
        first = HttpRequest("GET", path, params={"api-version": api_version, **query})
        request = HttpRequest("GET", after) if after else first
        seen: set[str] = set()
        while True:
            page = self._send(request)
            rows = page.get("value")
            if not isinstance(rows, list):
                raise ArmError(200, "MalformedPage", f"{path}: a list has no 'value'")
            following = str(page.get("nextLink") or "")
            yield [row for row in rows if isinstance(row, dict)], following
            if not following:
                return
            if following in seen:
                raise ArmError(200, "PagesLoop", f"{path}: nextLink comes back to a page that was read")
            self._refuse_foreign(path, following)
            seen.add(following)
            request = HttpRequest("GET", following)

    def _send(self, request: HttpRequest) -> dict[str, Any]:
        return _body_of(self._exchange(request))

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        try:
            response = self._raw.send_request(request)
            self._take_time(response)
        except ClientAuthenticationError as error:
            raise self._explain(self._base_url, redacted(error.message)) from error
        except HttpResponseError as error:
            raise ArmError(error.status_code or 0, "HttpResponseError", error.message) from error
        except ForeignHost as error:
            # Links are looked at before they are followed: a redirect led there.
            raise ArmError(error.status, "ForeignRedirect", error.message) from error
        except AzureError as error:
            raise ArmError(0, type(error).__name__, error.message) from error
        if response.status_code == 401:
            raise self._explain(self._base_url, ": ".join(_error_of(_json_of(response))))
        return response

    def _refuse_foreign(self, path: str, following: str) -> None:
        # The next request carries the token: it must not follow a link out of ARM.
        if not leads_to(following, self._base_url):
            raise ArmError(200, "ForeignNextLink", f"{path}: the answer leads on to another host")

    def _take_time(self, response: HttpResponse) -> None:
        # One that is none leaves the clock where it was.
        self._now = http_date(response.headers.get("Date", "")) or self._now


def _refused(resource: str, problem: str) -> SignInError:
    return SignInError("refused", resource=resource, problem=problem, command="az login")


def _json_of(response: HttpResponse) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise ArmError(response.status_code, "MalformedBody", "the answer is not JSON") from error


def _body_of(response: HttpResponse) -> dict[str, Any]:
    body = _json_of(response)
    if response.status_code not in (200, 201) or not isinstance(body, dict):
        raise ArmError(response.status_code, *_error_of(body))
    return body


def pause_of(headers: Mapping[str, str]) -> float:
    """
    Read how long the service asks to wait; some recorded answers do not say, or say 0.
    """
    said = headers.get("Retry-After", "")
    # Whoever counts on hours of waiting is not understood, and asked again after one.
    return min(max(float(said), 1.0), LONGEST) if said.isdecimal() else POLL


def _error_of(body: Any) -> tuple[str, str]:
    """
    Read an error body in any of the four forms that ARM and Backup use (real-shapes).
    """
    if not isinstance(body, dict):
        return "MalformedBody", "the answer is no JSON object"
    inner = body.get("error") or body.get("Error") or body
    code = inner.get("code") or inner.get("Code") or inner.get("ErrorCode") or ""
    message = inner.get("message") or inner.get("Message") or ""
    if isinstance(message, dict):
        message = message.get("Value", "")
    return str(code), str(message)
