"""
What the runbook makes of an inventory: findings, changes, the plan, verdicts. Imports `arm`,
`base` and `codec`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runbook_lib.records.arm import Origin
from runbook_lib.records.base import key
from runbook_lib.records.codec import digest

__all__ = ["Change", "Finding", "Plan", "Status", "Step", "Verdict", "VmVerdict"]


class Status(StrEnum):
    """
    What a check found.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    WARN = "WARN"
    UNKNOWN = "UNKNOWN"
    NOT_NEEDED = "NOT NEEDED"


class Verdict(StrEnum):
    """
    Where a VM stands; the first that holds, in this order.
    """

    BLOCKED = "BLOCKED"
    UNDETERMINED = "UNDETERMINED"
    PROTECTED = "PROTECTED"
    ENABLED = "ENABLED"
    READY = "READY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one check found on one resource; title, sentence and remedy are rendered from `text` when shown.

    Attributes:
        check: id of the check.
        resource: ARM id.
        status: by the rule of today's service.
        guide: by the guide's rule of 2016; the same where the two agree.
        case: which of the check's sentences applies.
        facts: what the sentence names.
    """

    check: str
    resource: str
    status: Status
    guide: Status
    case: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One write: how it reads (`text`, by kind), what it changes (`plan.EFFECTS`), what ARM is sent (`arm.apply`).

    Attributes:
        kind: the kind of change; a key of `plan.EFFECTS`.
        step: number of the notebook that it belongs to, `01` to `06`.
        target: ARM id of the resource that is written.
        reads: ARM ids of what else it rests on.
        body: the request body as ARM takes it.
        irreversible: why it cannot be undone (`text`, `irreversible.<reason>`); empty where it can be.
        facts: what its sentence names.
    """

    kind: str
    step: str
    target: str
    reads: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    irreversible: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """
        Digest of what is sent where: a plan made anew agrees on it, although it rests on another world.
        """
        return digest({"kind": self.kind, "target": key(self.target), "body": self.body})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    The changes of one notebook, and the world that they were planned on.

    Attributes:
        number: of the notebook.
        world: by key, the states (material form, None for absent) that each resource read or written passes through,
            in the world projected after the steps before this one.
        digest: sha256 of `world`.
    """

    number: str
    changes: tuple[Change, ...] = ()
    world: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    All changes of a run, ordered by step.

    Attributes:
        target: mark of the target that it was made for.
        parameters: what was asked for, with the defaults filled in; without the run folder, and without leave to write.
        notes: ids of sentences and their facts, on what the plan leaves as it is.
        copy_of: what the world that it was made on was copied from; None where that was no copy.
        locks: keys of the locks that held what it writes; None where it does not say, as plans of older versions.
        digest: sha256 over all the rest.
    """

    target: str
    parameters: dict[str, Any]
    steps: tuple[Step, ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    copy_of: Origin | None = None
    locks: tuple[str, ...] | None = None
    digest: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        """
        All changes in the order in which they are applied.
        """
        return tuple(change for step in self.steps for change in step.changes)

    @property
    def irreversible(self) -> dict[str, int]:
        """
        How many changes cannot be undone, by the reason.
        """
        return dict(Counter(reason for change in self.changes for reason in change.irreversible))

    def step(self, number: str) -> Step:
        """
        Return the step of notebook *number*; an empty one when the plan has nothing to do there.
        """
        return next((step for step in self.steps if step.number == number), Step(number=number))


@dataclass(frozen=True, slots=True, kw_only=True)
class VmVerdict:
    """
    The verdict on one VM and the findings that made it.

    Attributes:
        vm: ARM id.
        decisive: ids of the checks that decided; empty when nothing stands in the way.
        accepted_risk: the reason for going on in spite of the verdict; empty when none was given.
    """

    vm: str
    verdict: Verdict
    decisive: tuple[str, ...] = ()
    accepted_risk: str = ""
