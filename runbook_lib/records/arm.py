"""
Subscriptions, VMs, vaults, what they hold, and the inventory of all. Imports `base` and `network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runbook_lib.records.base import VOLATILE, Resource, key
from runbook_lib.records.network import NetworkInterface, PublicIp, RouteTable, SecurityGroup, Subnet

__all__ = [
    "Agent",
    "Extension",
    "Inventory",
    "Policy",
    "ProtectedItem",
    "Provider",
    "ResourceGroup",
    "Subscription",
    "Target",
    "Unread",
    "Vault",
    "VirtualMachine",
]


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
