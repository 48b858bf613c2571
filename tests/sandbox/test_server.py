"""
The sandbox over HTTP on the loopback interface.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient

from runbook_lib.sandbox import Estate, Fault, Sandbox, SandboxError
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
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        sent = {"Authorization": "Bearer t"} | headers
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        response = connection.getresponse()
        with closing(response):
            response.body = response.read()  # type: ignore[attr-defined]
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
    sandbox.fault(Fault(does="reset", times=1))

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
    sandbox.fault(Fault(does="reset"))
    with (
        ComputeManagementClient(_Credential(), ids.one, **options(server), retry_total=0) as compute,
        pytest.raises(ServiceResponseError),
    ):
        compute.virtual_machines.get("rg-app", "web")


def test_an_answer_breaks_off_over_http_too(server: SandboxServer, sandbox: Sandbox) -> None:
    """
    Less content arrives than the header announces.
    """
    sandbox.fault(Fault(does="truncate", times=1))

    with pytest.raises(http.client.IncompleteRead):
        request(server)
    assert 200 == request(server).status


def test_a_client_that_waits_in_vain_is_let_go(server: SandboxServer, sandbox: Sandbox) -> None:
    """
    The server keeps still for as long as the rule says, and does not keep anybody from ending it.
    """
    sandbox.fault(Fault(does="timeout", seconds=0.5, times=1))
    start = time.monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        request(server)

    assert time.monotonic() - start >= 0.5
    sandbox.fault(Fault(does="timeout", seconds=600, times=1))

    def wait() -> None:
        with pytest.raises(OSError, match=r"closed connection|reset"):
            request(server)

    threading.Thread(target=wait, daemon=True).start()


def test_a_scaled_clock_tells_clients_to_wait_in_their_own_seconds(
    server: SandboxServer, sandbox: Sandbox, ids: Any
) -> None:
    """
    A minute of the tenant is a second of the client when sixty of its seconds pass in one.
    """
    path = f"{ids.vault}/backupFabrics/Azure/refreshContainers?api-version=2026-10-01"
    waits = [request(server, "POST", path).getheader("Retry-After")]
    sandbox.advance(60)
    sandbox.configure(clock_scale=50)
    waits.append(request(server, "POST", path).getheader("Retry-After"))

    assert ["60", "2"] == waits


def test_the_claims_of_the_token_name_the_caller(
    server: SandboxServer, sandbox: Sandbox, ids: Any, estate: Estate
) -> None:
    """
    Any token is accepted; who it names is held to the roles of the tenant.
    """
    reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    scope = f"/subscriptions/{ids.one}"
    role = {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/r",
        "properties": {"principalId": "op", "roleDefinitionId": f"/providers/x/{reader}", "scope": scope},
    }
    sandbox.load(replace(estate, resources=(*estate.resources, role)))
    claims = base64.urlsafe_b64encode(json.dumps({"oid": "op"}).encode()).decode().rstrip("=")
    path, body = f"{scope}/resourcegroups/rg-new?api-version=2025-04-01", b'{"location": "westeurope"}'

    assert [403, 201] == [
        request(server, "PUT", path, body, Authorization=f"Bearer {token}").status
        for token in (f"e30.{claims}.", "anything")
    ]


def test_the_job_is_done_with_nothing_but_http(server: SandboxServer, sandbox: Sandbox, ids: Any) -> None:
    """
    A client that knows ARM's rules only: it sends JSON and polls where the headers say.
    """
    group = f"/subscriptions/{ids.one}/resourceGroups/rg-vault"
    vault = f"{group}/providers/Microsoft.RecoveryServices/vaults/rsv-plain"

    def send(method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        url = path.partition(f":{server.port}")[2] or f"{quote(path)}?api-version=2024-04-01"
        return request(server, method, url, content)

    def finish(answer: Any) -> None:
        assert answer.status in (201, 202), answer.body
        while json.loads(send("GET", answer.getheader("Azure-AsyncOperation")).body)["status"] == "InProgress":
            sandbox.advance(10)

    settings = {"standardTierStorageRedundancy": "LocallyRedundant"}
    made = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {"redundancySettings": settings}}
    finish(send("PUT", vault, made))
    unique = "iaasvmcontainerv2;rg-app;web"
    item = f"{vault}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{unique}/protectedItems/VM;{unique}"
    wanted = {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "sourceResourceId": ids.vm("web"),
        "policyId": f"{vault}/backupPolicies/DefaultPolicy",
    }
    finish(send("PUT", item, {"properties": wanted}))

    shown = json.loads(send("GET", item).body)["properties"]
    assert ("IRPending", "DefaultPolicy") == (shown["protectionState"], shown["policyName"])
    kept = json.loads(send("GET", vault).body)["properties"]["redundancySettings"]
    assert "LocallyRedundant" == kept["standardTierStorageRedundancy"]
