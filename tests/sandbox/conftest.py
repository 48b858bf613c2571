"""
A small estate, and the real Azure clients that talk to it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

from runbook_lib.sandbox import Estate, Sandbox
from runbook_lib.sandbox.server import SandboxServer, serve

_ONE = "11111111-1111-1111-1111-111111111111"
_TWO = "22222222-2222-2222-2222-222222222222"
_TENANT = "99999999-9999-9999-9999-999999999999"
_BASE = "https://management.azure.com"
_OVER_HTTP = os.environ.get("RUNBOOK_ROAD") == "http"
_READY = {
    "vmAgentVersion": "2.7.41491.1095",
    "statuses": [{"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready"}],
}


class _Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("a-token-of-the-tests", int(time.time()) + 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """
    The names in the small estate.
    """

    one: str = _ONE
    two: str = _TWO
    tenant: str = _TENANT
    vault: str = f"/subscriptions/{_ONE}/resourceGroups/rg-vault/providers/Microsoft.RecoveryServices/vaults/rsv-old"

    def vm(self, name: str, group: str = "rg-app", subscription: str = _ONE) -> str:
        """
        Return the id of a VM.
        """
        return (
            f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"
        )

    def network(self, kind: str, name: str) -> str:
        """
        Return the id of a network resource.
        """
        return f"/subscriptions/{_ONE}/resourceGroups/rg-net/providers/Microsoft.Network/{kind}/{name}"

    def item(self, name: str, group: str = "rg-app", vault: str = "") -> str:
        """
        Return the id of the protected item of a VM.
        """
        unique = f"iaasvmcontainerv2;{group};{name}"
        fabric = f"{vault or self.vault}/backupFabrics/Azure"
        return f"{fabric}/protectionContainers/IaasVMContainer;{unique}/protectedItems/VM;{unique}"


class _Token(SansIOHTTPPolicy[Any, Any]):
    """
    Sends the token without TLS, which the clients' own policy refuses to do.
    """

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers.setdefault("Authorization", "Bearer a-token-of-the-tests")


class _HttpTransport(RequestsTransport):
    """
    Sends over sockets, and lets the sandbox's time pass where the client waits.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def sleep(self, duration: float) -> None:
        self._sandbox.wait(duration)


class Roads:
    """
    How the clients of a test reach a sandbox: in this process, or over HTTP when `RUNBOOK_ROAD` is `http`.
    """

    def __init__(self) -> None:
        self._servers: dict[int, tuple[SandboxServer, threading.Thread]] = {}
        self._transports: list[_HttpTransport] = []

    def options(self, sandbox: Sandbox) -> dict[str, Any]:
        """
        Return what makes a client talk to *sandbox*.
        """
        if not _OVER_HTTP:
            return {"transport": sandbox.transport(), "base_url": _BASE}
        if id(sandbox) not in self._servers:
            server = serve(sandbox)
            thread = threading.Thread(target=server.run)
            thread.start()
            self._servers[id(sandbox)] = (server, thread)
        transport = _HttpTransport(sandbox)
        self._transports.append(transport)
        port = self._servers[id(sandbox)][0].port
        return {"transport": transport, "base_url": f"http://127.0.0.1:{port}", "authentication_policy": _Token()}

    def close(self) -> None:
        """
        Close the connections and end the servers.
        """
        for transport in self._transports:
            transport.close()
        for server, thread in self._servers.values():
            server.close()
            thread.join(10)


class Clients:
    """
    One client of each kind for a subscription, made when it is first used.
    """

    def __init__(self, options: dict[str, Any], subscription: str) -> None:
        self._credential = _Credential()
        self._subscription = subscription
        self._options = options

    @cached_property
    def vaults(self) -> RecoveryServicesClient:
        """
        The client of the vaults.
        """
        return RecoveryServicesClient(self._credential, self._subscription, **self._options)

    @cached_property
    def backup(self) -> RecoveryServicesBackupClient:
        """
        The client of what the vaults protect.
        """
        return RecoveryServicesBackupClient(self._credential, self._subscription, **self._options)

    @cached_property
    def compute(self) -> ComputeManagementClient:
        """
        The client of the VMs.
        """
        return ComputeManagementClient(self._credential, self._subscription, **self._options)

    @cached_property
    def network(self) -> NetworkManagementClient:
        """
        The client of the network.
        """
        return NetworkManagementClient(self._credential, self._subscription, **self._options)

    @cached_property
    def resources(self) -> ResourceManagementClient:
        """
        The client of groups and providers.
        """
        return ResourceManagementClient(self._credential, self._subscription, **self._options)

    @cached_property
    def subscriptions(self) -> SubscriptionClient:
        """
        The client of the subscriptions.
        """
        return SubscriptionClient(self._credential, **self._options)


@pytest.fixture
def ids() -> Ids:
    """
    The names in the small estate.
    """
    return Ids()


@pytest.fixture
def estate(ids: Ids) -> Estate:
    """
    Two subscriptions, the second not registered for backup; eight VMs, their network, and a vault that protects one.
    """
    resources = [
        *_scopes(),
        _vm(ids, "web"),
        _vm(ids, "db", os="Linux"),
        _vm(ids, "deaf"),
        _vm(ids, "kept"),
        _vm(ids, "north", location="northeurope"),
        _vm(ids, "fat", disks=[{"lun": lun, "name": f"d{lun}"} for lun in range(33)]),
        _vm(ids, "fast", disks=[{"lun": 0, "managedDisk": {"storageAccountType": "PremiumV2_LRS"}}]),
        _vm(ids, "trusted", security={"securityType": "TrustedLaunch"}),
        _vm(ids, "other", subscription=ids.two),
        _extension(ids),
        *_network(ids),
        *_vault(ids),
    ]
    status = {
        ids.vm(name).lower(): _view("running", _READY) for name in ("web", "kept", "north", "fat", "fast", "trusted")
    }
    status[ids.vm("db").lower()] = _view("deallocated", None)
    status[ids.vm("deaf").lower()] = _view("running", None)
    return Estate(
        name="small",
        as_of=datetime(2026, 11, 1, 12, tzinfo=UTC),
        resources=tuple(resources),
        status=status,
        profile={"timing": "median"},
        origin="tests",
    )


@pytest.fixture
def sandbox(tmp_path: Path, estate: Estate) -> Iterator[Sandbox]:
    """
    A sandbox that holds the small estate.
    """
    sandbox = Sandbox(tmp_path / "sandbox.db")
    sandbox.load(estate)
    yield sandbox
    sandbox.close()


@pytest.fixture
def over_http() -> bool:
    """
    Whether the clients use sockets.
    """
    return _OVER_HTTP


@pytest.fixture
def roads() -> Iterator[Roads]:
    """
    How the clients reach a sandbox.
    """
    roads = Roads()
    yield roads
    roads.close()


@pytest.fixture
def clients_of(roads: Roads) -> Callable[[Sandbox, str], Clients]:
    """
    Makes the clients for a subscription of a sandbox.
    """

    def make(sandbox: Sandbox, subscription: str = _ONE) -> Clients:
        return Clients(roads.options(sandbox), subscription)

    return make


@pytest.fixture
def azure(sandbox: Sandbox, clients_of: Callable[[Sandbox, str], Clients]) -> Clients:
    """
    The clients for the first subscription of the small estate.
    """
    return clients_of(sandbox, _ONE)


@pytest.fixture
def base(sandbox: Sandbox, roads: Roads) -> str:
    """
    Scheme and host under which the clients reach the sandbox, and with which its links begin.
    """
    return str(roads.options(sandbox)["base_url"])


@pytest.fixture
def send(sandbox: Sandbox, roads: Roads) -> Callable[..., HttpResponse]:
    """
    Sends one bare request, to see the status and the headers that the clients hide.
    """
    options = roads.options(sandbox)
    base = options["base_url"]
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        base, transport=options["transport"], policies=[]
    )

    def request(
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = "2026-11-01",
        token: str | None = "Bearer t",
        content: bytes | None = None,
        **headers: str,
    ) -> HttpResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = token
        url = path if path.startswith(base) else base + path
        if version is not None and "api-version" not in url:
            url += f"{'&' if '?' in url else '?'}api-version={version}"
        data = json.dumps(body).encode() if body is not None else content
        return client.send_request(HttpRequest(method, url, headers=sent, content=data))

    return request


@pytest.fixture
def refused() -> Callable[[Callable[[], Any]], tuple[int | None, str]]:
    """
    Runs a call that the service must refuse, and returns the status and the code of the refusal.
    """

    def run(call: Callable[[], Any]) -> tuple[int | None, str]:
        with pytest.raises(HttpResponseError) as caught:
            call()
        error = caught.value.error
        return caught.value.status_code, "" if error is None else str(error.code)

    return run


@pytest.fixture
def protect(ids: Ids) -> Callable[..., Any]:
    """
    Starts to protect a VM with a policy, and returns the poller.
    """

    def start(azure: Any, vm: str, policy: str = "DefaultPolicy", vault: str = "rsv-old", **more: Any) -> Any:
        group = more.pop("group", "rg-app")
        vault_id = ids.vault.rpartition("/")[0] + f"/{vault}"
        properties = {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "sourceResourceId": ids.vm(vm, group),
            "policyId": f"{vault_id}/backupPolicies/{policy}",
            **more,
        }
        name = f"iaasvmcontainerv2;{group};{vm}"
        return azure.backup.protected_items.begin_create_or_update(
            vault, "rg-vault", "Azure", f"IaasVMContainer;{name}", f"VM;{name}", {"properties": properties}
        )

    return start


def _scopes() -> list[dict[str, Any]]:
    subscriptions = [
        {
            "id": f"/subscriptions/{subscription}",
            "subscriptionId": subscription,
            "tenantId": _TENANT,
            "displayName": name,
            "state": "Enabled",
        }
        for subscription, name in ((_ONE, "One"), (_TWO, "Two"))
    ]
    groups = [
        {
            "id": f"/subscriptions/{_ONE}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": "westeurope",
            "tags": {"Use": name},
            "properties": {"provisioningState": "Succeeded"},
        }
        for name in ("rg-app", "rg-empty", "rg-net", "rg-vault")
    ]
    provider = {
        "id": f"/subscriptions/{_TWO}/providers/Microsoft.RecoveryServices",
        "namespace": "Microsoft.RecoveryServices",
        "registrationState": "NotRegistered",
    }
    return [*subscriptions, *groups, provider]


def _vm(
    ids: Ids,
    name: str,
    *,
    subscription: str = _ONE,
    location: str = "westeurope",
    os: str = "Windows",
    disks: list[dict[str, Any]] | None = None,
    security: dict[str, Any] | None = None,
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "vmId": f"vmid-of-{name}",
        "provisioningState": "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "storageProfile": {
            "osDisk": {"osType": os, "createOption": "FromImage", "managedDisk": {}},
            "dataDisks": [{"createOption": "Empty", **disk} for disk in disks or []],
        },
        "networkProfile": {"networkInterfaces": [{"id": ids.network("networkInterfaces", "nic-web")}]},
    }
    if security is not None:
        properties["securityProfile"] = security
    return {
        "id": ids.vm(name, subscription=subscription),
        "name": name,
        "type": "Microsoft.Compute/virtualMachines",
        "location": location,
        "properties": properties,
    }


def _view(power: str, agent: dict[str, Any] | None) -> dict[str, Any]:
    view: dict[str, Any] = {"computerName": "host", "statuses": [{"code": f"PowerState/{power}"}]}
    return view if agent is None else view | {"vmAgent": agent, "extensions": []}


def _extension(ids: Ids) -> dict[str, Any]:
    return {
        "id": f"{ids.vm('web')}/extensions/Monitor",
        "name": "Monitor",
        "type": "Microsoft.Compute/virtualMachines/extensions",
        "location": "westeurope",
        "properties": {"publisher": "Microsoft.Azure.Monitor", "type": "Monitor", "provisioningState": "Succeeded"},
    }


def _network(ids: Ids) -> list[dict[str, Any]]:
    def body(kind: str, name: str, **properties: Any) -> dict[str, Any]:
        return {
            "id": ids.network(kind, name),
            "name": name,
            "type": f"Microsoft.Network/{kind.split('/')[0]}",
            "location": "westeurope",
            "etag": 'W/"1"',
            "properties": {"provisioningState": "Succeeded", **properties},
        }

    rule = {
        "id": ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowBackup"),
        "name": "AllowBackup",
        "properties": {
            "protocol": "Tcp",
            "access": "Allow",
            "direction": "Outbound",
            "priority": 200,
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "AzureBackup",
            "destinationPortRange": "443",
        },
    }
    subnet = {
        "id": ids.network("virtualNetworks", "vnet/subnets/front"),
        "name": "front",
        "properties": {"addressPrefix": "10.0.0.0/24"},
    }
    beside = {
        "id": ids.network("virtualNetworks", "vnet/subnets/back"),
        "name": "back",
        "type": "Microsoft.Network/virtualNetworks/subnets",
        "properties": {"addressPrefix": "10.0.1.0/24"},
    }
    route = {
        "id": ids.network("routeTables", "routes/routes/out"),
        "name": "out",
        "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "Internet"},
    }
    return [
        body("networkInterfaces", "nic-web", ipConfigurations=[]),
        body("networkSecurityGroups", "nsg-web", securityRules=[rule]),
        body("virtualNetworks", "vnet", subnets=[subnet]),
        beside,
        body("routeTables", "routes", routes=[route]),
        body("publicIPAddresses", "pip", publicIPAllocationMethod="Static"),
        body("natGateways", "nat", idleTimeoutInMinutes=4),
    ]


def _vault(ids: Ids) -> list[dict[str, Any]]:
    name = "iaasvmcontainerv2;rg-app;kept"
    vault = {
        "id": ids.vault,
        "name": "rsv-old",
        "type": "Microsoft.RecoveryServices/vaults",
        "location": "westeurope",
        "sku": {"name": "RS0", "tier": "Standard"},
        "properties": {"provisioningState": "Succeeded"},
    }
    item = {
        "id": ids.item("kept"),
        "name": f"VM;{name}",
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
        "properties": {
            "friendlyName": "kept",
            "virtualMachineId": ids.vm("kept"),
            "sourceResourceId": ids.vm("kept"),
            "protectionState": "Protected",
            "protectionStatus": "Healthy",
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "backupManagementType": "AzureIaasVM",
            "workloadType": "VM",
            "containerName": name,
            "lastRecoveryPoint": "2026-11-01T02:00:00Z",
            "policyId": f"{ids.vault}/backupPolicies/DefaultPolicy".lower(),
            "policyName": "DefaultPolicy",
        },
    }
    return [vault, item]
