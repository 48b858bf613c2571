"""
How many requests a caller may make: token buckets of the front door and of Compute, hourly budgets of providers.

The figures are the documented ones of 2024-25 and, for Azure Backup, the lowest that recorded answers show; the region
of a bucket is left out, for a tenant has one front door here. Imports the standard library and other modules of the
sandbox only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook_lib.sandbox.access import action_of
from runbook_lib.sandbox.answers import ArmError, gateway_error
from runbook_lib.sandbox.call import Caller, Route
from runbook_lib.sandbox.clock import arm_time, span_of
from runbook_lib.sandbox.state import State, key_of

__all__ = ["charge"]

_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
# Bucket and refill a second of a principal; those of all principals of a subscription together are 15 times as large.
_GATEWAY = {"reads": (250, 25), "writes": (200, 10), "deletes": (200, 10)}
_GLOBAL = 15
# Bucket and refill a minute of a subscription, and of one VM.
_COMPUTE: dict[str, tuple[tuple[int, int], tuple[int, int] | None]] = {
    "GetOperation": ((15000, 5000), (45, 15)),
    "HighCostGet": ((900, 300), None),
    "LowCostGet": ((24000, 8000), (36, 12)),
    "UpdateVM": ((1500, 500), (12, 4)),
}
# Requests in so many seconds.
_NETWORK = {"reads": (10000, 300), "writes": (1000, 300), "deletes": (1000, 300)}
_BACKUP_READS = (300, 3600)
_JOB_READS = (150, 3600)
_VAULT_CHANGES = {"PUT": (300, 3600), "PATCH": (300, 3600), "DELETE": (50, 3600)}
_BACKUP = "microsoft.recoveryservices/vaults/backup"
_VAULT = "microsoft.recoveryservices/vaults"
_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """
    Args:
        size: how many requests it holds.
        refill: requests that come back in a second; None when all come back at once after *window* seconds.
        header: where what is left is told; empty for nowhere.
        label: what stands before the number in the header.
        refuse: makes the error.
    """

    name: str
    size: int
    refill: float | None
    window: float = 0.0
    header: str = ""
    label: str = ""
    code: str
    text: str


def charge(
    state: State, profile: str, now: float, caller: Caller, route: Route, names: Mapping[str, str]
) -> dict[str, str]:
    """
    Take one request from all limits that it counts for, and return the headers that tell what is left.

    Args:
        profile: the limits in force: `arm2024` or `backup-strict`.

    Raises:
        ArmError: 429, when one of them is used up; then nothing is taken.
    """
    left = []
    for limit in _limits(profile, caller, route, names):
        tokens = _tokens(state, limit, now)
        if tokens < 1:
            raise _refusal(state, limit, tokens, now)
        left.append((limit, tokens - 1))
    headers: dict[str, str] = {}
    for limit, tokens in left:
        _keep(state, limit, tokens, now)
        if limit.header:
            told = f"{limit.label}{int(tokens)}"
            headers[limit.header] = f"{headers[limit.header]},{told}" if limit.header in headers else told
    return headers


def _limits(profile: str, caller: Caller, route: Route, names: Mapping[str, str]) -> Iterator[_Limit]:
    subscription = key_of(names.get("subscription", ""))
    action = action_of(route)
    budget = _budget(profile, action, route.method)
    # What a provider has a budget of its own for does not count at the front door.
    if subscription and budget is not None:
        yield _of_provider(subscription, action, budget, told=True)
        return
    kind = _KINDS.get(route.method, "writes")
    size, refill = _GATEWAY[kind]
    scope = "subscription" if subscription else "tenant"
    text = (
        f"Number of '{kind[:-1]}' requests for {scope} '{subscription}' actor '{caller.object_id}' exceeded. Please try"
        " again after '{seconds}' seconds after additional tokens are available."
    )
    yield _Limit(
        name=f"{scope}:{subscription}:{key_of(caller.object_id or caller.name)}:{kind}",
        size=size,
        refill=refill,
        header=f"x-ms-ratelimit-remaining-{scope}-{kind}",
        code="SubscriptionRequestsThrottled",
        text=text,
    )
    if not subscription:
        return
    yield _Limit(
        name=f"global:{subscription}:{kind}",
        size=size * _GLOBAL,
        refill=refill * _GLOBAL,
        header=f"x-ms-ratelimit-remaining-subscription-global-{kind}",
        code="SubscriptionRequestsThrottled",
        text=text,
    )
    if action.startswith("Microsoft.Compute/"):
        yield from _of_compute(subscription, route, names)
    if action.startswith("Microsoft.Network/"):
        yield _of_provider(subscription, f"Microsoft.Network/{kind}", _NETWORK[kind], told=False)


def _budget(profile: str, action: str, method: str) -> tuple[int, int] | None:
    lowered = action.lower()
    if profile != "backup-strict":
        return None
    if method == "GET" and lowered.startswith(_BACKUP):
        return _JOB_READS if lowered == f"{_BACKUP}jobs/read" else _BACKUP_READS
    return _VAULT_CHANGES.get(method) if lowered.rpartition("/")[0] == _VAULT else None


def _of_provider(subscription: str, action: str, budget: tuple[int, int], *, told: bool) -> _Limit:
    size, window = budget
    return _Limit(
        name=f"action:{subscription}:{action.lower()}",
        size=size,
        refill=None,
        window=window,
        header="x-ms-ratelimit-remaining-subscription-resource-requests" if told else "",
        code="ResourceRequestsThrottled",
        text=f"Number of requests for action '{action}' exceeded the limit of '{size}' for time interval"
        f" '{span_of(window)}'. Please try again after '{{seconds}}' seconds.",
    )


def _of_compute(subscription: str, route: Route, names: Mapping[str, str]) -> Iterator[_Limit]:
    machine = names.get("vm")
    if "operation" in names:
        policy = "GetOperation"
    elif route.method != "GET":
        policy = "UpdateVM"
    else:
        policy = "LowCostGet" if machine or "name" in names else "HighCostGet"
    whole, single = _COMPUTE[policy]
    scopes = [("SubscriptionMaximum", "", whole)]
    if single is not None and machine:
        scopes.append(("Resource", f":{key_of(names.get('group', ''))}:{key_of(machine)}", single))
    for word, suffix, (size, a_minute) in scopes:
        yield _Limit(
            name=f"compute:{subscription}:{policy}{suffix}",
            size=size,
            refill=a_minute / _MINUTE,
            header="x-ms-ratelimit-remaining-resource",
            label=f"Microsoft.Compute/{policy}{word};",
            code="OperationNotAllowed",
            text="The server rejected the request because too many requests have been received for this subscription.",
        )


def _tokens(state: State, limit: _Limit, now: float) -> float:
    kept = state.budget(limit.name)
    if kept is None:
        return limit.size
    tokens, at = kept
    if limit.refill is None:
        return limit.size if now >= at + limit.window else tokens
    return min(limit.size, tokens + (now - at) * limit.refill)


def _keep(state: State, limit: _Limit, tokens: float, now: float) -> None:
    kept = state.budget(limit.name)
    # A window runs from the first request in it.
    running = limit.refill is None and kept is not None and now < kept[1] + limit.window
    state.set_budget(limit.name, tokens, kept[1] if running and kept is not None else now)


def _refusal(state: State, limit: _Limit, tokens: float, now: float) -> ArmError:
    if limit.refill is None:
        kept = state.budget(limit.name)
        wait = limit.window if kept is None else kept[1] + limit.window - now
    else:
        wait = (1 - tokens) / limit.refill
    seconds = max(1, math.ceil(wait))
    headers = {"Retry-After": str(seconds)}
    if limit.code == "OperationNotAllowed":
        group = limit.label.removeprefix("Microsoft.Compute/").removesuffix(";")
        measured = {
            "operationGroup": group,
            "startTime": arm_time(datetime.fromtimestamp(now - _MINUTE, UTC)),
            "endTime": arm_time(datetime.fromtimestamp(now, UTC)),
            "allowedRequestCount": limit.size,
            "measuredRequestCount": limit.size + 1,
        }
        detail = {"code": "TooManyRequests", "target": group, "message": json.dumps(measured, separators=(",", ":"))}
        return ArmError(429, limit.code, limit.text, extra={"details": [detail]}, headers=headers)
    return gateway_error(429, limit.code, limit.text.format(seconds=seconds), headers=headers)
