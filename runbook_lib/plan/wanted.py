"""
What a plan is made for: the chosen VMs, and where each one's backups go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, VirtualMachine

__all__ = ["Job", "Notes", "Wanted", "add_note"]

# Sentences (`note.<id>`) and their facts, on what the plan leaves as it is.
Notes = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    One VM to protect: where, and under which item.
    """

    vm: VirtualMachine
    vault_id: str
    item_id: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What every planner is given.

    Attributes:
        before: the estate as it was read, before any step.
        jobs: the VMs that still need protection.
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


def add_note(notes: Notes, **said: str) -> None:
    """
    Add a note, once however often it is to be said.
    """
    if said not in notes:
        notes.append(said)
