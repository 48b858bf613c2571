"""
What the sandbox's vaults take without a word: members that nobody knows, read-only ones, and nulls; and that no body,
whatever is in it, is anything worse than refused.

Beside the sandbox's own suite, whose accepted requests are held against Microsoft's specs.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.rest import HttpRequest, HttpResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbook_lib.sandbox import Estate, Sandbox

Send = Callable[..., HttpResponse]

_BASE = "https://management.azure.com"
_SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
_VM = f"{_SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web"
_VAULT = f"{_SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/rsv"
_UNIQUE = "iaasvmcontainerv2;rg;web"
_ITEM = f"{_VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{_UNIQUE}/protectedItems/VM;{_UNIQUE}"
_TIME = "2026-01-01T19:00:00Z"
_VAULT_BODY = {
    "location": "westeurope",
    "sku": {"name": "Standard"},
    "tags": {"a": "b"},
    "properties": {
        "publicNetworkAccess": "Disabled",
        "redundancySettings": {"standardTierStorageRedundancy": "ZoneRedundant", "crossRegionRestore": "Disabled"},
        "securitySettings": {"softDeleteSettings": {"softDeleteRetentionPeriodInDays": 20}},
    },
}
_POLICY_BODY = {
    "properties": {
        "backupManagementType": "AzureIaasVM",
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": [_TIME],
        },
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            "dailySchedule": {
                "retentionTimes": [_TIME],
                "retentionDuration": {"count": 30, "durationType": "Days"},
            },
        },
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "UTC",
    }
}
_ITEM_BODY = {
    "properties": {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "sourceResourceId": _VM,
        "policyId": f"{_VAULT}/backupPolicies/DefaultPolicy",
    }
}
_STORAGE = {"properties": {"storageModelType": "LocallyRedundant", "crossRegionRestoreFlag": False}}
_CONFIG = {"properties": {"softDeleteFeatureState": "Enabled", "softDeleteRetentionPeriodInDays": 20}}
# Method, path and body of a change, and what to read afterwards.
_CHANGES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "vault PUT": ("PUT", f"{_VAULT}-new", _VAULT_BODY, f"{_VAULT}-new"),
    "vault PATCH": ("PATCH", _VAULT, _VAULT_BODY, _VAULT),
    "policy PUT": ("PUT", f"{_VAULT}/backupPolicies/Nightly", _POLICY_BODY, f"{_VAULT}/backupPolicies/Nightly"),
    "item PUT": ("PUT", _ITEM, _ITEM_BODY, _ITEM),
    "storage PUT": ("PUT", f"{_VAULT}/backupstorageconfig/vaultstorageconfig", _STORAGE, _VAULT),
    "storage PATCH": ("PATCH", f"{_VAULT}/backupstorageconfig/vaultstorageconfig", _STORAGE, _VAULT),
    "config PUT": ("PUT", f"{_VAULT}/backupconfig/vaultconfig", _CONFIG, _VAULT),
    "config PATCH": ("PATCH", f"{_VAULT}/backupconfig/vaultconfig", _CONFIG, _VAULT),
}
# What a GET shows and a caller cannot set, and what nobody knows.
_IGNORED = ("id", "name", "type", "etag", "systemData", "provisioningState", "secureScore", "vaultId", "healthStatus")
_UNKNOWN = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=6).map("x-{}".format)
_SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=4))
_JSON = st.recursive(
    _SCALAR, lambda one: st.lists(one, max_size=2) | st.dictionaries(_UNKNOWN, one, max_size=2), max_leaves=4
)
_MORE = st.dictionaries(st.one_of(st.sampled_from(_IGNORED), _UNKNOWN), _JSON, min_size=1, max_size=4)
_SMALL = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """
    An empty sandbox; each example loads it anew.
    """
    sandbox = Sandbox(tmp_path / "sandbox.db")
    yield sandbox
    sandbox.close()


def load(sandbox: Sandbox) -> Send:
    """
    Load a VM and a vault, and return what sends a request.
    """
    vm = {
        "id": _VM,
        "name": "web",
        "location": "westeurope",
        "properties": {"storageProfile": {"osDisk": {"osType": "Linux"}}},
    }
    vault = {"id": _VAULT, "name": "rsv", "location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    subscription = {"id": _SUBSCRIPTION, "subscriptionId": _SUBSCRIPTION.rpartition("/")[2], "state": "Enabled"}
    sandbox.load(
        Estate(
            name="one",
            as_of=datetime(2026, 11, 1, tzinfo=UTC),
            resources=(subscription, vm, vault),
            status={},
            profile={"timing": "median"},
            origin="tests",
        )
    )
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        _BASE, transport=sandbox.transport(), policies=[]
    )

    def send(method: str, path: str, body: Any = None) -> HttpResponse:
        content = None if body is None else json.dumps(body).encode()
        url = f"{_BASE}{path}?api-version=2026-11-01"
        return client.send_request(HttpRequest(method, url, headers={"Authorization": "Bearer t"}, content=content))

    return send


def outcome(sandbox: Sandbox, change: str, body: Any) -> tuple[int, Any]:
    """
    Make a change in a fresh sandbox and return its status, and the properties that stand there afterwards.
    """
    method, path, _, read = _CHANGES[change]
    send = load(sandbox)
    answer = send(method, path, body)
    sandbox.advance(100)
    shown = send("GET", read).json().get("properties", {})
    return answer.status_code, {name: value for name, value in shown.items() if name != "protectedItemDataId"}


def places(body: Any) -> Iterator[tuple[str | int, ...]]:
    """
    Give the way to each member of a body.
    """
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in parts:
        yield (name,)
        yield from ((name, *rest) for rest in places(value))


def put_in(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """
    Return *body* with another value in one place.
    """
    body = copy.deepcopy(body)
    part = body
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    return body


@pytest.mark.parametrize("change", _CHANGES)
@given(outside=_MORE, inside=_MORE)
@_SMALL
def test_what_nobody_knows_or_may_set_changes_nothing(
    sandbox: Sandbox, change: str, outside: dict[str, Any], inside: dict[str, Any]
) -> None:
    """
    The request is taken, and ends as it does without those members.
    """
    body = _CHANGES[change][2]
    # A sourceResourceId makes the vaultId of an item superfluous, and its name comes from the path.
    more = {**outside, **body, "properties": {**inside, **body["properties"]}}
    if "redundancySettings" in body["properties"]:
        redundancy, security = (body["properties"][name] for name in ("redundancySettings", "securitySettings"))
        soft = {**inside, **security["softDeleteSettings"]}
        more["properties"] |= {
            "redundancySettings": {**inside, **redundancy},
            "securitySettings": {"softDeleteSettings": soft},
        }
    expected = outcome(sandbox, change, body)

    assert expected[0] < 300
    assert expected == outcome(sandbox, change, more)


@pytest.mark.parametrize("change", _CHANGES)
def test_a_null_is_as_good_as_nothing(sandbox: Sandbox, change: str) -> None:
    """
    A body with a null in one place ends as the body without that member.
    """
    body = _CHANGES[change][2]
    ways = [place for place in places(body) if isinstance(place[-1], str)]

    assert ways
    for place in ways:
        *parents, last = place
        without = put_in(body, place, None)
        part = without
        for name in parents:
            part = part[name]
        del part[last]
        assert outcome(sandbox, change, without) == outcome(sandbox, change, put_in(body, place, None)), place


@pytest.mark.parametrize("change", _CHANGES)
@given(data=st.data())
@_SMALL
def test_no_value_is_worse_than_refused(sandbox: Sandbox, change: str, data: st.DataObject) -> None:
    """
    Any JSON in any place is taken, or refused with the envelope of an error.
    """
    method, path, body, _ = _CHANGES[change]
    place = data.draw(st.sampled_from(sorted(places(body), key=str)))
    answer = load(sandbox)(method, path, put_in(body, place, data.draw(_JSON)))

    assert answer.status_code < 300 or (answer.status_code < 500 and answer.json()["error"]["code"])
