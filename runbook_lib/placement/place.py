"""
The place of a VM, and what tells where it is already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runbook_lib.parameters import Parameters
from runbook_lib.policy import is_built_in
from runbook_lib.records import Inventory, ProtectedItem, VirtualMachine, key

__all__ = ["MOST_VMS", "Bin", "Place", "Placement", "entry_of", "held_of", "home_of", "policy_type"]

# Support matrix for Azure Backup: VMs in a vault; az and Az PowerShell check the same number for a policy.
MOST_VMS = 1000
_VAULTS = "Microsoft.RecoveryServices/vaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where a VM's backups go.

    Attributes:
        policy_type: of a policy that is still to be made, as is `backup_time`.
        lacks: `room` where no vault has any left, `start` where every start time has its VMs; empty where the VM fits.
        here: whether the vault is one that the parameters name.
    """

    vault_id: str
    policy_name: str
    policy_type: str
    backup_time: str
    lacks: str = ""
    here: bool = True

    @property
    def group_id(self) -> str:
        """
        The resource group of the vault.
        """
        return self.vault_id.split("/providers/", 1)[0]

    @property
    def policy_id(self) -> str:
        """
        The policy that backs the VM up.
        """
        return f"{self.vault_id}/backupPolicies/{self.policy_name}"

    def described(self, asked: Parameters) -> Parameters:
        """
        Return *asked* as it describes the policy of this place.
        """
        return replace(asked, policy_name=self.policy_name, policy_type=self.policy_type, backup_time=self.backup_time)


# By the key of the VM.
Placement = Mapping[str, Place]


@dataclass(slots=True)
class Bin:
    """
    A vault or a policy that takes VMs: its id, its place in the order of filling, and the room it has left.
    """

    id: str
    order: int
    room: int


def entry_of(inventory: Inventory, vm: VirtualMachine) -> ProtectedItem | None:
    """
    Return the VM's entry in a vault: one under protection, else one that was stopped; a deleted one is none.
    """
    live = [item for item in inventory.items_of(vm.id) if not item.soft_deleted]
    return next((item for item in live if item.protection != "stopped"), live[0] if live else None)


def held_of(inventory: Inventory, vm: VirtualMachine) -> ProtectedItem | None:
    """
    Return the VM's entry, a deleted one too: its recovery points are in that vault.
    """
    return entry_of(inventory, vm) or next(iter(inventory.items_of(vm.id)), None)


def home_of(vm: VirtualMachine, asked: Parameters) -> str:
    """
    Return the subscription of the VM's vault.
    """
    return vm.subscription if asked.vault_subscription == "same" else asked.vault_subscription.lower()


def policy_type(inventory: Inventory, vault_id: str, name: str, asked: str) -> str:
    """
    Return Standard or Enhanced: of the policy that is there, else of the one that the plan or the service will make;
    empty where that could not be read.
    """
    there = inventory.policies.get(key(f"{vault_id}/backupPolicies/{name}"))
    if there:
        return str(there.terms.get("policy_type", ""))
    vault = inventory.vaults.get(key(vault_id))
    if inventory.unread_under(vault_id, _VAULTS) if vault is None else not vault.policies_read:
        return ""
    if vault is None and is_built_in(name):
        return "Enhanced" if name.lower() == "enhancedpolicy" else "Standard"
    return asked
