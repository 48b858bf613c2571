"""
Limits on requests, their counters and their refusals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.rest import HttpResponse

from runbook_lib.sandbox import Sandbox

Send = Callable[..., HttpResponse]

_ONE = "11111111-1111-1111-1111-111111111111"
_SCOPE = f"/subscriptions/{_ONE}"
_VAULT = f"{_SCOPE}/resourceGroups/rg-vault/providers/Microsoft.RecoveryServices/vaults/rsv-old"
_VM = f"{_SCOPE}/resourceGroups/rg-app/providers/Microsoft.Compute/virtualMachines/web"
_NSG = f"{_SCOPE}/resourceGroups/rg-net/providers/Microsoft.Network/networkSecurityGroups/nsg-web"


def counters(response: HttpResponse) -> dict[str, str]:
    """
    Return the headers that tell what is left.
    """
    return {
        name.lower().removeprefix("x-ms-ratelimit-remaining-"): value
        for name, value in response.headers.items()
        if name.lower().startswith("x-ms-ratelimit")
    }


def test_without_a_profile_nothing_is_limited_or_counted(send: Send) -> None:
    """
    The default is for rehearsals and tests that are about something else.
    """
    assert {} == counters([send("GET", _VM) for _ in range(60)][-1])


def test_the_front_door_counts_down_by_kind_of_request(sandbox: Sandbox, send: Send) -> None:
    """
    Reads, writes and deletes have buckets of their own, and those of all callers are 15 times as large.
    """
    sandbox.configure(throttle="arm2024")
    group = f"{_SCOPE}/resourcegroups/rg-new"

    assert [
        {"subscription-reads": "249", "subscription-global-reads": "3749"},
        {"subscription-writes": "199", "subscription-global-writes": "2999"},
        {"subscription-deletes": "199", "subscription-global-deletes": "2999"},
        {"tenant-reads": "249"},
    ] == [
        counters(send(method, path, body))
        for method, path, body in (
            ("GET", _VAULT, None),
            ("PUT", group, {"location": "westeurope"}),
            ("DELETE", group, None),
            ("GET", "/subscriptions", None),
        )
    ]


def test_a_used_up_bucket_refuses_and_fills_again(sandbox: Sandbox, send: Send) -> None:
    """
    200 writes at once, then ten in a second; a refused request takes nothing.
    """
    sandbox.configure(throttle="arm2024")
    body = {"location": "westeurope"}
    served = 0
    while (refused := send("PUT", f"{_SCOPE}/resourcegroups/rg-new", body)).status_code != 429:
        served += 1
    before = sandbox.requests()[-1]
    sandbox.advance(1)

    assert served >= 200
    assert ("SubscriptionRequestsThrottled", "gateway", "1") == (
        refused.json()["error"]["code"],
        refused.headers["x-ms-failure-cause"],
        refused.headers["Retry-After"],
    )
    assert f"Number of 'write' requests for subscription '{_ONE}' actor" in refused.json()["error"]["message"]
    assert (429, "SubscriptionRequestsThrottled") == (before["status"], before["code"])
    assert 200 == send("PUT", f"{_SCOPE}/resourcegroups/rg-new", body).status_code


def test_the_sdk_waits_as_it_is_told(sandbox: Sandbox, azure: Any) -> None:
    """
    A client that repeats after Retry-After gets through.
    """
    sandbox.configure(throttle="arm2024")
    for _ in range(45):
        azure.compute.virtual_machines.get("rg-app", "web")

    assert {200, 429} == {one["status"] for one in sandbox.requests()}


def test_compute_counts_for_the_subscription_and_for_the_vm(sandbox: Sandbox, send: Send) -> None:
    """
    36 reads of one VM at once; the refusal is Compute's own, with the policy that was hit.
    """
    sandbox.configure(throttle="arm2024")
    answers = [send("GET", _VM) for _ in range(45)]
    refused = next(one for one in answers if one.status_code == 429)
    error = refused.json()["error"]

    assert (
        "Microsoft.Compute/LowCostGetSubscriptionMaximum;23999,Microsoft.Compute/LowCostGetResource;35"
        == counters(answers[0])["resource"]
    )
    assert ("OperationNotAllowed", ["TooManyRequests"], ["LowCostGetResource"]) == (
        error["code"],
        [one["code"] for one in error["details"]],
        [one["target"] for one in error["details"]],
    )
    assert int(refused.headers["Retry-After"]) <= 5
    listed = send("GET", f"{_SCOPE}/providers/Microsoft.Compute/virtualMachines")
    assert "Microsoft.Compute/HighCostGetSubscriptionMaximum;899" == counters(listed)["resource"]


@pytest.mark.parametrize(
    ("path", "action", "limit"),
    [
        (f"{_VAULT}/backupJobs", "Microsoft.RecoveryServices/vaults/backupJobs/read", 150),
        (f"{_VAULT}/backupPolicies", "Microsoft.RecoveryServices/vaults/backupPolicies/read", 300),
    ],
)
def test_azure_backup_has_read_budgets_of_its_own(
    sandbox: Sandbox, send: Send, path: str, action: str, limit: int
) -> None:
    """
    So many reads of an action in an hour; they do not count at the front door, and come back when the hour is over.
    """
    sandbox.configure(throttle="backup-strict")
    answers = [send("GET", path) for _ in range(limit + 1)]
    refused = answers[-1]
    wait = int(refused.headers["Retry-After"])

    assert {"subscription-resource-requests": str(limit - 1)} == counters(answers[0])
    assert [200] * limit + [429] == [one.status_code for one in answers]
    assert "ResourceRequestsThrottled" == refused.json()["error"]["code"]
    assert (
        f"Number of requests for action '{action}' exceeded the limit of '{limit}' for time interval '01:00:00'."
        f" Please try again after '{wait}' seconds."
    ) == refused.json()["error"]["message"]
    assert 3500 < wait <= 3600
    sandbox.advance(wait)
    assert 200 == send("GET", path).status_code


def test_under_the_arm_profile_backup_reads_count_at_the_front_door(sandbox: Sandbox, send: Send) -> None:
    """
    The budgets of Azure Backup are the stricter profile's.
    """
    sandbox.configure(throttle="arm2024")

    assert "249" == counters(send("GET", f"{_VAULT}/backupJobs"))["subscription-reads"]


def test_network_writes_have_a_budget_of_five_minutes(sandbox: Sandbox, send: Send) -> None:
    """
    A thousand in five minutes, whatever the front door lets through.
    """
    sandbox.configure(throttle="arm2024")
    statuses = []
    for _ in range(1001):
        response = send("DELETE", f"{_NSG}/securityRules/none")
        statuses.append(response.status_code)
        sandbox.advance(0.1)

    assert [204] * 1000 + [429] == statuses
    assert "time interval '00:05:00'" in response.json()["error"]["message"]


def test_a_refused_request_counts_as_one(sandbox: Sandbox, send: Send) -> None:
    """
    What the service refuses for another reason was a request all the same; this budget does not refill meanwhile.
    """
    sandbox.configure(throttle="backup-strict")
    answers = [send("GET", f"{_VAULT}/backupPolicies/none") for _ in range(2)]

    assert [(404, "299"), (404, "298")] == [
        (one.status_code, counters(one)["subscription-resource-requests"]) for one in answers
    ]
