"""
Failing on purpose, by rule.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError

from runbook_lib.sandbox import Fault, Sandbox, SandboxError

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourcegroups/rg-new"
_BODY = {"location": "westeurope"}


def test_a_rule_answers_instead_of_the_service(sandbox: Sandbox, send: Any) -> None:
    """
    Status, code, message and headers are the rule's, and nothing is changed.
    """
    sandbox.fault(
        Fault(method="PUT", path="/resourcegroups/rg-", status=403, code="AuthorizationFailed", message="No.")
    )
    before = sandbox.state_digest()
    answer = send("PUT", _GROUP.replace("rg-new", "RG-new"), _BODY)

    assert (403, {"error": {"code": "AuthorizationFailed", "message": "No."}}) == (answer.status_code, answer.json())
    assert before == sandbox.state_digest()
    assert (403, "AuthorizationFailed", False, True) == tuple(
        sandbox.requests()[-1][name] for name in ("status", "code", "writes", "fault")
    )


def test_a_rule_holds_for_its_method_and_path_only(sandbox: Sandbox, send: Any) -> None:
    """
    Other requests are served.
    """
    sandbox.fault(Fault(method="PUT", path="/vaults/", status=500))

    assert [201, 200] == [send("PUT", _GROUP, _BODY).status_code, send("GET", _GROUP).status_code]


def test_a_rule_holds_so_many_times(sandbox: Sandbox, azure: Any) -> None:
    """
    The clients repeat a 503, wait as they are told, and get through; the wait is virtual.
    """
    sandbox.fault(Fault(status=503, code="ServerTimeout", headers={"Retry-After": "60"}, times=2))
    start = sandbox.now()
    azure.resources.resource_groups.get("rg-app")

    assert [503, 503, 200] == [one["status"] for one in sandbox.requests()]
    assert 120 <= (sandbox.now() - start).total_seconds() < 125


def test_the_first_rule_that_matches_holds(sandbox: Sandbox, send: Any) -> None:
    """
    Rules are tried in the order in which they were added.
    """
    sandbox.fault(Fault(status=418, times=1))
    sandbox.fault(Fault(status=500))

    assert [418, 500, 500] == [send("GET", _GROUP).status_code for _ in range(3)]
    sandbox.clear_faults()
    assert 404 == send("GET", _GROUP).status_code


def test_an_answer_may_be_lost_after_the_service_acted(sandbox: Sandbox, send: Any) -> None:
    """
    The caller sees the rule's status although the group is there; the log tells the write.
    """
    sandbox.fault(Fault(method="PUT", status=500, times=1, after_effect=True))
    answer = send("PUT", _GROUP, _BODY)

    assert (500, b"") == (answer.status_code, answer.content)
    assert (500, True, True) == tuple(sandbox.requests()[-1][name] for name in ("status", "writes", "fault"))
    assert 200 == send("GET", _GROUP).status_code


@pytest.mark.parametrize(
    ("after_effect", "error", "status"), [(False, ServiceRequestError, 404), (True, ServiceResponseError, 200)]
)
def test_a_connection_may_break_before_or_after_the_effect(
    sandbox: Sandbox, send: Any, after_effect: bool, error: type[Exception], status: int
) -> None:
    """
    The clients tell the two apart: a request that was not sent, and an answer that did not come.
    """
    sandbox.fault(Fault(method="PUT", reset=True, after_effect=after_effect, times=1))
    with pytest.raises(error, match="broken by a fault rule"):
        send("PUT", _GROUP, _BODY)

    assert (None, after_effect) == tuple(sandbox.requests()[-1][name] for name in ("status", "writes"))
    assert status == send("GET", _GROUP).status_code


def test_rules_are_shared_by_all_who_use_the_file(sandbox: Sandbox, send: Any) -> None:
    """
    Another process may set the rule.
    """
    other = Sandbox(sandbox.path)
    other.fault(Fault(status=500, times=1))
    other.close()

    assert [500, 404] == [send("GET", _GROUP).status_code for _ in range(2)]


def test_loading_an_estate_removes_the_rules(sandbox: Sandbox, send: Any, estate: Any) -> None:
    """
    A fresh state has no faults.
    """
    sandbox.fault(Fault(status=500))
    sandbox.load(estate)

    assert 404 == send("GET", _GROUP).status_code


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "fault: give either a status or reset=True"),
        ({"status": 500, "reset": True}, "fault: give either a status or reset=True"),
        ({"status": 99}, "fault.status: 99 must be from 200 to 599"),
        ({"status": 500, "times": 0}, "fault.times: 0 must be at least 1"),
        ({"status": 500, "path": "("}, "fault.path: '\\(' is no regular expression"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any], message: str) -> None:
    """
    The message names the field and the rule.
    """
    with pytest.raises(SandboxError, match=message):
        Fault(**rule)


def test_a_rule_for_operations_does_not_stop_them(
    sandbox: Sandbox, azure: Any, refused: Refused, tmp_path: Path
) -> None:
    """
    When asking for the status fails, the vault is created all the same.
    """
    sandbox.fault(Fault(path="/operationstatus/", status=404, code="ResourceNotFound", message="Lost."))
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    poller = azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body)

    assert (404, "ResourceNotFound") == refused(poller.result)
    sandbox.advance(61)
    assert "Succeeded" == azure.vaults.vaults.get("rg-vault", "rsv-new").properties.provisioning_state
