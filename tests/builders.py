"""
Small estates made of records, for the tests of the pure core.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import settings

from runbook_lib import render
from runbook_lib.parameters import Parameters
from runbook_lib.plan import build
from runbook_lib.policy import built_in, described
from runbook_lib.records import (
    Agent,
    BackupJob,
    Change,
    Disk,
    Image,
    Inventory,
    IpConfiguration,
    KeyVault,
    LoadBalancer,
    Location,
    Lock,
    ManagedDisk,
    NatGateway,
    NetworkInterface,
    Plan,
    Policy,
    ProtectedItem,
    Provider,
    Resource,
    ResourceGroup,
    RouteTable,
    SecurityGroup,
    SecurityRule,
    ServiceTag,
    ServiceTagsList,
    Subnet,
    Subscription,
    Target,
    Unread,
    Vault,
    VirtualMachine,
    key,
)

# A shared machine is slow at times, and a test that failed must fail again.
settings.register_profile("runbook", deadline=None, derandomize=True)
settings.load_profile("runbook")

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = date(2026, 11, 22)
ONE = "11111111-1111-1111-1111-111111111111"
TWO = "22222222-2222-2222-2222-222222222222"
HOME = "westeurope"
_KINDS = {
    "subscriptions": Subscription,
    "locations": Location,
    "providers": Provider,
    "groups": ResourceGroup,
    "vms": VirtualMachine,
    "disks": ManagedDisk,
    "nics": NetworkInterface,
    "subnets": Subnet,
    "nsgs": SecurityGroup,
    "route_tables": RouteTable,
    "load_balancers": LoadBalancer,
    "nat_gateways": NatGateway,
    "key_vaults": KeyVault,
    "vaults": Vault,
    "policies": Policy,
    "items": ProtectedItem,
    "jobs": BackupJob,
    "locks": Lock,
    "service_tags": ServiceTagsList,
}


def arm_id(kind: str, name: str, group: str = "rg-app", subscription: str = ONE) -> str:
    """
    Write the id of a resource of *kind*, such as `Microsoft.Compute/virtualMachines`.
    """
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}"


def inventory(*records: Resource, **fields: Any) -> Inventory:
    """
    Make an inventory of records of any kinds.
    """
    made = Inventory(read_at=NOW, target=Target(kind="sandbox", name="tests"), **fields)
    return with_records(made, *records)


def kind_of(record: Resource) -> str:
    """
    Name the mapping of an inventory that holds records of this kind.
    """
    return next(name for name, one in _KINDS.items() if isinstance(record, one))


def with_records(world: Inventory, *records: Resource) -> Inventory:
    """
    Put records into an inventory, in place of those with their ids.
    """
    for record in records:
        kind = kind_of(record)
        changed: dict[str, Any] = {kind: {**getattr(world, kind), key(record.id): record}}
        world = replace(world, **changed)
    return world


def without(world: Inventory, arm_id: str) -> Inventory:
    """
    Take a resource out of an inventory.
    """
    for kind in _KINDS:
        kept = {each: record for each, record in getattr(world, kind).items() if each != key(arm_id)}
        changed: dict[str, Any] = {kind: kept}
        world = replace(world, **changed)
    return world


def subscription(guid: str = ONE, name: str = "Production") -> Subscription:
    """
    A subscription that is enabled.
    """
    return Subscription(id=f"/subscriptions/{guid}", name=name, state="Enabled")


def region(name: str = HOME, pair: str | None = None, guid: str = ONE) -> Location:
    """
    A region as a subscription sees it.
    """
    return Location(id=f"/subscriptions/{guid}/locations/{name}", name=name, pair=pair)


def provider(
    guid: str = ONE, state: str = "Registered", locations: tuple[str, ...] = (HOME, "northeurope")
) -> Provider:
    """
    The provider of vaults in a subscription.
    """
    return Provider(
        id=f"/subscriptions/{guid}/providers/Microsoft.RecoveryServices",
        name="Microsoft.RecoveryServices",
        registration_state=state,
        vault_locations=locations,
    )


def vm(
    name: str = "web",
    group: str = "rg-app",
    guid: str = ONE,
    *,
    data_disks: int | tuple[Disk, ...] = 0,
    unmanaged_disks: bool = False,
    **fields: Any,
) -> VirtualMachine:
    """
    A running Windows VM that nothing keeps from being protected.

    Args:
        data_disks: the disks, or how many plain ones.
        unmanaged_disks: whether all its disks live in a storage account.
    """
    plain = tuple(
        Disk(name=f"{name}-data{number}", storage="" if unmanaged_disks else "Premium_LRS", unmanaged=unmanaged_disks)
        for number in range(data_disks if isinstance(data_disks, int) else 0)
    )
    ready: dict[str, Any] = {
        "location": HOME,
        "os_disk": Disk(name=f"{name}-os", unmanaged=unmanaged_disks),
        "data_disks": plain if isinstance(data_disks, int) else data_disks,
        "image": Image(publisher="MicrosoftWindowsServer", offer="WindowsServer", sku="2022-datacenter-g2"),
        "os_type": "Windows",
        "instance_view": True,
        "power_state": "running",
        "agent": Agent(status="Ready", version="2.7.41491.1095"),
    }
    own_id = arm_id("Microsoft.Compute/virtualMachines", name, group, guid)
    return VirtualMachine(id=own_id, name=name, **ready | fields)


def group(name: str = f"rg-backup-{HOME}", guid: str = ONE, location: str = HOME) -> ResourceGroup:
    """
    A resource group.
    """
    return ResourceGroup(id=f"/subscriptions/{guid}/resourceGroups/{name}", name=name, location=location)


def vault(name: str = f"rsv-{HOME}", rg: str = f"rg-backup-{HOME}", guid: str = ONE, **fields: Any) -> Vault:
    """
    An empty vault where the default parameters look for one.
    """
    usual: dict[str, Any] = {"location": HOME, "redundancy": "GeoRedundant", "redundancy_locked": False}
    return Vault(id=arm_id("Microsoft.RecoveryServices/vaults", name, rg, guid), name=name, **usual | fields)


def policies_of(holder: Vault) -> tuple[Policy, ...]:
    """
    The policies that a new vault holds.
    """
    return tuple(built_in(name, holder.id) for name in ("DefaultPolicy", "EnhancedPolicy"))


def policy(holder: Vault, **asked: Any) -> Policy:
    """
    A policy that parameters describe.
    """
    return described(Parameters(**asked), holder.id, DAY)


def item(machine: VirtualMachine, holder: Vault, **fields: Any) -> ProtectedItem:
    """
    A VM's healthy entry in a vault, backed up three hours ago.
    """
    name = f"iaasvmcontainerv2;{machine.resource_group};{machine.name}"
    usual: dict[str, Any] = {
        "source_id": machine.id,
        "policy_id": f"{holder.id}/backupPolicies/DefaultPolicy",
        "protection": "on",
        "protection_state": "Protected",
        "protection_status": "Healthy",
        "health_status": "Passed",
        "last_backup_status": "Completed",
        "last_backup_time": NOW - timedelta(hours=3),
    }
    return ProtectedItem(
        id=f"{holder.id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}/protectedItems/VM;{name}",
        name=f"VM;{name}",
        vault_id=holder.id,
        **usual | fields,
    )


def rule(name: str, priority: int, access: str = "Deny", **fields: Any) -> SecurityRule:
    """
    An outbound rule for everything, unless told otherwise.
    """
    usual: dict[str, Any] = {
        "direction": "Outbound",
        "protocol": "*",
        "sources": ("*",),
        "destinations": ("*",),
        "ports": ("*",),
    }
    return SecurityRule(name=name, priority=priority, access=access, **usual | fields)


def nsg(name: str = "nsg-app", *rules: SecurityRule) -> SecurityGroup:
    """
    A network security group.
    """
    own_id = arm_id("Microsoft.Network/networkSecurityGroups", name)
    return SecurityGroup(id=own_id, name=name, location=HOME, rules=rules)


def nic(name: str = "nic-web", address: str = "10.0.0.4", **fields: Any) -> NetworkInterface:
    """
    A network interface with one address.
    """
    subnet_id = fields.pop("subnet_id", "")
    own_id = arm_id("Microsoft.Network/networkInterfaces", name)
    addresses = (IpConfiguration(private_ip=address, subnet_id=subnet_id),)
    usual: dict[str, Any] = {"location": HOME, "ip_configurations": addresses}
    return NetworkInterface(id=own_id, name=name, **usual | fields)


def managed_disk(name: str, storage: str = "Premium_LRS", shares: int = 1, rg: str = "rg-app") -> ManagedDisk:
    """
    A managed disk.
    """
    own_id = arm_id("Microsoft.Compute/disks", name, rg)
    return ManagedDisk(id=own_id, name=name, location=HOME, storage=storage, max_shares=shares)


def lock(scope: str, level: str = "CanNotDelete", name: str = "keep") -> Lock:
    """
    A lock on a subscription, a group or a resource.
    """
    return Lock(id=f"{scope}/providers/Microsoft.Authorization/locks/{name}", name=name, scope=scope, level=level)


def job(machine: VirtualMachine, holder: Vault, operation: str = "Backup", name: str = "job-1") -> BackupJob:
    """
    A job that runs for a VM.
    """
    container = f"iaasvmcontainerv2;{machine.resource_group};{machine.name}"
    return BackupJob(
        id=f"{holder.id}/backupJobs/{name}", name=name, vault_id=holder.id, container=container, operation=operation
    )


def subnet(name: str = "default", **fields: Any) -> Subnet:
    """
    A subnet.
    """
    own_id = arm_id("Microsoft.Network/virtualNetworks", "vnet") + f"/subnets/{name}"
    return Subnet(id=own_id, name=name, **fields)


def networked(*rules: SecurityRule) -> tuple[VirtualMachine, NetworkInterface, SecurityGroup]:
    """
    A VM, its NIC, and the NSG on that NIC.
    """
    held = nsg("nsg-app", *rules)
    own = nic(nsg_id=held.id)
    return vm(nic_ids=(own.id,)), own, held


def estate(*records: Resource) -> Inventory:
    """
    One ready VM, the provider and nothing else, unless records add to it or take their places.
    """
    return inventory(subscription(), provider(), vm(), *records)


def planned(world: Inventory, **asked: Any) -> Plan:
    """
    Plan for parameters by name.
    """
    return build(world, Parameters(**asked), DAY)


def kinds(plan: Plan) -> list[str]:
    """
    The kinds of a plan's changes, in order.
    """
    return [change.kind for change in plan.changes]


def change(plan: Plan, kind: str) -> Change:
    """
    The one change of *kind*.
    """
    (found,) = (each for each in plan.changes if each.kind == kind)
    return found


HELD = vault()
WEB = vm()
EVERYTHING: dict[str, Any] = {
    "redundancy": "LocallyRedundant",
    "policy_name": "Nightly",
    "network_option": "service_tags",
}
RANGES: dict[str, Any] = {"network_option": "ip_ranges"}
PROXY: dict[str, Any] = {"network_option": "http_proxy", "proxy_host": "10.0.0.9"}


def everything() -> Inventory:
    """
    An estate where every kind of change is needed.
    """
    return inventory(subscription(), provider(state="NotRegistered"), *networked(rule("deny-all", 200)))


def ready(*more: Any) -> Inventory:
    """
    An estate whose vault and group are there.
    """
    return estate(group(), HELD, *policies_of(HELD), *more)


STATES: dict[str, Any] = {"undelete": True, "change_policy": True}


def states() -> Inventory:
    """
    An estate with a VM in each state of protection; two recovery points are older than the policies keep them.
    """
    held = vault()
    old = policy(held, policy_name="Long", daily_retention_days=90)
    stopped = {"protection": "stopped", "protection_state": "ProtectionStopped", "policy_id": ""}
    points = tuple(NOW - timedelta(days=days) for days in (60, 31, 30, 1))
    machines = {name: vm(name) for name in ("a-new", "b-safe", "c-stopped", "d-deleted", "e-other", "f-failed")}
    return inventory(
        subscription(),
        provider(),
        group(),
        held,
        *policies_of(held),
        old,
        *machines.values(),
        item(machines["b-safe"], held),
        item(machines["c-stopped"], held, **stopped),
        item(machines["d-deleted"], held, soft_deleted=True, **stopped),
        item(machines["e-other"], held, policy_id=old.id, points=points),
        item(machines["f-failed"], held, protection="protectionerror", protection_state="ProtectionError"),
    )


def gap(what: str, scope: str = f"/subscriptions/{ONE}") -> Unread:
    """
    Something that nobody may read.
    """
    return Unread(scope=scope, what=what, status=403, code="AuthorizationFailed", message="no")


def noted(plan: Plan) -> list[str]:
    """
    The ids of a plan's notes; each must be a sentence.
    """
    assert len(plan.notes) == len([line for line in render.notes(plan, "en") if line])
    return [note["id"] for note in plan.notes]


def proxied(*rules: Any) -> Inventory:
    """
    An estate with a proxy VM behind an NSG, in the virtual network of the VM that is to use it.
    """
    own, net = nsg("nsg-proxy", *rules), subnet()
    proxy = nic("nic-proxy", "10.0.0.9", nsg_id=own.id, subnet_id=net.id)
    return ready(own, proxy, *client())


def client() -> tuple[VirtualMachine, NetworkInterface, Subnet]:
    """
    The VM that is to use a proxy, with its NIC in a subnet.
    """
    net = subnet()
    own = nic(subnet_id=net.id)
    return vm(nic_ids=(own.id,)), own, net


def listed(number: str = "160", **prefixes: tuple[str, ...]) -> ServiceTagsList:
    """
    A service tags list; prefixes by tag, `Storage_WestEurope` for that of a region.
    """
    usual = {"AzureBackup": ("20.0.0.0/24", "20.0.1.0/24"), "Storage": ("30.0.0.0/8",)}
    usual |= {"Storage_WestEurope": ("30.1.0.0/16",), "AzureActiveDirectory": ("40.0.0.0/24",)}
    return ServiceTagsList(
        id=f"/subscriptions/{ONE}/providers/Microsoft.Network/serviceTags/Public",
        name="Public",
        cloud="Public",
        change_number=number,
        tags=tuple(
            ServiceTag(name=name.replace("_", "."), change_number="9", prefixes=held)
            for name, held in (usual | prefixes).items()
            if held
        ),
    )


def ours(name: str, prefixes: tuple[str, ...], priority: int = 250, **fields: Any) -> SecurityRule:
    """
    A rule of ranges as an earlier plan made it.
    """
    usual: dict[str, Any] = {"protocol": "Tcp", "sources": ("VirtualNetwork",), "ports": ("443",)}
    return rule(f"allow-backup-ranges-{name}", priority, "Allow", destinations=prefixes, **usual | fields)


def ranged() -> Inventory:
    """
    An estate with a service tags list, of whose services an NSG denies two and holds old addresses of one.
    """
    return estate(*networked(ours("AzureBackup", ("20.0.0.0/24",), 150), rule("deny-all", 200)), listed())
