"""
The in-process transport: a response like any other of azure-core.
"""

from __future__ import annotations

from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.exceptions import HttpResponseError, ResponseNotReadError, StreamClosedError, StreamConsumedError
from azure.core.rest import HttpRequest, HttpResponse

from runbook_lib.sandbox import Sandbox

_URL = "https://management.azure.com/subscriptions?api-version=2022-12-01"


def get(sandbox: Sandbox, url: str = _URL, *, stream: bool = False, **headers: str) -> HttpResponse:
    """
    Send one GET through a pipeline that holds nothing but the transport.
    """
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient("x", transport=sandbox.transport(), policies=[])
    request = HttpRequest("GET", url, headers={"Authorization": "Bearer t", **headers})
    with client:
        return client.send_request(request, stream=stream)


def test_a_response_tells_what_azure_core_asks_for(sandbox: Sandbox) -> None:
    """
    Status, reason, headers without case, content and its type.
    """
    response = get(sandbox)

    assert (200, "OK", _URL) == (response.status_code, response.reason, response.url)
    assert response.headers["x-MS-request-ID"] == response.headers["X-Ms-Request-Id"]
    assert "application/json; charset=utf-8" == response.content_type
    assert 2 == len(response.json()["value"])
    assert response.content.decode() == response.text() == response.text("ascii")
    assert (True, True, response.content) == (response.is_closed, response.is_stream_consumed, response.read())
    assert "<HttpResponse: 200 OK, Content-Type: application/json; charset=utf-8>" == repr(response)
    assert "GET" == response.request.method
    response.raise_for_status()


def test_the_encoding_can_be_chosen(sandbox: Sandbox) -> None:
    """
    Nothing is assumed, and what the caller sets is used.
    """
    response = get(sandbox)

    assert response.encoding is None
    response.encoding = "cp500"
    assert ("cp500", response.content.decode("cp500")) == (response.encoding, response.text())


def test_an_error_is_raised_when_asked(sandbox: Sandbox) -> None:
    """
    `raise_for_status` raises for 400 and above.
    """
    with pytest.raises(HttpResponseError) as caught:
        get(sandbox, "https://management.azure.com/subscriptions").raise_for_status()

    assert 400 == caught.value.status_code


def test_a_stream_is_read_once(sandbox: Sandbox) -> None:
    """
    Before it is read there is no content, and afterwards no second stream.
    """
    response = get(sandbox, stream=True)
    with pytest.raises(ResponseNotReadError):
        _ = response.content
    streamed = b"".join(response.iter_bytes())

    assert (True, True) == (response.is_stream_consumed, response.is_closed)
    assert streamed.startswith(b'{"value"')
    with pytest.raises(StreamConsumedError):
        next(response.iter_raw())


def test_a_stream_that_was_read_can_be_walked(sandbox: Sandbox) -> None:
    """
    Reading a stream gives its content, as often as wanted.
    """
    with get(sandbox, stream=True) as response:
        assert response.read() == response.content == b"".join(response.iter_bytes())

    assert response.is_closed is True


def test_a_closed_stream_gives_nothing(sandbox: Sandbox) -> None:
    """
    Closing before reading loses the content.
    """
    response = get(sandbox, stream=True)
    response.close()

    with pytest.raises(StreamClosedError):
        response.read()


@pytest.mark.parametrize(
    "content", [b'{"location": "westeurope"}', '{"location": "westeurope"}', [b'{"location": ', b'"westeurope"}']]
)
def test_content_may_come_in_any_form(sandbox: Sandbox, content: Any, ids: Any) -> None:
    """
    Bytes, text and pieces are all sent as they are.
    """
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient("x", transport=sandbox.transport(), policies=[])
    url = f"https://management.azure.com/subscriptions/{ids.one}/resourcegroups/rg-new?api-version=2025-04-01"
    request = HttpRequest("PUT", url, headers={"Authorization": "Bearer t"}, content=content)

    assert 201 == client.send_request(request).status_code


def test_names_of_any_script_arrive(sandbox: Sandbox, ids: Any) -> None:
    """
    A path is UTF-8, percent-encoded.
    """
    response = get(
        sandbox,
        f"https://management.azure.com/subscriptions/{ids.one}/resourcegroups/M%C3%A1laga?api-version=2025-04-01",
    )

    assert "Resource group 'Málaga' could not be found." == response.json()["error"]["message"]


def test_urls_in_answers_use_the_callers_host(sandbox: Sandbox, ids: Any) -> None:
    """
    Links lead back to where the request was sent.
    """
    sandbox.configure(page_sizes={"virtualMachines": 1})
    url = f"https://sandbox.invalid:8443/subscriptions/{ids.one}/providers/Microsoft.Compute/virtualMachines?api-version=2026-04-01"

    assert get(sandbox, url).json()["nextLink"].startswith("https://sandbox.invalid:8443/subscriptions/")
