"""
What the sandbox costs: a call in process against the same call to a transport that answers without looking, and an
estate of 50,000 VMs.

`PYTHONPATH=tests python -m bench.sandbox` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpTransport
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.resource.resources import ResourceManagementClient
from bench.figures import Figure, report

from runbook_lib.sandbox import Sandbox, read_estate
from runbook_lib.sandbox.transport import SandboxTransport

__all__ = ["main"]

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
VMS = 50_000
CALLS = 300
_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"


class _Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("a-token-of-the-benchmark", int(time.time()) + 3600)


class _Constant:
    """
    A WSGI application that gives the answer it was made with, whatever is asked.
    """

    def __init__(self, body: Any) -> None:
        self._content = json.dumps(body).encode()

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(self._content)))])
        return [self._content]


def _timed(call: Callable[[], Any]) -> float:
    for _ in range(CALLS // 10):
        call()
    taken = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _calls(transport: HttpTransport[Any, Any]) -> dict[str, Callable[[], Any]]:
    options: dict[str, Any] = {"transport": transport, "base_url": "https://management.azure.com"}
    compute = ComputeManagementClient(_Credential(), SUBSCRIPTION, **options)
    vaults = RecoveryServicesClient(_Credential(), SUBSCRIPTION, **options)
    groups = ResourceManagementClient(_Credential(), SUBSCRIPTION, **options).resource_groups
    return {
        "GET vault": lambda: vaults.vaults.get("rg", "rsv"),
        "GET VM with instance view": lambda: compute.virtual_machines.get("rg", "vm-00000", expand="instanceView"),
        "PUT resource group": lambda: groups.create_or_update("rg-new", {"location": "westeurope"}),  # type: ignore[arg-type]
    }


def call_figures(folder: Path) -> list[Figure]:
    """
    Measure calls: in the sandbox, and over a transport that gives the sandbox's answer without looking.
    """
    sandbox = Sandbox(folder / "calls.sqlite")
    file = folder / "small.json"
    write_estate(file, 10)
    sandbox.load(read_estate(file))
    figures = []
    for name, call in _calls(sandbox.transport()).items():
        body = call().as_dict()
        constant = _timed(_calls(SandboxTransport(_Constant(body), sandbox.wait))[name])
        ours = _timed(call)
        figures.append(Figure(what=f"{name}, median of {CALLS}", value=ours * 1000, most=2, unit=" ms"))
        figures.append(Figure(what=f"{name} / constant answer", value=ours / constant, most=3, unit="x"))
    sandbox.close()
    return figures


def write_estate(path: Path, vms: int) -> None:
    """
    Write an estate file of *vms* VMs, each with an interface and an instance view, and one vault.
    """
    view = {
        "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}],
        "vmAgent": {"vmAgentVersion": "2.7.41491.1095", "statuses": [{"displayStatus": "Ready"}]},
    }
    with path.open("w", encoding="utf-8") as file:
        head = {"estate": 1, "name": "bench", "asOf": "2026-11-01T12:00:00Z", "profile": {}}
        file.write(json.dumps(head)[:-1] + ', "resources": [')
        bodies = [
            {"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION, "displayName": "Bench"},
            {
                "id": f"{_GROUP}/providers/Microsoft.RecoveryServices/vaults/rsv",
                "location": "westeurope",
                "sku": {"name": "RS0", "tier": "Standard"},
                "properties": {"provisioningState": "Succeeded"},
            },
        ]
        file.write(", ".join(map(json.dumps, bodies)))
        for number in range(vms):
            file.write(", " + json.dumps(_vm(number)) + ", " + json.dumps(_nic(number)))
        file.write('], "status": {')
        file.write(", ".join(f"{json.dumps(_vm_id(number))}: {json.dumps(view)}" for number in range(vms)))
        file.write("}}")


def _vm_id(number: int) -> str:
    return f"{_GROUP}/providers/Microsoft.Compute/virtualMachines/vm-{number:05}"


def _nic_id(number: int) -> str:
    return f"{_GROUP}/providers/Microsoft.Network/networkInterfaces/nic-{number:05}"


def _vm(number: int) -> dict[str, Any]:
    disk = {"osType": "Linux", "managedDisk": {"storageAccountType": "Premium_LRS"}}
    return {
        "id": _vm_id(number),
        "location": "westeurope",
        "tags": {"wave": str(number % 10)},
        "properties": {
            "vmId": f"{number:032x}",
            "provisioningState": "Succeeded",
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": disk, "dataDisks": [{"lun": 0, "createOption": "Attach"}]},
            "networkProfile": {"networkInterfaces": [{"id": _nic_id(number)}]},
        },
    }


def _nic(number: int) -> dict[str, Any]:
    return {
        "id": _nic_id(number),
        "location": "westeurope",
        "properties": {"virtualMachine": {"id": _vm_id(number)}, "ipConfigurations": []},
    }


def estate_figures(folder: Path) -> list[Figure]:
    """
    Measure an estate of 50,000 VMs: to load it, and to list it in another process.
    """
    file, state = folder / "large.json", folder / "large.sqlite"
    write_estate(file, VMS)
    start = time.perf_counter()
    sandbox = Sandbox(state)
    sandbox.load(read_estate(file))
    loading = time.perf_counter() - start
    sandbox.close()
    listed = json.loads(
        subprocess.run(
            [sys.executable, "-m", "bench.sandbox", "--list", str(state)], check=True, capture_output=True, text=True
        ).stdout
    )
    size = file.stat().st_size / (1 << 20)
    if listed["vms"] != VMS:
        raise ValueError(f"the list has {listed['vms']} of {VMS} VMs")
    return [
        Figure(what=f"an estate of {VMS:,} VMs ({size:.0f} MiB) loads", value=loading, most=30, unit=" s"),
        Figure(what="memory that listing it adds / its file", value=listed["added"] / size, most=0.25, unit="x"),
        Figure(what=f"it lists in {listed['pages']} statusOnly pages", value=listed["seconds"], most=60, unit=" s"),
    ]


def _list(state: Path) -> int:
    sandbox = Sandbox(state)
    client = ComputeManagementClient(
        _Credential(), SUBSCRIPTION, transport=sandbox.transport(), base_url="https://management.azure.com"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    vms = pages = 0
    for page in client.virtual_machines.list_all(status_only="true").by_page():
        pages += 1
        vms += sum(1 for _ in page)
    seconds = time.perf_counter() - start
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sys.stdout.write(json.dumps({"vms": vms, "pages": pages, "seconds": seconds, "added": added}))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """
    Run the benchmark and return its exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    listing = parser.parse_args(arguments).list
    if listing is not None:
        return _list(listing)
    with tempfile.TemporaryDirectory() as folder:
        return report("The sandbox's cost", [*call_figures(Path(folder)), *estate_figures(Path(folder))])


if __name__ == "__main__":
    sys.exit(main())
