"""
Azure Resource Manager's things, as far as the runbook looks at them. Imports the standard library only.

A field marked `VOLATILE` changes by itself (power, health, last backup): it is judged by checks, but it is no drift.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = [
    "VOLATILE",
    "Agent",
    "Extension",
    "Inventory",
    "IpConfiguration",
    "NetworkInterface",
    "Policy",
    "ProtectedItem",
    "Provider",
    "PublicIp",
    "Resource",
    "ResourceGroup",
    "Route",
    "RouteTable",
    "SecurityGroup",
    "SecurityRule",
    "Subnet",
    "Subscription",
    "Target",
    "Unread",
    "Vault",
    "VirtualMachine",
    "id_part",
    "key",
    "resource_group_of",
    "subscription_of",
]

VOLATILE = {"volatile": True}


def key(arm_id: str) -> str:
    """
    Normalise *arm_id* for comparison: ARM ids are case-insensitive and may carry a trailing slash.
    """
    return arm_id.lower().rstrip("/")


def id_part(arm_id: str, segment: str) -> str:
    """
    Return what follows *segment* in *arm_id*, in the id's own casing; empty when it is not there.
    """
    parts = arm_id.split("/")
    for name, value in itertools.pairwise(parts):
        if name.lower() == segment.lower():
            return value
    return ""


def subscription_of(arm_id: str) -> str:
    """
    Return the subscription's GUID in lower case.
    """
    return id_part(arm_id, "subscriptions").lower()


def resource_group_of(arm_id: str) -> str:
    """
    Return the resource group's name as the id has it.
    """
    return id_part(arm_id, "resourceGroups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Where the run reads and writes.

    Attributes:
        kind: `sandbox` or `azure`.
        name: the estate, or the cloud.
        tenant: tenant id, if it is known.
        caller: who the token says is calling.
    """

    kind: str
    name: str
    tenant: str = ""
    caller: str = ""

    @property
    def mark(self) -> str:
        """
        The mark that stands on everything that came from this target.
        """
        if self.kind == "sandbox":
            return "SANDBOX (simulated)"
        return f"AZURE {self.name}, tenant {self.tenant or 'unknown'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """
    What every ARM resource has. `id` is kept as it was read.
    """

    id: str
    name: str

    @property
    def subscription(self) -> str:
        """
        GUID of the subscription, lower case.
        """
        return subscription_of(self.id)

    @property
    def resource_group(self) -> str:
        """
        Name of the resource group, in the id's casing.
        """
        return resource_group_of(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Resource):
    """
    A subscription that the caller can see; `state` is Enabled, Warned, PastDue, Disabled or Deleted.
    """

    state: str
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Resource):
    """
    A resource provider in a subscription.

    Attributes:
        registration_state: NotRegistered, Registering, Registered or Unregistering.
        vault_locations: regions (normalised names) that offer vaults; only for Microsoft.RecoveryServices.
    """

    registration_state: str
    vault_locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGroup(Resource):
    """
    A resource group.
    """

    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """
    The VM agent as the instance view shows it.

    Attributes:
        status: `Ready`, `Not Ready` or whatever the service says.
        version: as reported: not always four numbers, `Unknown` among the values.
    """

    status: str
    version: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """
    A VM extension that the instance view reports.
    """

    name: str
    type: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine(Resource):
    """
    An ARM virtual machine.

    Attributes:
        location: normalised region name.
        os_type: Windows, Linux, or empty where the service does not say.
        data_disks: number of data disks.
        unmanaged_disks: whether any disk lives in a storage account.
        instance_view: whether the run-time status could be read; if not, the fields after it say nothing.
        power_state: running, deallocated, … or empty where the service does not say.
        agent: None when the instance view has no agent.
    """

    location: str
    size: str = ""
    os_type: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    data_disks: int = 0
    unmanaged_disks: bool = False
    nic_ids: tuple[str, ...] = ()
    instance_view: bool = field(default=False, metadata=VOLATILE)
    power_state: str = field(default="", metadata=VOLATILE)
    agent: Agent | None = field(default=None, metadata=VOLATILE)
    extensions: tuple[Extension, ...] = field(default=(), metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpConfiguration:
    """
    One IP configuration of a network interface.
    """

    subnet_id: str = ""
    private_ip: str = ""
    public_ip_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface(Resource):
    """
    A network interface (NIC).
    """

    location: str
    vm_id: str = ""
    nsg_id: str = ""
    primary: bool = False
    ip_configurations: tuple[IpConfiguration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Resource):
    """
    A subnet of a virtual network.
    """

    nsg_id: str = ""
    route_table_id: str = ""
    nat_gateway_id: str = ""
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """
    A security rule, its single and plural forms merged into lists.

    Attributes:
        sources: prefixes, tags or `*`; application security groups are listed by id.
        destinations: likewise.
        ports: destination ports and ranges as written.
    """

    name: str
    direction: str
    access: str
    priority: int
    protocol: str
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Resource):
    """
    A network security group (NSG); the three default rules of each direction are not listed.
    """

    location: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    A user-defined route.
    """

    name: str
    prefix: str
    next_hop_type: str
    next_hop_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable(Resource):
    """
    A route table.
    """

    location: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIp(Resource):
    """
    A public IP address; a dynamic one has no address until its VM runs.
    """

    location: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault(Resource):
    """
    A Recovery Services vault.

    Attributes:
        redundancy: GeoRedundant, LocallyRedundant or ZoneRedundant; empty when the service does not say.
        redundancy_locked: None when it could not be read.
        items_read: whether its protected items could be listed: without that nobody may say "not protected".
        policies_read: whether its policies could be listed.
    """

    location: str
    redundancy: str = ""
    cross_region_restore: bool = False
    redundancy_locked: bool | None = field(default=None, metadata=VOLATILE)
    soft_delete: str = field(default="", metadata=VOLATILE)
    immutability: str = field(default="", metadata=VOLATILE)
    items_read: bool = field(default=True, metadata=VOLATILE)
    policies_read: bool = field(default=True, metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Resource):
    """
    A backup policy for Azure VMs.

    Attributes:
        terms: schedule and retention in the words of the parameters (see `policy.terms`).
        properties: the policy's `properties` as ARM has them; the service adds defaults and counts to them.
    """

    vault_id: str
    terms: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict, metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedItem(Resource):
    """
    A VM's entry in a vault.

    Attributes:
        source_id: ARM id of the VM.
        protection: `on`, `stopped`, or the service's own word for anything else.
        protection_state: IRPending, Protected, ProtectionStopped, ProtectionError, …
        protection_status: Healthy, Unhealthy or empty.
        last_backup_time: None when there never was a backup.
        soft_deleted: data deleted, kept until its retention ends.
    """

    vault_id: str
    source_id: str
    policy_id: str = ""
    protection: str = ""
    soft_deleted: bool = False
    protection_state: str = field(default="", metadata=VOLATILE)
    protection_status: str = field(default="", metadata=VOLATILE)
    health_status: str = field(default="", metadata=VOLATILE)
    last_backup_status: str = field(default="", metadata=VOLATILE)
    last_backup_time: datetime | None = field(default=None, metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """
    Something that could not be read, so that nobody takes it for absent.

    Attributes:
        scope: ARM id under which the read was tried.
        what: the resource type that stays unknown there.
        status: HTTP status, 0 when no answer came.
        code: the service's error code.
    """

    scope: str
    what: str
    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """
    The estate at one moment, or as it would be after a plan. All mappings are keyed by `key(id)`.

    Attributes:
        read_at: by the service's own clock (its `Date` header), never this machine's.
    """

    read_at: datetime
    target: Target
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    groups: dict[str, ResourceGroup] = field(default_factory=dict)
    vms: dict[str, VirtualMachine] = field(default_factory=dict)
    nics: dict[str, NetworkInterface] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    nsgs: dict[str, SecurityGroup] = field(default_factory=dict)
    route_tables: dict[str, RouteTable] = field(default_factory=dict)
    public_ips: dict[str, PublicIp] = field(default_factory=dict)
    vaults: dict[str, Vault] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    items: dict[str, ProtectedItem] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()

    def items_of(self, vm_id: str) -> tuple[ProtectedItem, ...]:
        """
        List the protected items of a VM over all vaults, by its full ARM id, never by its name.
        """
        wanted = key(vm_id)
        return tuple(item for item in self.items.values() if key(item.source_id) == wanted)

    def find(self, arm_id: str) -> Resource | None:
        """
        Return the record with this id, of whatever kind, or None.
        """
        wanted = key(arm_id)
        for kind in (
            self.vms,
            self.vaults,
            self.policies,
            self.items,
            self.groups,
            self.nsgs,
            self.nics,
            self.subnets,
            self.providers,
            self.route_tables,
            self.public_ips,
            self.subscriptions,
        ):
            if wanted in kind:
                found: Resource = kind[wanted]
                return found
        return None

    def unread_under(self, scope: str, what: str) -> tuple[Unread, ...]:
        """
        List what of type *what* could not be read at or above *scope*.
        """
        wanted = key(scope)
        return tuple(
            gap
            for gap in self.unread
            if gap.what.lower() == what.lower()
            and (wanted == key(gap.scope) or wanted.startswith(key(gap.scope) + "/"))
        )
