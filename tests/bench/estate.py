"""
Estates of any size for benchmarks, as estate files: the same number of VMs and seed make the same file.

Of a hundred VMs about ten are stopped, three have no working agent, two a disk with Write Accelerator and two an image
that cannot be backed up; every eighth VM of a region with a vault is protected. Security groups, networks and route
tables are shared. A subscription holds up to 2,400 VMs in three regions, so that no vault has more than 1,000 of them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runbook_lib.sandbox import Sandbox, read_estate

__all__ = ["SEED", "subscriptions_of", "write_estate", "write_sandbox"]

SEED = 5
LOCATIONS = ("westeurope", "northeurope", "spaincentral")
# The first two of them have a vault; the third gets one by the plan.
VAULTED = LOCATIONS[:2]
MOST = 2400
PROTECTED = 8
GROUPS = 20
NETWORKS = 5
AS_OF = "2026-11-20T09:00:00Z"
LAST_BACKUP = "2026-11-19T19:12:27.9044118Z"
Json = dict[str, Any]


def subscriptions_of(vms: int) -> list[str]:
    """
    Name the subscriptions that an estate of *vms* VMs is spread over.
    """
    return [f"{number:08x}-5ca1-4e00-8000-000000000000" for number in range(1, -(-vms // MOST) + 1)]


def write_sandbox(path: Path, vms: int, profile: Json | None = None) -> None:
    """
    Make a sandbox at *path* that holds an estate of *vms* VMs.
    """
    file = path.with_suffix(".json")
    write_estate(file, vms, profile)
    sandbox = Sandbox(path)
    sandbox.load(read_estate(file))
    sandbox.close()
    file.unlink()


def write_estate(path: Path, vms: int, profile: Json | None = None) -> None:
    """
    Write an estate file of *vms* VMs.
    """
    draw = random.Random(f"{SEED}:{vms}")
    subscriptions = subscriptions_of(vms)
    with path.open("w", encoding="utf-8") as file:
        head = {"estate": 1, "name": f"bench-{vms}", "asOf": AS_OF, "profile": profile or {}}
        file.write(json.dumps(head)[:-1] + ', "resources": [')
        file.write(", ".join(json.dumps(body) for each in subscriptions for body in _shared(each)))
        views: dict[str, Json] = {}
        for number in range(vms):
            vm = _vm(number, subscriptions[number % len(subscriptions)], number // len(subscriptions), draw)
            views[vm["id"]] = _view(vm, draw)
            file.writelines(f", {json.dumps(body)}" for body in (vm, *_attached(vm, number)))
        file.write(f'], "status": {json.dumps(views)}}}')


def _shared(subscription: str) -> Iterator[Json]:
    """
    Make what the VMs of a subscription share.
    """
    scope = f"/subscriptions/{subscription}"
    yield {"id": scope, "subscriptionId": subscription, "displayName": f"Bench {subscription[:8]}", "state": "Enabled"}
    yield {
        "id": f"{scope}/providers/Microsoft.RecoveryServices",
        "namespace": "Microsoft.RecoveryServices",
        "registrationState": "Registered",
        "resourceTypes": [{"resourceType": "vaults", "locations": list(LOCATIONS), "apiVersions": ["2026-11-01"]}],
    }
    for number in range(GROUPS):
        yield {"id": _group(subscription, number), "location": LOCATIONS[number % len(LOCATIONS)]}
    for location in LOCATIONS:
        yield from _network(subscription, location)
    for location in VAULTED:
        vault = _vault_id(subscription, location)
        yield {
            "id": vault,
            "location": location,
            "sku": {"name": "Standard"},
            "properties": {
                "provisioningState": "Succeeded",
                "publicNetworkAccess": "Enabled",
                "redundancySettings": {
                    "standardTierStorageRedundancy": "GeoRedundant",
                    "crossRegionRestore": "Disabled",
                },
            },
        }


def _group(subscription: str, number: int) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/rg-app-{number:02}"


def _vault_id(subscription: str, location: str) -> str:
    group = f"/subscriptions/{subscription}/resourceGroups/rg-backup-{location}"
    return f"{group}/providers/Microsoft.RecoveryServices/vaults/rsv-{location}"


def _of_network(subscription: str, kind: str, name: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/rg-network/providers/Microsoft.Network/{kind}/{name}"


def _network(subscription: str, location: str) -> Iterator[Json]:
    """
    Make the virtual networks of a region: the last security group lets nothing out, the last route leads to a firewall.
    """
    table = _of_network(subscription, "routeTables", f"rt-{location}")
    route = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4"}
    yield {
        "id": table,
        "location": location,
        "properties": {"routes": [{"name": "to-firewall", "properties": route}]},
    }
    for number in range(NETWORKS):
        nsg = _of_network(subscription, "networkSecurityGroups", f"nsg-{location}-{number}")
        last = number == NETWORKS - 1
        rules = [_rule(f"allow-{each}", 100 + each, "Allow", "VirtualNetwork", str(8000 + each)) for each in range(20)]
        rules += [_rule("deny-internet", 4000, "Deny", "Internet", "*")] if last else []
        yield {"id": nsg, "location": location, "properties": {"securityRules": rules}}
        network = _of_network(subscription, "virtualNetworks", f"vnet-{location}-{number}")
        subnet = {
            "addressPrefix": f"10.{number}.0.0/20",
            "networkSecurityGroup": {"id": nsg},
            **({"routeTable": {"id": table}} if last else {}),
        }
        yield {
            "id": network,
            "location": location,
            "properties": {
                "addressSpace": {"addressPrefixes": [f"10.{number}.0.0/16"]},
                "subnets": [{"id": f"{network}/subnets/snet", "name": "snet", "properties": subnet}],
            },
        }


def _rule(name: str, priority: int, access: str, to: str, port: str) -> Json:
    return {
        "name": name,
        "properties": {
            "direction": "Outbound",
            "access": access,
            "priority": priority,
            "protocol": "Tcp",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": to,
            "destinationPortRange": port,
        },
    }


def _vm(number: int, subscription: str, place: int, draw: random.Random) -> Json:
    """
    Make a VM.

    Args:
        place: its number within its subscription.
    """
    group, name = _group(subscription, place % GROUPS), f"vm-{number:05}"
    windows, odd = draw.random() < 0.5, draw.random()
    publisher = "MicrosoftWindowsServer" if windows else "Canonical"
    offer, sku = ("WindowsServer", "2022-datacenter-g2") if windows else ("ubuntu-24_04-lts", "server")
    if odd < 0.02:
        publisher, offer, sku = "MicrosoftWindowsServer", "WindowsServer", "2003-R2"
    disk = f"{group}/providers/Microsoft.Compute/disks/{name}"
    data = {
        "lun": 0,
        "name": f"{name}-data",
        "createOption": "Attach",
        "caching": "ReadOnly",
        "writeAcceleratorEnabled": odd > 0.98,
        "managedDisk": {"storageAccountType": "Premium_LRS", "id": f"{disk}-data"},
        "diskSizeGB": 512,
    }
    system = "windowsConfiguration" if windows else "linuxConfiguration"
    return {
        "id": f"{group}/providers/Microsoft.Compute/virtualMachines/{name}",
        "location": LOCATIONS[place % len(LOCATIONS)],
        "tags": {"wave": str(number % 10), "owner": "Operations", "cost-center": str(4000 + number % 50)},
        "properties": {
            "vmId": f"{number:08x}-0000-4000-8000-000000000000",
            "provisioningState": "Succeeded",
            "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
            "storageProfile": {
                "imageReference": {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"},
                "osDisk": {
                    "osType": "Windows" if windows else "Linux",
                    "name": f"{name}-os",
                    "createOption": "FromImage",
                    "caching": "ReadWrite",
                    "managedDisk": {"storageAccountType": "Premium_LRS", "id": f"{disk}-os"},
                    "diskSizeGB": 128,
                },
                "dataDisks": [data] if place % 2 else [],
            },
            "osProfile": {
                "computerName": name,
                "adminUsername": "operator",
                system: {"provisionVMAgent": True},
                "allowExtensionOperations": True,
            },
            "networkProfile": {
                "networkInterfaces": [
                    {
                        "id": f"{group}/providers/Microsoft.Network/networkInterfaces/{name}-nic",
                        "properties": {"primary": True},
                    }
                ]
            },
            "timeCreated": "2026-04-14T08:27:19.9921635+00:00",
        },
    }


def _attached(vm: Json, number: int) -> Iterator[Json]:
    """
    Make what belongs to one VM: its network interface, its disks and the item that protects it.
    """
    subscription, location = vm["id"].split("/")[2], vm["location"]
    storage = vm["properties"]["storageProfile"]
    network = _of_network(subscription, "virtualNetworks", f"vnet-{location}-{number % NETWORKS}")
    yield {
        "id": vm["properties"]["networkProfile"]["networkInterfaces"][0]["id"],
        "location": location,
        "properties": {
            "provisioningState": "Succeeded",
            "primary": True,
            "virtualMachine": {"id": vm["id"]},
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "properties": {
                        "privateIPAddress": f"10.{number % NETWORKS}.{number // 250 % 16}.{4 + number % 250}",
                        "privateIPAllocationMethod": "Dynamic",
                        "subnet": {"id": f"{network}/subnets/snet"},
                        "primary": True,
                    },
                }
            ],
        },
    }
    for disk in (storage["osDisk"], *storage["dataDisks"]):
        yield {
            "id": disk["managedDisk"]["id"],
            "location": location,
            "managedBy": vm["id"],
            "sku": {"name": disk["managedDisk"]["storageAccountType"], "tier": "Premium"},
            "properties": {"diskSizeGB": disk["diskSizeGB"], "diskState": "Attached"},
        }
    if location in VAULTED and number % PROTECTED == 0:
        yield _item(vm, _vault_id(subscription, location))


def _item(vm: Json, vault: str) -> Json:
    name = f"iaasvmcontainerv2;{vm['id'].split('/')[4]};{vm['id'].rsplit('/', 1)[-1]}"
    return {
        "id": f"{vault}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}/protectedItems/VM;{name}",
        "properties": {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "backupManagementType": "AzureIaasVM",
            "workloadType": "VM",
            "friendlyName": vm["id"].rsplit("/", 1)[-1],
            "virtualMachineId": vm["id"],
            "sourceResourceId": vm["id"],
            "protectionStatus": "Healthy",
            "protectionState": "Protected",
            "healthStatus": "Passed",
            "lastBackupStatus": "Completed",
            "lastBackupTime": LAST_BACKUP,
            "policyId": f"{vault}/backupPolicies/DefaultPolicy",
            "policyName": "DefaultPolicy",
        },
    }


def _view(vm: Json, draw: random.Random) -> Json:
    """
    Make the instance view of a VM.
    """
    windows = "windowsConfiguration" in vm["properties"]["osProfile"]
    drawn = draw.random()
    power = "deallocated" if drawn < 0.1 else "running"
    statuses = [
        {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
        {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"},
    ]
    if power == "deallocated":
        return {"statuses": statuses}
    ready = drawn > 0.13
    status = {
        "code": f"ProvisioningState/{'succeeded' if ready else 'Unavailable'}",
        "level": "Info" if ready else "Warning",
        "displayStatus": "Ready" if ready else "Not Ready",
        "message": "Guest Agent is running" if ready else "VM status blob is found but not yet populated.",
        "time": AS_OF,
    }
    version = ("2.7.41491.1183" if windows else "2.11.1.12") if ready else "Unknown"
    return {
        "computerName": vm["properties"]["osProfile"]["computerName"],
        "osName": "Windows Server 2022 Datacenter" if windows else "ubuntu",
        "osVersion": "10.0.20348.4294" if windows else "24.04",
        "vmAgent": {"vmAgentVersion": version, "statuses": [status], "extensionHandlers": []},
        "statuses": statuses,
    }
