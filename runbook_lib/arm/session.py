"""
The target of a run and the SDK clients that talk to it. The only module, with cli, that reaches the sandbox.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.resource.subscriptions import SubscriptionClient

from runbook_lib.arm.limiter import Limiter
from runbook_lib.arm.patience import Patience
from runbook_lib.arm.pipeline import CallLog, ForeignHost, ReadOnlyGuard, Redirects, leads_to
from runbook_lib.arm.signin import Asked, Prompt, SignIn, cloud_of
from runbook_lib.arm.wire import http_date
from runbook_lib.errors import InvalidParameters, SignInError
from runbook_lib.folder import state_path
from runbook_lib.journal import Journal
from runbook_lib.parameters import build, is_guid
from runbook_lib.private import make_folder
from runbook_lib.records import Origin, Target, decode
from runbook_lib.sandbox import Sandbox, SandboxError, read_estate
from runbook_lib.secrets import redacted

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.recoveryservices import RecoveryServicesClient
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
    from azure.mgmt.resource.resources import ResourceManagementClient

__all__ = [
    "DEFAULT_ESTATE",
    "ArmError",
    "Session",
    "copied_by",
    "open_session",
    "pause_of",
    "sandbox_path",
    "sandbox_state",
]

DEFAULT_ESTATE = "contoso"
ARM = "https://management.azure.com"
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


def sandbox_path() -> Path:
    """
    Return where the sandbox's state is: `$RUNBOOK_SANDBOX`, or a file in the user's data folder.
    """
    named = os.environ.get("RUNBOOK_SANDBOX")
    return Path(named) if named else state_path() / "sandbox.sqlite"


def sandbox_state(path: Path, estate: str = "") -> Sandbox:
    """
    Open the sandbox at *path*; a new one, or one that an *estate* is given for, is filled first.

    Raises:
        InvalidParameters: the estate cannot be read.
    """
    try:
        filled = read_estate(estate or DEFAULT_ESTATE) if estate or not path.exists() else None
        if filled is not None:
            _origin(filled.source, filled.origin)
        make_folder(path.parent)
        sandbox = Sandbox(path)
        if filled is not None:
            sandbox.load(filled)
    except SandboxError as error:
        problem = error.describe(InvalidParameters.language)
        raise InvalidParameters("estate", name="estate", problem=problem) from error
    return sandbox


class _SandboxCredential:
    """
    A credential for the simulator: its token is no secret and opens nothing.
    """

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        claims = base64.urlsafe_b64encode(json.dumps({"upn": "operator@sandbox"}).encode()).decode().rstrip("=")
        return AccessToken(f"e30.{claims}.", int(time.time()) + 3600)


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
        base_url: str = ARM,
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


def _claims(token: str) -> dict[str, Any]:
    """
    Read the claims of a token, unverified: they say who is calling, they prove nothing.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        read = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _origin(source: dict[str, Any], path: Path | str) -> Origin | None:
    """
    Read what a sandbox's estate says that it is a copy of.

    Raises:
        InvalidParameters: it cannot be understood.
    """
    if not source:
        return None
    try:
        copied_by(source)
        return decode(Origin, {name: value for name, value in source.items() if name not in ("unread", "asked")})
    except (InvalidParameters, ValueError) as error:
        raise InvalidParameters("estate", name="estate", problem=f"{path}: source: {error}") from error


def copied_by(source: dict[str, Any]) -> Asked:
    """
    Read how somebody signed in to make the copy that an estate is; by default where it does not say.

    Raises:
        InvalidParameters: a value is none that the parameter takes.
        ValueError: it has another form.
    """
    said: Asked = decode(Asked, source.get("asked", {}))
    # Words of a file that get into a command which is shown.
    build(asdict(said))
    return said


def open_session(kind: str, journal: Journal, asked: Asked | None = None, prompt: Prompt | None = None) -> Session:
    """
    Sign in to the target *kind*, `sandbox` or `azure`.

    Args:
        asked: how to sign in to Azure; None takes the defaults.
        prompt: tells a person where to enter which code.

    Raises:
        SignInError: there is no usable sign-in, or it is one of another tenant.
        InvalidParameters: the sandbox's estate cannot be read, Azure is asked for on a public Binder, or what the
            environment says of it cannot be meant.
    """
    if kind == "sandbox":
        sandbox = sandbox_state(sandbox_path())
        told = sandbox.status()
        target = Target(
            kind="sandbox",
            name=told["estate"],
            caller="operator@sandbox",
            copy_of=_origin(told["source"], sandbox.path),
        )
        return Session(
            target,
            _SandboxCredential(),
            journal,
            sandbox.transport(),
            clock=lambda: sandbox.now().timestamp(),
            place=str(sandbox.path.resolve()),
        )
    if any(name.startswith("BINDER_") for name in os.environ):
        raise InvalidParameters("azure_on_binder", name="target")
    asked = asked or Asked()
    cloud = cloud_of(asked.cloud, os.environ)
    credential = SignIn(asked, cloud, prompt)
    claims = _claims(credential.get_token(cloud.scope).token)
    tenant = str(claims.get("tid", ""))
    # A token has its tenant's id and none of its domains: where one is asked for, the target's mark tells the tenant.
    if is_guid(credential.tenant) and tenant.lower() not in ("", credential.tenant.lower()):
        raise credential.of_other_tenant(tenant)
    caller = str(
        claims.get("upn") or claims.get("unique_name") or claims.get("appid") or claims.get("oid") or "unknown"
    )
    return Session(
        Target(kind="azure", name=cloud.name, tenant=tenant, caller=caller),
        credential,
        journal,
        shared=state_path() / "limits.sqlite",
        base_url=cloud.endpoint,
        refused=credential.refused,
        credential_scopes=[cloud.scope],
    )
