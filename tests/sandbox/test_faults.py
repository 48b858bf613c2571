"""
Failing on purpose, by rule.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError

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
    sandbox: Sandbox, send: Any, after_effect: bool, error: type[Exception], status: int, over_http: bool
) -> None:
    """
    In process the clients tell the two apart: a request that was not sent, and an answer that did not come.
    """
    sandbox.fault(Fault(method="PUT", does="reset", after_effect=after_effect, times=1))
    with pytest.raises(ServiceResponseError if over_http else error):
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
        ({}, "fault.status: must be given where a fault does 'answer'"),
        ({"status": 500, "does": "reset"}, "fault.status: 500 must be from 200 to 599, for a fault that answers"),
        ({"does": "sleep"}, "fault.does: 'sleep' is none of answer, reset"),
        ({"does": "fail_operation"}, "fault.code: must be given where a fault does 'fail_operation'"),
        ({"does": "remove"}, "fault.resource: must be given where a fault does 'remove'"),
        ({"status": 500, "skip": -1}, "fault.skip: -1 must be 0 or more"),
        ({"does": "timeout", "seconds": 0}, "fault.seconds: 0 must be above 0"),
        ({"status": "500"}, "fault.status: '500' has not the type of this field"),
        ({"stauts": 500}, "fault: unknown field stauts; known are after_effect, code"),
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
        Fault.of(rule)


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


def test_a_rule_may_let_requests_pass_first(sandbox: Sandbox, send: Any) -> None:
    """
    The third and the fourth of the requests that match meet it.
    """
    sandbox.fault(Fault(path="/resourcegroups/rg-app$", skip=2, times=2, status=500))
    answers = [send("GET", _GROUP.replace("rg-new", name)).status_code for name in ["rg-app", "rg-net"] * 5]

    assert [200, 200, 500, 500, 200] == answers[::2]
    assert [200] * 5 == answers[1::2]


def test_an_answer_may_be_anything(sandbox: Sandbox, send: Any) -> None:
    """
    A page of HTML, a JSON text, nothing at all.
    """
    contents = ["<html>busy</html>", '"text"', ""]
    for content in contents:
        sandbox.fault(Fault(status=200, content=content, headers={"Content-Type": "text/html"}, times=1))

    assert contents == [send("GET", "/subscriptions").text() for _ in contents]


def test_an_answer_may_be_garbled_after_the_service_acted(sandbox: Sandbox, send: Any) -> None:
    """
    Half of the JSON arrives, with the status of the whole.
    """
    sandbox.fault(Fault(method="PUT", does="garble", times=1))
    answer = send("PUT", _GROUP, _BODY)

    assert 201 == answer.status_code
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()
    assert 200 == send("GET", _GROUP).status_code


def test_an_answer_may_break_off(sandbox: Sandbox, send: Any) -> None:
    """
    The service acted, and the client reads less than was announced.
    """
    sandbox.fault(Fault(method="PUT", does="truncate", times=1))
    with pytest.raises(IncompleteReadError):
        send("PUT", _GROUP, _BODY)

    assert 200 == send("GET", _GROUP).status_code


@pytest.mark.parametrize(("after_effect", "status"), [(False, 404), (True, 200)])
def test_a_client_may_wait_in_vain(sandbox: Sandbox, send: Any, after_effect: bool, status: int) -> None:
    """
    Before the service acts, or after it; the time that the client gives it passes.
    """
    sandbox.fault(Fault(method="PUT", does="timeout", after_effect=after_effect, times=1, seconds=1))
    start = sandbox.now()
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        send("PUT", _GROUP, _BODY)

    assert (sandbox.now() - start).total_seconds() >= 1
    assert status == send("GET", _GROUP).status_code


def test_a_resource_may_go_midway(sandbox: Sandbox, azure: Any, refused: Refused, ids: Any) -> None:
    """
    The vault is deleted under a list of its policies, and the service itself answers 404.
    """
    sandbox.fault(Fault(path="/backuppolicies$", does="remove", resource=ids.vault, times=1))

    assert (404, "ResourceNotFound") == refused(lambda: list(azure.backup.backup_policies.list("rsv-old", "rg-vault")))
    assert (404, "ResourceNotFound") == refused(lambda: azure.vaults.vaults.get("rg-vault", "rsv-old"))


def test_an_operation_may_fail(sandbox: Sandbox, azure: Any, protect: Any, refused: Refused) -> None:
    """
    The request is accepted; the operation and its job end with the rule's code, and nothing is protected.
    """
    rule = Fault(path="/protecteditems/", does="fail_operation", code="UserErrorX", message="No.", times=1)
    sandbox.fault(rule)
    poller = protect(azure, "web")

    assert (200, "UserErrorX") == refused(poller.result)
    jobs = [job.properties for job in azure.backup.backup_jobs.list("rsv-old", "rg-vault")]
    assert [("ConfigureBackup", "Failed")] == [(job.operation, job.status) for job in jobs]
    assert (404, "BMSUserErrorDataSourceObjectNotFound") == refused(lambda: _item(azure, "web"))
    assert protect(azure, "web").result() is not None


def test_a_vault_whose_operation_failed_says_so(sandbox: Sandbox, azure: Any, refused: Refused) -> None:
    """
    Its provisioning state is Failed, and the next change mends it.
    """
    sandbox.fault(Fault(method="PUT", path="/vaults/", does="fail_operation", code="InternalError", times=1))
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    poller = azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body)

    assert (200, "InternalError") == refused(poller.result)
    assert "Failed" == azure.vaults.vaults.get("rg-vault", "rsv-new").properties.provisioning_state
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()
    assert "Succeeded" == azure.vaults.vaults.get("rg-vault", "rsv-new").properties.provisioning_state


def test_an_operation_may_never_end(sandbox: Sandbox, azure: Any, protect: Any) -> None:
    """
    A week later it is still in progress.
    """
    sandbox.fault(Fault(path="/protecteditems/", does="hold_operation", times=1))
    poller = protect(azure, "web")
    sandbox.advance(7 * 86400)

    assert "InProgress" == poller.status()
    assert 1 == sandbox.status()["pending_operations"]


def test_rules_come_with_a_profile(sandbox: Sandbox, send: Any, estate: Any) -> None:
    """
    From the profile of an estate, or from a file, whose rules take the place of those that hold.
    """
    rule = {"path": "^/subscriptions$", "status": 503, "times": 1}
    sandbox.load(replace(estate, profile={"faults": [rule]}))
    sandbox.configure(faults=[rule | {"status": 502}])

    assert [502, 200] == [send("GET", "/subscriptions").status_code for _ in range(2)]


def _item(azure: Any, vm: str) -> Any:
    name = f"iaasvmcontainerv2;rg-app;{vm}"
    return azure.backup.protected_items.get("rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{name}", f"VM;{name}")


def test_a_rule_holds_so_many_times_however_many_ask_at_once(sandbox: Sandbox, send: Any) -> None:
    """
    Eight callers side by side meet a rule for one of them once.
    """
    for _ in range(5):
        sandbox.fault(Fault(path="^/subscriptions$", status=503, times=1))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: send("GET", "/subscriptions").status_code, range(8)))

        assert 1 == answers.count(503)


def test_a_vault_whose_creation_failed_is_created_by_the_next_try(
    sandbox: Sandbox, azure: Any, refused: Refused
) -> None:
    """
    With its default policies, as if there had been no first one.
    """
    sandbox.fault(Fault(method="PUT", path="/vaults/", does="fail_operation", code="InternalError", times=1))
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    assert (200, "InternalError") == refused(
        azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result
    )
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()

    assert ["DefaultPolicy", "EnhancedPolicy", "HourlyLogBackup"] == sorted(
        policy.name for policy in azure.backup.backup_policies.list("rsv-new", "rg-vault")
    )


def test_the_result_of_a_failed_operation_is_its_error(sandbox: Sandbox, send: Any, ids: Any) -> None:
    """
    On every road: of a group, of a rule, of a vault; and what was halfway says that it failed.
    """
    rule = ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowBackup")
    requests = [
        ("DELETE", f"/subscriptions/{ids.one}/resourceGroups/rg-empty", None),
        ("DELETE", rule, None),
        ("PATCH", ids.vault, {"tags": {"a": "b"}}),
    ]
    sandbox.fault(Fault(does="fail_operation", code="Odd", message="It is odd.", times=3))
    accepted = [send(method, path, body) for method, path, body in requests]
    sandbox.advance(1000)
    results = [send("GET", answer.headers["Location"]) for answer in accepted]

    assert [(400, "Odd")] * 3 == [(one.status_code, one.json()["error"]["code"]) for one in results]
    assert 200 == send("GET", requests[0][1]).status_code
    assert "Failed" == send("GET", rule).json()["properties"]["provisioningState"]


def test_a_backup_that_fails_to_start_is_over(sandbox: Sandbox, azure: Any, send: Any, ids: Any) -> None:
    """
    Its job and tasks have ended, the item says so, and another backup can be started.
    """
    path = f"{ids.item('kept')}/backup"
    body = {"properties": {"objectType": "IaasVMBackupRequest"}}
    sandbox.fault(Fault(path="/backup$", does="fail_operation", code="UserErrorX", message="No.", times=1))
    send("POST", path, body)
    sandbox.advance(20000)
    (job,) = azure.backup.backup_jobs.list("rsv-old", "rg-vault")
    whole = send("GET", f"{ids.vault}/backupJobs/{job.name}").json()["properties"]

    assert ("Failed", ["Failed", "Skipped"]) == (
        whole["status"],
        [task["status"] for task in whole["extendedInfo"]["tasksList"]],
    )
    assert "Failed" == send("GET", ids.item("kept")).json()["properties"]["lastBackupStatus"]
    assert 202 == send("POST", path, body).status_code


def test_what_is_removed_takes_its_operations_and_memory_along(sandbox: Sandbox, send: Any, ids: Any) -> None:
    """
    A vault made anew under the name of a removed one starts from nothing.
    """
    send("PATCH", ids.vault, {"tags": {"old": "1"}})
    sandbox.fault(Fault(path="/resourcegroups/rg-app$", does="remove", resource=ids.vault, times=1))
    send("GET", f"/subscriptions/{ids.one}/resourceGroups/rg-app")
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "tags": {"new": "1"}, "properties": {}}
    made = send("PUT", ids.vault, body)
    sandbox.advance(1000)
    settings = {"properties": {"redundancySettings": {"standardTierStorageRedundancy": "LocallyRedundant"}}}

    assert (201, {"new": "1"}) == (made.status_code, send("GET", ids.vault).json()["tags"])
    assert 202 == send("PATCH", ids.vault, settings).status_code


def test_a_held_operation_is_never_due(sandbox: Sandbox, send: Any, ids: Any) -> None:
    """
    Not in two hundred years, and nothing else suffers.
    """
    sandbox.fault(Fault(method="PATCH", does="hold_operation", times=1))
    send("PATCH", ids.vault, {"tags": {}})
    sandbox.advance(6.4e9)

    assert 200 == send("GET", ids.vault).status_code
    assert 1 == sandbox.status()["pending_operations"]


def test_a_header_that_would_forge_another_is_refused() -> None:
    """
    Texts of one line only.
    """
    for headers in ({"A": 5}, {"A": "b\r\nC: d"}, {"A\n": "b"}):
        with pytest.raises(SandboxError, match=r"fault.headers: .* must be texts of one line"):
            Fault.of({"status": 500, "headers": headers})
