"""
Apply a plan's steps, each on what is read just before it and only for VMs whose verdict still allows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runbook_lib import checks, render
from runbook_lib.arm.apply import Applied, apply_step, check_plan
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import Session
from runbook_lib.conclusion import verdicts_of
from runbook_lib.errors import WriteFailed
from runbook_lib.events import Event
from runbook_lib.folder import RunFolder
from runbook_lib.lease import leased
from runbook_lib.parameters import Parameters
from runbook_lib.places import state_path
from runbook_lib.plan import ENABLING, is_done
from runbook_lib.records import Change, Inventory, Plan, Step, Verdict, key
from runbook_lib.text import say

__all__ = ["PROTECTING", "Progress", "apply_plan", "raise_failed", "refused_of"]

# Kinds of change that a VM's verdict has to allow.
PROTECTING = ENABLING | {"undelete"}
# Part of the changes from which on the time left is estimated.
_TELLING = 0.05


@dataclass(slots=True, kw_only=True)
class Progress:
    """
    How far an apply is; times are the target's.

    Attributes:
        total: changes of the steps that are applied.
        sent: how many were sent so far.
        ended: how many ended so far, by outcome.
        last: what ended last; None where something was sent since.
        seconds: since the apply began.
        waited: seconds that were waited for the service's limits.
    """

    total: int
    sent: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    last: Applied | None = None
    seconds: float = 0.0
    waited: float = 0.0

    @property
    def event(self) -> Event:
        """
        Sum it up: counts, rate, estimated end, waits; at the end, how long it took.
        """
        over = self.ended.total()
        rate = over / self.seconds if self.seconds else 0.0
        # The first to end are groups, vaults and policies, which say nothing of how long VMs take.
        known = rate and over >= self.total * _TELLING
        facts = {
            "ended": over,
            "total": self.total,
            "failed": self.ended["failed"],
            "sent": self.sent,
            "rate": f"{rate * 60:.0f}",
            "left": f"{(self.total - over) / rate:.0f}" if known else "?",
            "waited": f"{self.waited:.0f}",
        }
        if over == self.total:
            return Event(id="say.progress_over", facts=facts | {"seconds": f"{self.seconds:.0f}"})
        return Event(id="say.progress_rate", facts=facts)


def apply_plan(
    session: Session,
    folder: RunFolder,
    asked: Parameters,
    plan: Plan,
    numbers: Sequence[str],
    told: Callable[[Progress], None],
    sought: tuple[str, ...],
) -> list[Applied]:
    """
    Apply the steps *numbers* of a plan, each on the estate as it is after what was sent before.

    Args:
        told: called with each change that ended, and whenever more were sent.
        sought: ids of the VMs that were selected when the run began.

    Raises:
        Drift, PlanRefused: nothing of the step was sent.
    """
    check_plan(plan, session)
    steps = [step for step in plan.steps if step.number in numbers]
    began, waited, refusals = session.clock(), session.limiter.waited, session.limiter.refusals
    progress = Progress(total=sum(len(step.changes) for step in steps))

    def tell(last: Applied | None, sent: int) -> None:
        progress.last = last
        progress.sent += sent
        progress.seconds, progress.waited = session.clock() - began, session.limiter.waited - waited
        told(progress)

    before = folder.ended() | dict.fromkeys(folder.journal.open_intents(), "sent")
    holder = {"caller": session.target.caller, "run": folder.path.name, "since": _stamp()}
    ended: list[Applied] = []
    observed: Inventory | None = None
    # The plan in the folder has what earlier tries did as well. It is noted before anything can be refused, and where
    # nothing is left to do: who goes on with the run goes on with the plan that was approved last.
    kept = folder.plan() or plan
    for step in steps or [Step(number="")]:
        folder.journal.note("approved", step=step.number, digest=step.digest, plan=kept.digest)
    with leased(state_path() / "leases", session.place, _written(steps), holder):
        for step in steps:
            observed = observed or read_inventory(session, asked, sought)
            broken = {
                key(change.target): before[change.sha256]
                for earlier in kept.steps
                for change in earlier.changes
                if earlier.number not in numbers
                and before.get(change.sha256, "done") not in ("done", "adopted")
                and not is_done(observed, change)
            } | {key(each.change.target): each.outcome for each in ended if _is_missing(each)}
            refused = refused_of(observed, asked, step.changes)
            tried = apply_step(
                session,
                observed,
                step,
                broken,
                refused,
                before,
                asked.max_errors,
                lambda count: tell(None, count),
            )
            for each in tried:
                ended.append(each)
                progress.ended[each.outcome] += 1
                tell(each, 0)
            # Where all was done already nothing was sent and the reading still holds: what is resumed finds much so.
            settled = not any(vault.making for vault in observed.vaults.values())
            if not (settled and all(is_done(observed, change) for change in step.changes)):
                observed = None
    folder.journal.note("limits", refused=session.limiter.refusals - refusals, waited_seconds=round(progress.waited, 1))
    return ended


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _written(steps: Sequence[Step]) -> set[str]:
    """
    Name the vaults and the NSGs that the steps write to, by key.
    """
    # What lies in a vault is the vault's; groups and providers may be made by whoever comes first.
    targets = {key(change.target) for step in steps for change in step.changes}
    return {"/".join(each.split("/")[:9]) for each in targets if "/resourcegroups/" in each and "/providers/" in each}


def _is_missing(each: Applied) -> bool:
    return each.outcome not in ("done", "adopted")


def refused_of(observed: Inventory, asked: Parameters, changes: Sequence[Change]) -> dict[str, str]:
    """
    Say which VMs may no longer be enabled, by the key of their item: their verdict is drawn once more.
    """
    protecting = [change for change in changes if change.kind in PROTECTING]
    if not protecting:
        return {}
    found = checks.findings_on(observed, asked)
    verdicts = {key(each.vm): each for each in verdicts_of(observed, asked)}
    refused: dict[str, str] = {}
    for change in protecting:
        vm = verdicts.get(key(change.body["properties"]["sourceResourceId"]))
        if vm is None:
            refused[key(change.target)] = say("say.vm_gone", asked.language)
            continue
        held_back = vm.verdict in (Verdict.BLOCKED, Verdict.UNDETERMINED) and not vm.accepted_risk
        elsewhere = any(
            item.protection != "stopped" and not item.soft_deleted and key(item.id) != key(change.target)
            for item in observed.items_of(vm.vm)
        )
        if held_back or elsewhere:
            own = [each for each in found if each.resource == vm.vm]
            refused[key(change.target)] = render.why(vm, own, asked.language)
    return refused


def raise_failed(ended: Sequence[Applied], language: str) -> None:
    """
    Raise when a change did not come to be.

    Raises:
        WriteFailed: with the first of them and how many there are.
    """
    missing = [each for each in ended if _is_missing(each)]
    if missing:
        first = missing[0]
        raise WriteFailed(
            "write_failed",
            resource=first.change.target,
            count=len(missing),
            total=len(ended),
            what=say(f"change.{first.change.kind}", language, **first.change.facts),
            code=first.code,
            detail=first.message,
        )
