"""
Long operations: where the service tells how far one is, and what it told (azure-contract, section 2.1; real-shapes).

azure-core's poller asks for each operation by itself and has no deadline (measured); here whoever follows many at once
decides when to ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azure.core.rest import HttpResponse

from runbook_lib.arm.session import ArmError, Session, pause_of
from runbook_lib.secrets import redacted

__all__ = ["Operation", "OperationFailed", "ask", "begun", "is_broken", "is_running"]

_RUNNING = frozenset({"accepted", "creating", "inprogress", "provisioning", "registering", "running", "updating"})
_FAILED = frozenset({"failed", "canceled", "cancelled"})


class OperationFailed(Exception):
    """
    The service began an operation and could not end it.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = redacted(message)
        super().__init__(f"{code}: {self.message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    An operation that was begun.

    Attributes:
        url: where it tells how far it is, word for word; empty where the resource itself has to be looked at.
        by_status: whether the answer there is 202 as long as it runs; else its body says so.
        pause: seconds that the service asks to wait before the next look.
    """

    url: str
    by_status: bool
    pause: float


def begun(answer: HttpResponse, target: str) -> Operation | None:
    """
    Read what the answer to a write says of the operation that it began; None where all is done.

    Args:
        target: ARM id of what was written.

    Raises:
        ValueError: the answer is not about it, so that nothing follows from it.
    """
    pause = pause_of(answer.headers)
    if url := answer.headers.get("Azure-AsyncOperation"):
        return Operation(url=url, by_status=False, pause=pause)
    if answer.status_code == 202 and (url := answer.headers.get("Location")):
        return Operation(url=url, by_status=True, pause=pause)
    # A provider that is being registered, or a resource of an old api-version, has its state in its body.
    body = _body(answer)
    if answer.status_code == 202 or is_running(body):
        return Operation(url="", by_status=False, pause=pause)
    if not str(body.get("id", "")).lower().startswith(target.lower()):
        raise ValueError(f"the answer is not about {target}")
    return None


def ask(session: Session, operation: Operation) -> bool:
    """
    Ask whether an operation has ended.

    Raises:
        OperationFailed: it ended, but not well.
        ArmError: it could not be asked.
    """
    status, body = session.follow(operation.url)
    if operation.by_status:
        # 202 as long as it runs; in the end 200, 201 or 204 (recorded).
        return status != 202
    state = str(body.get("status", "")).lower()
    if state in _FAILED:
        error = body.get("error")
        told = error if isinstance(error, dict) else {}
        raise OperationFailed(str(told.get("code") or body["status"]), str(told.get("message") or ""))
    if not state:
        raise ArmError(status, "MalformedBody", "the operation has no status")
    return state == "succeeded"


def is_broken(body: dict[str, Any]) -> bool:
    """
    Tell whether a resource says of itself that making it failed.
    """
    properties = body.get("properties")
    return isinstance(properties, dict) and str(properties.get("provisioningState")).lower() in _FAILED


def is_running(body: dict[str, Any]) -> bool:
    """
    Tell whether a resource is still being worked on, by its own state; a provider while it is being registered.
    """
    properties = body.get("properties")
    own = properties.get("provisioningState") if isinstance(properties, dict) else None
    return str(own or body.get("registrationState") or "").lower() in _RUNNING


def _body(answer: HttpResponse) -> dict[str, Any]:
    body = answer.json() if answer.content else {}
    return body if isinstance(body, dict) else {}
