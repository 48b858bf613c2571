"""
The bodies of errors: recorded ones where the reference data is, else those that the sandbox has for them.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "SECRET", "denied", "error", "throttled"]

REFERENCE = "RUNBOOK_REFERENCE"
# What an intermediary says in the place of the service.
PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
# A service that repeats what it was sent, token and all.
SECRET = "eyJjYW5hcnk.of-the-faults.c2VjcmV0"
_ECHO = f" Request headers: authorization: Bearer {SECRET}. Source: https://x.blob.core.windows.net/?sig={SECRET}"
_OWN = {
    "CloudDosAbsoluteLimitReached": "Operation is blocked as you have reached the limit on number of operations"
    " permitted in 24 hours.\r\nContact Microsoft support or retry after 24 hours.",
    "GatewayTimeout": "The gateway did not receive a response from 'Microsoft.RecoveryServices' within the specified"
    " time period.",
    "InternalServerError": "Encountered internal server error.",
    "PreconditionFailed": "The resource has changed since: its etag is not the one that was sent.",
    "RestApiInternalError": "The REST API call encountered an internal error. Wait for a few minutes and then try the"
    " operation again. If the issue persists, please contact Microsoft support.",
    "RetryableErrorDueToAnotherOperation": "Another operation is updating the resource. The call can be retried in 12"
    " seconds.",
    "ServerTimeout": "The request timed out.",
    "UserErrorGuestAgentStatusUnavailable": "VM agent is unable to communicate with the Azure Backup Service.",
}


@cache
def _recorded() -> dict[str, Any]:
    place = os.environ.get(REFERENCE)
    found: dict[str, Any] = {}
    for name in ("errors", "throttled") if place else ():
        with (Path(str(place)) / "recordings" / f"{name}.jsonl").open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                body = record["response"]["body"]
                inner = body.get("error") if isinstance(body, dict) else None
                if isinstance(inner, dict):
                    codes = (inner.get("code"), *(each.get("code") for each in inner.get("details") or ()))
                    found |= {code: body for code in codes if isinstance(code, str) and code not in found}
    return found


def error(code: str, *, echo: bool = False) -> str:
    """
    Return the body of an error as text.

    Args:
        echo: whether its message repeats the caller's token.
    """
    body = _recorded().get(code) or {"error": {"code": code, "message": _OWN[code]}}
    if echo:
        body = {"error": {**body["error"], "message": body["error"]["message"] + _ECHO}}
    return json.dumps(body)


def throttled(family: str, seconds: int) -> str:
    """
    Return the body of a 429 of a family: the front door's, a provider's, or that of Compute.
    """
    if family == "compute":
        detail = {"code": "TooManyRequests", "target": "HighCostGetSubscriptionMaximum", "message": "{}"}
        message = "The server rejected the request because too many requests have been received for this subscription."
        return json.dumps({"error": {"code": "OperationNotAllowed", "message": message, "details": [detail]}})
    again = f"Please try again after '{seconds}' seconds"
    if family == "backup":
        message = (
            f"Number of requests for action 'x/read' exceeded the limit of '150' for time interval '01:00:00'. {again}."
        )
        return json.dumps({"error": {"code": "ResourceRequestsThrottled", "message": message}})
    message = (
        f"Number of requests for subscription 's' actor 'a' exceeded. {again} after additional tokens are available."
    )
    return json.dumps({"error": {"code": "SubscriptionRequestsThrottled", "message": message}})


def denied(action: str, scope: str) -> str:
    """
    Return the body of a 403 as Azure RBAC words it.
    """
    message = (
        "The client 'operator@sandbox' with object id '12f8ea5c-1212-449e-b31c-0a574f43076e' does not have"
        f" authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was"
        " recently granted, please refresh your credentials."
    )
    return json.dumps({"error": {"code": "AuthorizationFailed", "message": message}})
