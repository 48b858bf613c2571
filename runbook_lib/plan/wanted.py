"""
What a plan is made for: the chosen VMs, and where each one's backups go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from runbook_lib.checks.kinds import RECOVERY_SERVICES
from runbook_lib.parameters import Parameters
from runbook_lib.placement import Place
from runbook_lib.records import Inventory, VirtualMachine, key, subscription_of

__all__ = ["Job", "Notes", "Wanted", "add_note", "by_vault", "lacking", "subscription_name"]

# Sentences (`note.<id>`) and their facts, on what the plan leaves as it is.
Notes = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What is to be done for one VM: where, and under which item.

    Attributes:
        kind: of the change that it comes to; `undelete` is followed by one that resumes.
        lost: recovery points that the change of its policy loses.
    """

    vm: VirtualMachine
    kind: str
    place: Place
    item_id: str
    lost: tuple[datetime, ...] = ()

    @property
    def vault_id(self) -> str:
        """
        The vault that the VM is in, or goes to.
        """
        return self.place.vault_id

    @property
    def location(self) -> str:
        """
        Region of the VM.
        """
        return self.vm.location


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What every planner is given.

    Attributes:
        before: the estate as it was read, before any step.
        jobs: what is to be done for the VMs that are not protected as they are to be.
        going: the selected VMs that nothing keeps back, protected or not.
        notes: what a planner leaves as it is, and why; added to as it goes.
        day: date part for policy times.
    """

    before: Inventory
    asked: Parameters
    jobs: Sequence[Job]
    going: Sequence[VirtualMachine]
    notes: Notes
    day: date


def add_note(notes: Notes, **said: Any) -> None:
    """
    Add a note, once however often it is to be said.
    """
    if said not in notes:
        notes.append(said)


def by_vault(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """
    Return the jobs of each vault in play, by the vault's id as the first of them has it.
    """
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(key(job.vault_id), []).append(job)
    return {own[0].vault_id: own for own in found.values()}


def lacking(world: Inventory, subscription: str) -> tuple[str, ...]:
    """
    Return the id of the resource provider of Azure Backup in a subscription that has it not registered.
    """
    provider = world.providers.get(key(f"/subscriptions/{subscription}/providers/{RECOVERY_SERVICES}"))
    return (provider.id,) if provider and provider.registration_state.lower() != "registered" else ()


def subscription_name(world: Inventory, arm_id: str) -> str:
    """
    Name the subscription of a resource, by its id where its name is not known.
    """
    guid = subscription_of(arm_id)
    known = world.subscriptions.get(key(f"/subscriptions/{guid}"))
    return known.name if known else guid
