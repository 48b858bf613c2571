"""
What every request meets before a resource provider sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from azure.core.rest import HttpResponse

Send = Callable[..., HttpResponse]

_SCOPE = "/subscriptions/11111111-1111-1111-1111-111111111111"
_VM = f"{_SCOPE}/resourceGroups/rg-app/providers/Microsoft.Compute/virtualMachines/web"


def code(response: HttpResponse) -> tuple[int, str]:
    """
    Return the status and the error code of a response.
    """
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer ", "Basic abc"])
def test_a_request_without_a_bearer_token_gets_401_and_a_challenge(send: Send, token: str | None) -> None:
    """
    The service names the authority that gives tokens.
    """
    response = send("GET", "/subscriptions", token=token)

    assert (401, "AuthenticationFailed") == code(response)
    assert response.headers["WWW-Authenticate"].startswith('Bearer authorization_uri="https://')


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, (400, "MissingApiVersionParameter")),
        ("", (400, "MissingApiVersionParameter")),
        ("latest", (400, "InvalidApiVersionParameter")),
        ("2026-11-01-beta", (400, "InvalidApiVersionParameter")),
    ],
)
def test_an_api_version_is_required_in_its_form(send: Send, version: str | None, expected: tuple[int, str]) -> None:
    """
    The api-version is a date, with `-preview` or without.
    """
    assert expected == code(send("GET", "/subscriptions", version=version))


@pytest.mark.parametrize("version", ["2014-04-01", "2030-01-31-preview"])
def test_any_api_version_of_the_form_is_served(send: Send, version: str) -> None:
    """
    Clients of any age may ask.
    """
    assert 200 == send("GET", "/subscriptions", version=version).status_code


def test_every_answer_carries_the_headers_of_the_front_door(send: Send) -> None:
    """
    Request ids, the virtual date and the caching rules are on every answer.
    """
    headers = send("GET", "/subscriptions").headers

    assert "no-cache" == headers["Cache-Control"]
    assert "no-cache" == headers["Pragma"]
    assert "-1" == headers["Expires"]
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert headers["Date"].startswith("Sun, 01 Nov 2026 12:0")
    assert headers["x-ms-request-id"] == headers["x-ms-correlation-request-id"]
    assert headers["x-ms-routing-request-id"].startswith("SANDBOX:20261101T120")
    assert headers["x-ms-routing-request-id"].endswith(headers["x-ms-request-id"])


def test_the_correlation_id_of_the_caller_is_kept(send: Send) -> None:
    """
    A caller may tie its requests together.
    """
    assert (
        "abc" == send("GET", "/subscriptions", x_ms_correlation_request_id="abc").headers["x-ms-correlation-request-id"]
    )


def test_the_client_request_id_is_echoed_when_asked_for(send: Send) -> None:
    """
    `x-ms-return-client-request-id: true` brings the client's id back, and nothing else does.
    """
    asked = send("GET", "/subscriptions", x_ms_client_request_id="c-1", x_ms_return_client_request_id="true")
    silent = send("GET", "/subscriptions", x_ms_client_request_id="c-1")

    assert "c-1" == asked.headers["x-ms-client-request-id"]
    assert "x-ms-client-request-id" not in silent.headers


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/subscriptions/33333333-3333-3333-3333-333333333333", (404, "SubscriptionNotFound")),
        (f"{_SCOPE}/resourcegroups/nowhere", (404, "ResourceGroupNotFound")),
        (
            f"{_SCOPE}/resourceGroups/nowhere/providers/Microsoft.Compute/virtualMachines",
            (404, "ResourceGroupNotFound"),
        ),
        (f"{_VM}-not", (404, "ResourceNotFound")),
        (f"{_SCOPE}/providers/Microsoft.Nothing/at/all", (404, "InvalidResourceType")),
        (f"{_SCOPE}/providers/Microsoft.Nothing", (404, "InvalidResourceNamespace")),
        ("/elsewhere", (404, "MissingSubscription")),
    ],
)
def test_what_is_not_there_is_named_by_its_code(send: Send, path: str, expected: tuple[int, str]) -> None:
    """
    A missing subscription, group, resource and type have codes of their own, all marked as the gateway's.
    """
    response = send("GET", path)

    assert expected == code(response)
    assert "gateway" == response.headers["x-ms-failure-cause"]


def test_a_missing_resource_is_told_by_type_name_and_group(send: Send) -> None:
    """
    The message is the one that people search for.
    """
    expected = (
        "The Resource 'Microsoft.Compute/virtualMachines/web-not' under resource group 'rg-app' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )

    assert expected == send("GET", f"{_VM}-not").json()["error"]["message"]


def test_a_method_that_a_path_does_not_know_gets_405(send: Send) -> None:
    """
    The answer names the methods that it knows.
    """
    response = send("DELETE", _VM)

    assert (405, "MethodNotAllowed") == code(response)
    assert "GET" == response.headers["Allow"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"[" * 5000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_a_body_that_is_no_json_object_gets_400(send: Send, content: bytes) -> None:
    """
    Broken, deep, non-object and non-Unicode bodies are refused alike.
    """
    response = send("PUT", f"{_SCOPE}/resourcegroups/rg-new", content=content)

    assert (400, "InvalidRequestContent") == code(response)


def test_paths_are_matched_without_case_and_echoed_in_the_callers(send: Send) -> None:
    """
    ARM compares paths without regard to case, and writes the names in an id as the caller did.
    """
    response = send("GET", _VM.upper().replace("/SUBSCRIPTIONS/", "/Subscriptions/"))

    expected = _VM.replace("rg-app", "RG-APP")

    assert (200, expected) == (response.status_code, response.json()["id"])


def test_names_arrive_percent_encoded_or_plain(send: Send) -> None:
    """
    Both spellings of a semicolon lead to the same item.
    """
    vault = f"{_SCOPE}/resourceGroups/rg-vault/providers/Microsoft.RecoveryServices/vaults/rsv-old"
    path = "backupFabrics/Azure/protectionContainers/IaasVMContainer{0}iaasvmcontainerv2{0}rg-app{0}kept/protectedItems"
    plain = send("GET", f"{vault}/{path.format(';')}/vm;iaasvmcontainerv2;rg-app;kept")
    encoded = send("GET", f"{vault}/{path.format('%3B')}/VM%3Biaasvmcontainerv2%3Brg-app%3Bkept")

    assert "kept" == plain.json()["properties"]["friendlyName"]
    assert plain.json() == encoded.json()


def test_the_log_tells_what_was_asked_and_what_became_of_it(sandbox: Any, send: Send) -> None:
    """
    Each request leaves an entry with its ids and whether it was a change.
    """
    before = sandbox.requests()[-1]["seq"] if sandbox.requests() else 0
    answer = send("GET", f"{_VM}-not", x_ms_client_request_id="c-2")
    send("PUT", f"{_SCOPE}/resourcegroups/rg-log", {"location": "westeurope"})
    read, write = sandbox.requests(since=before)

    assert ("GET", f"{_VM}-not", 404, "ResourceNotFound", "c-2", False) == tuple(
        read[name] for name in ("method", "path", "status", "code", "client_request_id", "writes")
    )
    assert {"api-version": "2026-11-01"} == read["query"]
    assert answer.headers["x-ms-request-id"] == read["request_id"]
    assert ("PUT", 201, "", True) == tuple(write[name] for name in ("method", "status", "code", "writes"))
    assert read["seq"] < write["seq"]


@pytest.mark.parametrize(
    "content",
    [b'{"location": "westeurope", "tags": {"a": 1e999}}', b'{"location": "westeurope", "tags": {"a": -1e999}}'],
)
def test_a_number_that_json_cannot_give_back_is_refused(send: Send, content: bytes) -> None:
    """
    Nothing is stored that an answer could not carry.
    """
    assert (400, "InvalidRequestContent") == code(send("PUT", f"{_SCOPE}/resourcegroups/rg-new", content=content))


@pytest.mark.parametrize("top", ["9" * 5000, "0", "-1", "x", "²"])
def test_a_top_that_is_no_number_of_rows_is_refused(send: Send, top: str) -> None:
    """
    On the lists that take one.
    """
    assert [400, 400] == [
        send("GET", f"{_SCOPE}/{kind}?$top={quote(top)}").status_code for kind in ("resources", "resourcegroups")
    ]
