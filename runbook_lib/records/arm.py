"""
Targets, subscriptions, vaults and what they hold. Imports `base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runbook_lib.records.base import VOLATILE, Resource

__all__ = [
    "BackupJob",
    "Location",
    "Lock",
    "Origin",
    "Policy",
    "ProtectedItem",
    "Provider",
    "ResourceGroup",
    "Subscription",
    "Target",
    "Unread",
    "Vault",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """
    What a copy of an estate was taken from.

    Attributes:
        kind: `sandbox` or `azure`.
        name: the estate, or the cloud.
        tenant: tenant id, empty where it is not known.
        subscriptions: GUIDs, in lower case, of those that were read for their VMs or for vaults to be made there.
        read_at: when the last of it was read, by the service's own clock.
    """

    kind: str
    name: str
    tenant: str
    subscriptions: tuple[str, ...]
    read_at: datetime

    @property
    def mark(self) -> str:
        """
        The mark of the target that it was.
        """
        return _mark(self.kind, self.name, self.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Where the run reads and writes.

    Attributes:
        kind: `sandbox` or `azure`.
        name: the estate, or the cloud.
        tenant: tenant id, if it is known.
        caller: who the token says is calling.
        copy_of: what the sandbox's estate was copied from; None where nobody says that it is a copy.
    """

    kind: str
    name: str
    tenant: str = ""
    caller: str = ""
    copy_of: Origin | None = None

    @property
    def mark(self) -> str:
        """
        The mark that stands on everything that came from this target.
        """
        return _mark(self.kind, self.name, self.tenant)

    def is_origin(self, origin: Origin) -> bool:
        """
        Tell whether a copy was taken from this target; not where the tenant of a real one is unknown.
        """
        if self.kind == "sandbox":
            # One without a name of its own would be any.
            return (origin.kind, origin.name) == (self.kind, self.name) and self.copy_of is None
        named = (origin.kind, origin.name, origin.tenant.lower())
        return bool(self.tenant) and named == (self.kind, self.name, self.tenant.lower())


def _mark(kind: str, name: str, tenant: str) -> str:
    return "SANDBOX (simulated)" if kind == "sandbox" else f"AZURE {name}, tenant {tenant or 'unknown'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Resource):
    """
    A subscription that the caller can see; `state` is Enabled, Warned, PastDue, Disabled or Deleted.
    """

    state: str
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location(Resource):
    """
    A region as a subscription sees it; `pair` is its paired region, None where it has none.
    """

    pair: str | None = None


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
class Vault(Resource):
    """
    A Recovery Services vault.

    Attributes:
        redundancy: GeoRedundant, LocallyRedundant or ZoneRedundant; empty when the service does not say.
        redundancy_locked: None when it could not be read.
        items_read: whether its protected items could be listed: without that nobody may say "not protected".
        policies_read: whether its policies could be listed.
        other_policies: names of its policies for other workloads than Azure VMs.
        jobs_read: whether its running backup jobs were listed; they are for vaults that hold a selected VM only.
        failed: whether the service says that making it failed: it is still to be made.
        making: whether it is being made: what rests on it has to wait.
    """

    location: str
    redundancy: str = ""
    cross_region_restore: bool = False
    redundancy_locked: bool | None = field(default=None, metadata=VOLATILE)
    soft_delete: str = field(default="", metadata=VOLATILE)
    immutability: str = field(default="", metadata=VOLATILE)
    items_read: bool = field(default=True, metadata=VOLATILE)
    policies_read: bool = field(default=True, metadata=VOLATILE)
    other_policies: tuple[str, ...] = field(default=(), metadata=VOLATILE)
    jobs_read: bool = field(default=False, metadata=VOLATILE)
    failed: bool = field(default=False, metadata=VOLATILE)
    making: bool = field(default=False, metadata=VOLATILE)


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
        points: times of its recovery points, with the day as its policy counts it; None where they were not read.
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
    points: tuple[datetime, ...] | None = field(default=None, metadata=VOLATILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupJob(Resource):
    """
    A job of a vault that was running when it was read.

    Attributes:
        container: `iaasvmcontainerv2;GROUP;VM`, not always with its first part.
        operation: Backup, ConfigureBackup, Restore, …
    """

    vault_id: str
    container: str
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Resource):
    """
    A management lock.

    Attributes:
        scope: ARM id of the subscription, group or resource that it holds, with all below.
        level: CanNotDelete or ReadOnly.
    """

    scope: str
    level: str


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
