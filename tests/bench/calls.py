"""
How many calls it takes to assess an estate, as the sandbox's request log has them: ours, the fewest that lists allow,
and a loop over the VMs with the Azure SDK.

`PYTHONPATH=tests python -m bench.calls` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
from azure.mgmt.recoveryservicesbackup.models import BackupStatusRequest
from bench.estate import SEED, subscriptions_of, write_sandbox
from bench.figures import Figure, report

from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.opening import open_session
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters
from runbook_lib.sandbox import Sandbox

__all__ = ["main"]

SIZES = (1_000, 10_000)
LOOPED = 200
PROFILE = {"throttle": "arm2024", "seed": SEED}
# The lists of a subscription that the issue counts as the floor, by what the sandbox's page sizes call them, and how
# often each is read: the VMs once as they are and once with their status.
FLOOR = {
    "virtualMachines": 2,
    "networkInterfaces": 1,
    "networkSecurityGroups": 1,
    "virtualNetworks": 1,
    "routeTables": 1,
    "vaults": 1,
}
# What the checks need beside them in each subscription.
ALSO = {"resourceGroups": 1, "disks": 1, "locks": 1}
OF_A_VAULT = {"backupProtectedItems": "protecteditems", "backupPolicies": "backuppolicies"}


class _Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("a-token-of-the-benchmark", int(time.time()) + 3600)


def _floors(sandbox: Sandbox) -> tuple[int, int]:
    """
    Count the calls of one pass over the lists: those that the issue names, and all that the checks need.
    """
    sizes = sandbox.profile().page_sizes
    bodies = sandbox.resources()
    by_scope: Counter[tuple[str, str]] = Counter()
    by_vault: Counter[tuple[str, str]] = Counter()
    for body in bodies:
        parts = body["id"].lower().split("/")
        by_scope[parts[2], parts[-2]] += 1
        if "vaults" in parts[:-2]:
            by_vault["/".join(parts[: parts.index("vaults") + 2]), parts[-2]] += 1
    subscriptions = {scope for scope, _ in by_scope}
    vaults = {body["id"].lower() for body in bodies if body["id"].lower().split("/")[-2] == "vaults"}

    def pages(count: int, name: str) -> int:
        return max(1, -(-count // sizes.get(name, 1000)))

    named = sum(
        times * pages(by_scope[scope, name.lower()], name) for scope in subscriptions for name, times in FLOOR.items()
    )
    named += sum(pages(by_vault[vault, kind], name) for vault in vaults for name, kind in OF_A_VAULT.items())
    also = sum(pages(by_scope[scope, name.lower()], name) for scope in subscriptions for name in ALSO)
    # The subscriptions themselves and the provider in each; of each vault its settings, and either its running jobs or,
    # of one that holds no VM, whether its replication can still be changed.
    also += pages(len(subscriptions), "subscriptions") + len(subscriptions) + 2 * len(vaults)
    return named, named + also


def _ours(path: Path) -> int:
    """
    Read the estate as a run does, and count what the sandbox was asked.
    """
    os.environ["RUNBOOK_SANDBOX"] = str(path)
    session = open_session("sandbox", Journal(path.with_suffix(".jsonl")))
    inventory = read_inventory(session, Parameters())
    if inventory.unread:
        raise ValueError(f"{inventory.unread} could not be read")
    sandbox = Sandbox(path)
    try:
        return len(sandbox.requests())
    finally:
        sandbox.close()


def _loop(path: Path) -> float:
    """
    Assess VM by VM, as scripts do, and count the calls that each VM takes.
    """
    (subscription,) = subscriptions_of(LOOPED)
    sandbox = Sandbox(path)
    options: dict[str, Any] = {"transport": sandbox.transport(), "base_url": "https://management.azure.com"}
    compute = ComputeManagementClient(_Credential(), subscription, **options)
    network = NetworkManagementClient(_Credential(), subscription, **options)
    backup = RecoveryServicesBackupClient(_Credential(), subscription, **options)
    vms = list(compute.virtual_machines.list_all())
    before = len(sandbox.requests())
    for each in vms:
        group = each.id.split("/")[4]
        vm = compute.virtual_machines.get(group, each.name, expand="instanceView")
        nic = vm.network_profile.network_interfaces[0].id.split("/")
        network.network_interfaces.get(nic[4], nic[-1])
        try:
            network.network_interfaces.begin_list_effective_network_security_groups(
                nic[4], nic[-1], polling_interval=5
            ).result()
        except HttpResponseError as error:
            # Only a VM that runs has effective rules.
            if error.status_code not in (400, 409):
                raise
        request = BackupStatusRequest(resource_type="VM", resource_id=vm.id)
        backup.backup_status.get(vm.location, request)
    calls = len(sandbox.requests()) - before
    sandbox.close()
    return calls / len(vms)


def main() -> int:
    """
    Run the benchmark and return its exit code.
    """
    figures, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        write_sandbox(Path(folder) / "loop.sqlite", LOOPED, PROFILE)
        looped = _loop(Path(folder) / "loop.sqlite")
        notes.append(
            f"throttle profile arm2024, seed {SEED}; the SDK's loop ran on {LOOPED} VMs: {looped:.2f} calls a VM"
        )
        for size in SIZES:
            path = Path(folder) / f"{size}.sqlite"
            write_sandbox(path, size, PROFILE)
            sandbox = Sandbox(path)
            named, whole = _floors(sandbox)
            sandbox.close()
            calls = _ours(path)
            what = f"{size:,} VMs in {len(subscriptions_of(size))} subscriptions"
            notes.append(
                f"{what}: {calls} calls; one pass over VMs, status, NICs, NSGs, networks, routes, vaults, items and"
                f" policies is {named}, with all else that the checks need {whole} (subscriptions, providers, groups,"
                " disks, locks, settings and running jobs of vaults)"
            )
            figures += [
                Figure(
                    what=f"P1 {what}: calls / one pass over the issue's lists", value=calls / named, most=1.25, unit=""
                ),
                Figure(what=f"P1 {what}: calls / one pass over all lists", value=calls / whole, most=1.25, unit=""),
                Figure(what=f"P1 {what}: calls / the loop's", value=calls / (looped * size), most=0.01, unit=""),
            ]
    return report("Calls to assess", figures, notes)


if __name__ == "__main__":
    sys.exit(main())
