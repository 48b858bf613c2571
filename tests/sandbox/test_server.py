"""
The sandbox over HTTP on the loopback interface.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient

from runbook_lib.sandbox import Fault, Sandbox, SandboxError
from runbook_lib.sandbox.server import SandboxServer, serve

_PATH = "/subscriptions?api-version=2022-12-01"


class _Token(SansIOHTTPPolicy[Any, Any]):
    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers["Authorization"] = "Bearer t"


class _Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        raise AssertionError("the clients have a policy of their own")


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[SandboxServer]:
    """
    A server for the small estate on a free port.
    """
    server = serve(sandbox)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def request(
    server: SandboxServer, method: str = "GET", path: str = _PATH, body: bytes | None = None, **headers: str
) -> Any:
    """
    Send one request, with a token unless told otherwise, and return the response with its body read.
    """
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    sent = {"Authorization": "Bearer t"} | headers
    connection.request(method, path, body, {name: value for name, value in sent.items() if value})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def options(server: SandboxServer) -> dict[str, Any]:
    """
    Return what makes an SDK client talk to a server without TLS.
    """
    return {"base_url": f"http://{server.host}:{server.port}", "authentication_policy": _Token(), "polling_interval": 0}


def test_the_clients_do_over_http_what_they_do_in_process(server: SandboxServer, sandbox: Sandbox, ids: Any) -> None:
    """
    Paging and long operations work through real sockets, with links to the server.
    """
    sandbox.configure(page_sizes={"virtualMachines": 3}, durations={"vault.create": 0})
    with (
        ComputeManagementClient(_Credential(), ids.one, **options(server)) as compute,
        RecoveryServicesClient(_Credential(), ids.one, **options(server)) as vaults,
    ):
        machines = [vm.name for vm in compute.virtual_machines.list_all()]
        body: Any = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
        vault = vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()

    assert ["db", "deaf", "fast", "fat", "kept", "north", "trusted", "web"] == machines
    assert ("rsv-new", "Succeeded") == (vault.name, vault.as_dict()["properties"]["provisioningState"])


def test_it_listens_on_the_loopback_interface_only(server: SandboxServer) -> None:
    """
    The address is 127.0.0.1, whatever the name of the machine leads to.
    """
    assert ("127.0.0.1", True) == (server.host, 0 < server.port < 65536)
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection(("127.0.0.2", server.port), timeout=2)


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}", "[::1]:{}"])
def test_its_own_names_are_served(server: SandboxServer, host: str) -> None:
    """
    The names of the loopback interface, with its port.
    """
    assert 200 == request(server, Host=host.format(server.port)).status


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{}", "127.0.0.1:{}."]
)
def test_a_foreign_host_is_refused(server: SandboxServer, sandbox: Sandbox, host: str) -> None:
    """
    A name that a web page made lead here (DNS rebinding) gets 403, and the service does not see the request.
    """
    assert 403 == request(server, Host=host.format(server.port)).status
    assert [] == sandbox.requests()


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_request_of_a_web_page_is_refused(server: SandboxServer, sandbox: Sandbox, origin: str) -> None:
    """
    Browsers name the page's origin; there is no CORS answer, not even to a preflight.
    """
    refused = request(server, Origin=origin)
    preflight = request(server, "OPTIONS", Origin=origin)

    assert [403, 403] == [refused.status, preflight.status]
    assert set() == {name for name, _ in preflight.getheaders() if name.lower().startswith("access-control")}
    assert [] == sandbox.requests()


def test_a_token_is_required(server: SandboxServer) -> None:
    """
    As in process, a request without a bearer token gets 401.
    """
    assert 401 == request(server, Authorization="").status


def test_a_large_body_is_refused(server: SandboxServer, sandbox: Sandbox, ids: Any) -> None:
    """
    4 MB is the most; a body within is read, a larger one is refused by its announced length.
    """
    path = f"/subscriptions/{ids.one}/resourcegroups/rg-new?api-version=2025-04-01"
    large = json.dumps({"location": "westeurope", "tags": {"a": "x" * (3 << 20)}}).encode()

    assert 201 == request(server, "PUT", path, large).status
    assert 413 == request(server, "PUT", path, b"{}", **{"Content-Length": str((4 << 20) + 1)}).status
    assert 1 == len(sandbox.requests())


def test_a_broken_connection_breaks_over_http_too(server: SandboxServer, sandbox: Sandbox) -> None:
    """
    A reset rule closes the connection without an answer.
    """
    sandbox.fault(Fault(reset=True, times=1))

    with pytest.raises(http.client.RemoteDisconnected):
        request(server)
    assert 200 == request(server).status


def test_a_port_that_is_taken_is_told(server: SandboxServer, sandbox: Sandbox) -> None:
    """
    The message names the port and the remedy.
    """
    with pytest.raises(SandboxError, match=f"port {server.port}: cannot listen on it .*; choose another"):
        serve(sandbox, server.port)


def test_the_client_sees_a_broken_connection(server: SandboxServer, sandbox: Sandbox, ids: Any) -> None:
    """
    The SDK raises what it raises for any server that goes away.
    """
    sandbox.fault(Fault(reset=True))
    with (
        ComputeManagementClient(_Credential(), ids.one, **options(server), retry_total=0) as compute,
        pytest.raises(ServiceResponseError),
    ):
        compute.virtual_machines.get("rg-app", "web")
