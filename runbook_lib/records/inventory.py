"""
The inventory: all that was read of an estate, or as it would be after a plan. Imports the other records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from runbook_lib.records.arm import (
    BackupJob,
    Location,
    Lock,
    Policy,
    ProtectedItem,
    Provider,
    ResourceGroup,
    Subscription,
    Target,
    Unread,
    Vault,
)
from runbook_lib.records.base import Resource, key
from runbook_lib.records.collector import without_collector
from runbook_lib.records.machines import KeyVault, ManagedDisk, VirtualMachine
from runbook_lib.records.network import (
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    PublicIp,
    RouteTable,
    SecurityGroup,
    Subnet,
)
from runbook_lib.records.servicetags import ServiceTagsList

__all__ = ["Inventory"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """
    The estate at one moment, or as it would be after a plan. All mappings are keyed by `key(id)`.

    Without slots, as the only record: what is looked up for every VM is indexed once and kept beside the fields.

    Attributes:
        read_at: by the service's own clock (its `Date` header), never this machine's.
        sought: ids of the VMs that the run selected when it began; what is not among `vms` is gone, or was not read.
    """

    read_at: datetime
    target: Target
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    groups: dict[str, ResourceGroup] = field(default_factory=dict)
    vms: dict[str, VirtualMachine] = field(default_factory=dict)
    disks: dict[str, ManagedDisk] = field(default_factory=dict)
    nics: dict[str, NetworkInterface] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    nsgs: dict[str, SecurityGroup] = field(default_factory=dict)
    route_tables: dict[str, RouteTable] = field(default_factory=dict)
    public_ips: dict[str, PublicIp] = field(default_factory=dict)
    load_balancers: dict[str, LoadBalancer] = field(default_factory=dict)
    nat_gateways: dict[str, NatGateway] = field(default_factory=dict)
    key_vaults: dict[str, KeyVault] = field(default_factory=dict)
    vaults: dict[str, Vault] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    items: dict[str, ProtectedItem] = field(default_factory=dict)
    jobs: dict[str, BackupJob] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    service_tags: dict[str, ServiceTagsList] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    sought: tuple[str, ...] = ()

    def derive(self, asked: object, what: str, make: Callable[[], T]) -> T:
        """
        Return what follows from this inventory and from what is asked for: made once, and anew when something else is
        asked for.

        Args:
            what: names it among all that is derived.
        """
        if self._derived.get("asked") != asked:
            self._derived.clear()
            self._derived["asked"] = asked
        if what not in self._derived:
            with without_collector():
                self._derived[what] = make()
        found: T = self._derived[what]
        return found

    @cached_property
    def _derived(self) -> dict[str, Any]:
        return {}

    def items_of(self, vm_id: str) -> tuple[ProtectedItem, ...]:
        """
        List the protected items of a VM over all vaults, by its full ARM id, never by its name.
        """
        return tuple(self._items_by_source.get(key(vm_id), ()))

    def jobs_of(self, item: ProtectedItem) -> tuple[BackupJob, ...]:
        """
        List the jobs that run for a protected item, by its vault and its container.
        """
        return tuple(self._jobs_by_container.get((key(item.vault_id), *_group_and_vm(item.name)), ()))

    def locks_on(self, arm_id: str) -> tuple[Lock, ...]:
        """
        List the locks that hold a resource: its own, and those of its group and its subscription.
        """
        parts = key(arm_id).split("/")
        above = ("/".join(parts[:count]) for count in range(3, len(parts) + 1, 2))
        return tuple(lock for scope in above for lock in self._locks_by_scope.get(scope, ()))

    def group_name(self, vm: VirtualMachine) -> str:
        """
        Name a VM's resource group as it names itself: a subscription's list of VMs has it in capitals.
        """
        group = self.groups.get(key(f"/subscriptions/{vm.subscription}/resourceGroups/{vm.resource_group}"))
        return group.name if group else vm.resource_group

    def without_pair(self, subscription: str, location: str) -> bool:
        """
        Tell whether a region is known to have no paired region: nothing is kept, or can be restored, in another one.
        """
        known = self.locations.get(key(f"/subscriptions/{subscription}/locations/{location}"))
        return known is not None and known.pair is None

    def held_in(self, vault_id: str) -> int:
        """
        Count the VMs that a vault holds, deleted ones that soft delete keeps among them.
        """
        return self._held[key(vault_id)]

    def using(self, policy_id: str) -> int:
        """
        Count the VMs that a policy protects.
        """
        return self._using[key(policy_id)]

    def policies_in(self, vault_id: str) -> tuple[Policy, ...]:
        """
        List the policies of a vault.
        """
        return tuple(self._policies_by_vault.get(key(vault_id), ()))

    def restore_point_locks(self, subscription: str, location: str, policy_id: str) -> tuple[Lock, ...]:
        """
        List the locks on the groups that Azure Backup makes for the restore points of instant restore.

        They are known by their name, and there is one for each 600 restore points of a region.

        Args:
            policy_id: of the policy that may name them otherwise; groups of the usual name may be there from before.
        """
        policy = self.policies.get(key(policy_id))
        forms = dict.fromkeys((_USUAL, _named(policy) if policy else _USUAL))
        return tuple(
            lock for form in forms for lock in self._point_locks.get((subscription, location, form), {}).values()
        )

    @cached_property
    def _point_locks(self) -> dict[tuple[str, str, tuple[str, str]], dict[str, Lock]]:
        forms = dict.fromkeys((_USUAL, *map(_named, self.policies.values())))
        found: dict[tuple[str, str, tuple[str, str]], dict[str, Lock]] = {}
        for group in self.groups.values():
            for form in _forms_of(group.name.lower(), forms):
                held = found.setdefault((group.subscription, group.location, form), {})
                held |= {key(lock.id): lock for lock in self.locks_on(group.id)}
        return found

    @cached_property
    def _items_by_source(self) -> dict[str, list[ProtectedItem]]:
        found: dict[str, list[ProtectedItem]] = {}
        for item in self.items.values():
            found.setdefault(key(item.source_id), []).append(item)
        return found

    @cached_property
    def _policies_by_vault(self) -> dict[str, list[Policy]]:
        found: dict[str, list[Policy]] = {}
        for policy in self.policies.values():
            found.setdefault(key(policy.vault_id), []).append(policy)
        return found

    @cached_property
    def _jobs_by_container(self) -> dict[tuple[str, ...], list[BackupJob]]:
        found: dict[tuple[str, ...], list[BackupJob]] = {}
        for job in self.jobs.values():
            found.setdefault((key(job.vault_id), *_group_and_vm(job.container)), []).append(job)
        return found

    @cached_property
    def _locks_by_scope(self) -> dict[str, list[Lock]]:
        found: dict[str, list[Lock]] = {}
        for lock in self.locks.values():
            found.setdefault(key(lock.scope), []).append(lock)
        return found

    @cached_property
    def dark_vaults(self) -> tuple[Vault, ...]:
        """
        The vaults whose protected items could not be listed.
        """
        return tuple(vault for vault in self.vaults.values() if not vault.items_read)

    @cached_property
    def _unread_by_type(self) -> dict[str, list[Unread]]:
        found: dict[str, list[Unread]] = {}
        for gap in self.unread:
            found.setdefault(gap.what.lower(), []).append(gap)
        return found

    @cached_property
    def _held(self) -> Counter[str]:
        return Counter(key(item.vault_id) for item in self.items.values())

    @cached_property
    def _using(self) -> Counter[str]:
        return Counter(key(item.policy_id) for item in self.items.values() if not item.soft_deleted)

    def find(self, arm_id: str) -> Resource | None:
        """
        Return the record with this id, of whatever kind, or None.
        """
        wanted = key(arm_id)
        for kind in (
            self.vms,
            self.disks,
            self.vaults,
            self.policies,
            self.items,
            self.jobs,
            self.locks,
            self.groups,
            self.nsgs,
            self.nics,
            self.subnets,
            self.providers,
            self.route_tables,
            self.public_ips,
            self.load_balancers,
            self.nat_gateways,
            self.key_vaults,
            self.service_tags,
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
            for gap in self._unread_by_type.get(what.lower(), ())
            if wanted == key(gap.scope) or wanted.startswith(key(gap.scope) + "/")
        )


def _group_and_vm(container: str) -> tuple[str, ...]:
    """
    Return the group and the VM that a container or an item is named after: what stands before them varies.
    """
    return tuple(container.lower().split(";")[-2:])


# How the service begins and ends the names of the groups for restore points; a region and a number stand between.
_USUAL = ("azurebackuprg_", "")


def _named(policy: Policy) -> tuple[str, str]:
    """
    Return how a policy wants these names to begin and to end, the usual way where it does not say.
    """
    details = policy.properties.get("instantRPDetails")
    given = details if isinstance(details, dict) else {}
    prefix, suffix = (given.get(f"azureBackupRGName{part}") for part in ("Prefix", "Suffix"))
    return (str(prefix).lower(), str(suffix or "").lower()) if prefix else _USUAL


def _forms_of(name: str, forms: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for form in forms:
        prefix, suffix = form
        if name.startswith(prefix) and name.endswith(suffix):
            number = name[len(prefix) : len(name) - len(suffix)]
            # Between the parts that a policy names there is a number alone.
            if form == _USUAL or number.isdecimal():
                yield form
