"""
What is sent again, and what is not: a refusal always, a read whose answer was lost, never a write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from runbook_lib.arm.patience import MOST_WAIT, TRIES
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.sandbox import Fault, Sandbox

SUBSCRIPTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
VERSION = "2022-12-01"
REFUSED = {"status": 429, "code": "SubscriptionRequestsThrottled"}


def _seconds(contoso: Sandbox, call: Callable[[], Any]) -> float:
    before = contoso.now()
    call()
    return (contoso.now() - before).total_seconds()


def _put(session: Session) -> Any:
    with session.guard.writing():
        groups = session.clients(SUBSCRIPTION).resources.resource_groups
        return groups.create_or_update("rg-new", {"location": "westeurope"})


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        ({"headers": {"Retry-After": "7"}}, 7),
        ({"headers": {"Retry-After": "7.5"}}, 7.5),
        ({"message": "Number of requests exceeded. Please try again after '324' seconds."}, 324),
        ({"content": "<html>Too many requests</html>"}, 1),
        ({"headers": {"Retry-After": "0"}}, 1),
        ({"headers": {"Retry-After": "soon"}}, 1),
    ],
)
def test_a_refusal_is_waited_out_as_long_as_it_asks(
    session: Session, contoso: Sandbox, fault: dict[str, Any], least: float
) -> None:
    """
    In seconds, in words (recorded without a header), or not at all: then for as long as seems good.
    """
    contoso.fault(Fault(path="^/subscriptions$", times=1, **(REFUSED | fault)))
    waited = _seconds(contoso, lambda: list(session.rows("/subscriptions", VERSION)))

    assert least <= waited <= least * 1.1 + 2


def test_a_refusal_until_a_date_is_waited_out(session: Session, contoso: Sandbox) -> None:
    """
    `Retry-After` may be a date; it is compared with the service's own clock.
    """
    date = {"Date": "Sun, 22 Nov 2026 08:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 08:01:30 GMT"}
    contoso.fault(Fault(path="^/subscriptions$", times=1, headers=date, **REFUSED))

    assert 90 <= _seconds(contoso, lambda: list(session.rows("/subscriptions", VERSION))) <= 100


def test_a_refusal_holds_for_writes_too_and_costs_none(session: Session, contoso: Sandbox) -> None:
    """
    What was refused was not done: the write goes out again, however often it takes.
    """
    contoso.fault(Fault(method="PUT", path="rg-new$", times=8, headers={"Retry-After": "3"}, **REFUSED))

    assert "rg-new" == _put(session).name
    assert 8 == session.limiter.refusals


def test_nobody_waits_for_an_hour(session: Session, contoso: Sandbox) -> None:
    """
    A longer wait is an error: the run ends there and can be resumed.
    """
    contoso.fault(Fault(path="^/subscriptions$", headers={"Retry-After": str(int(MOST_WAIT) + 1)}, **REFUSED))
    with pytest.raises(ArmError) as caught:
        list(session.rows("/subscriptions", VERSION))

    assert (429, "SubscriptionRequestsThrottled") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503, "code": "ServerTimeout"},
        {"does": "reset"},
        {"does": "truncate"},
        {"does": "timeout", "seconds": 5.0},
    ],
)
def test_a_read_without_an_answer_is_tried_again(session: Session, contoso: Sandbox, fault: dict[str, Any]) -> None:
    """
    An error in passing, or a connection that broke: the next try has the answer.
    """
    contoso.fault(Fault(path="^/subscriptions$", times=3, **fault))

    assert 2 == len(list(session.rows("/subscriptions", VERSION)))


def test_a_read_that_is_never_answered_ends(session: Session, contoso: Sandbox) -> None:
    """
    After some tries it is an error, and what it was about is unknown.
    """
    contoso.fault(Fault(path="^/subscriptions$", status=503, code="ServerTimeout"))
    with pytest.raises(ArmError, match="ServerTimeout"):
        list(session.rows("/subscriptions", VERSION))

    assert TRIES == len(contoso.requests())


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 503}, {"does": "reset"}, {"does": "reset", "after_effect": True}]
)
def test_a_write_without_an_answer_is_not_sent_again(session: Session, contoso: Sandbox, fault: dict[str, Any]) -> None:
    """
    It may have been done: whoever sent it has to look.
    """
    contoso.fault(Fault(method="PUT", path="rg-new$", **fault))
    with pytest.raises(AzureError):
        _put(session)

    assert 1 == len(contoso.requests())


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_question_by_post_is_not_sent_again_either(session: Session, contoso: Sandbox, status: int) -> None:
    """
    azure-core would: it takes every 500 for one in passing.
    """
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"
    contoso.fault(Fault(method="POST", path="backupstatus$", status=status))
    with pytest.raises(ArmError):
        session.ask(path, "2026-10-01", {"resourceType": "VM", "resourceId": "/x"})

    assert 1 == len(contoso.requests())
