"""
The estate of the fault matrix, cut out of the example estate, and what the job is asked to do with it.

Four VMs in two subscriptions and regions: one is protected, one is the proxy behind a closed NSG, and two are in a
subscription that never saw Azure Backup.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from runbook_lib.sandbox import Estate, read_estate
from runbook_lib.sandbox.bodies import arm_type

__all__ = [
    "ASKED",
    "GROUP",
    "MADE",
    "NEW_VAULT",
    "NSG",
    "OLD_VAULT",
    "ONE",
    "POLICY",
    "TWO",
    "VM",
    "selected",
    "small",
]

ONE = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
TWO = "b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3"
_VAULTS = "providers/Microsoft.RecoveryServices/vaults"
OLD_VAULT = f"/subscriptions/{ONE}/resourceGroups/rg-backup-westeurope/{_VAULTS}/rsv-westeurope"
GROUP = f"/subscriptions/{TWO}/resourceGroups/rg-backup-northeurope"
NEW_VAULT = f"{GROUP}/{_VAULTS}/rsv-northeurope"
POLICY = f"{NEW_VAULT}/backupPolicies/daily-19"
_MACHINES = "providers/Microsoft.Compute/virtualMachines"
_NEW_VMS = tuple(
    f"/subscriptions/{TWO}/resourceGroups/rg-dev-apps/{_MACHINES}/{name}" for name in ("dev-web01", "dev-build01")
)
VM = _NEW_VMS[0]
NSG = f"/subscriptions/{ONE}/resourceGroups/rg-edge-prod/providers/Microsoft.Network/networkSecurityGroups/NSG-lockdown"
_OLD_VMS = tuple(
    f"/subscriptions/{ONE}/resourceGroups/{group}/{_MACHINES}/{name}"
    for group, name in (("rg-edge-prod", "vm-proxy"), ("rg-shop-prod", "web01"))
)
_BALANCER = f"/subscriptions/{ONE}/resourcegroups/rg-platform-prod/providers/microsoft.network/loadbalancers/lbi-queue"
_OWN = {
    "redundancy": "LocallyRedundant",
    "policy_name": "daily-19",
    "time_zone": "Romance Standard Time",
    "service_precheck": "sample",
}
# What the job is asked for, by the state that the estate is in when a cell begins.
ASKED: dict[str, dict[str, Any]] = {
    # Nothing is there: provider, group, vault, replication, policy and protection of one subscription.
    "new": {**_OWN, "subscription_ids": [TWO]},
    # Both vaults and their policies are there: protection in both subscriptions.
    "ready": _OWN,
    # All is protected: a rule for the proxy.
    "closed": {**_OWN, "network_option": "http_proxy", "proxy_host": "10.0.0.5"},
}
# The steps of the guide that are done before a cell begins.
MADE = {"new": [], "ready": ["01", "02", "03"], "closed": ["01", "02", "03", "04"]}


def selected(stage: str) -> set[str]:
    """
    Return the keys of the VMs that the job of a stage selects.
    """
    return {vm.lower() for vm in (_NEW_VMS if stage == "new" else (*_NEW_VMS, *_OLD_VMS))}


def small() -> Estate:
    """
    Cut the estate out of the example.
    """
    whole = read_estate("contoso")
    chosen = selected("ready")
    bodies = {body["id"].lower(): _lent(body, whole) for body in whole.resources}
    vms = [bodies[each] for each in sorted(chosen)]
    said = json.dumps(vms, ensure_ascii=False).lower()
    groups = {_group(body["id"]) for body in vms}

    def belongs(body: dict[str, Any]) -> bool:
        key, kind = body["id"].lower(), arm_type(body["id"]).lower()
        if "/resourcegroups/" not in key or key in chosen:
            return True
        if kind in ("microsoft.compute/disks", "microsoft.network/networkinterfaces"):
            return f'"{key}"' in said
        if kind.endswith("/protecteditems"):
            return key.startswith(OLD_VAULT.lower()) and "rg-shop-prod;web01" in key
        if kind.startswith("microsoft.recoveryservices/"):
            return key.startswith(OLD_VAULT.lower()) and not kind.endswith("/backupjobs")
        if kind == "microsoft.resources/resourcegroups":
            return key in groups or OLD_VAULT.lower().startswith(f"{key}/")
        return key == _BALANCER or (kind.startswith("microsoft.network/") and _group(key) in groups)

    return replace(
        whole,
        name="small",
        resources=tuple(body for body in bodies.values() if belongs(body)),
        status={vm: view for vm, view in whole.status.items() if vm in chosen},
    )


def _lent(body: dict[str, Any], whole: Estate) -> dict[str, Any]:
    """
    Give web01 the data disk of another VM, and a place behind its load balancer: what refers to such is read.
    """
    name = body["id"].lower().rsplit("/", 1)[-1]
    if name == "web01":
        other = next(each for each in whole.resources if each["id"].lower().endswith("/virtualmachines/sql01"))
        disks = other["properties"]["storageProfile"]["dataDisks"][:1]
        profile = {**body["properties"]["storageProfile"], "dataDisks": disks}
        return {**body, "properties": {**body["properties"], "storageProfile": profile}}
    if name == "web01-nic":
        first, *more = body["properties"]["ipConfigurations"]
        pool = {"id": f"{_BALANCER}/backendAddressPools/queue"}
        first = {**first, "properties": {**first["properties"], "loadBalancerBackendAddressPools": [pool]}}
        return {**body, "properties": {**body["properties"], "ipConfigurations": [first, *more]}}
    return body


def _group(arm_id: str) -> str:
    return "/".join(arm_id.lower().split("/")[:5])
