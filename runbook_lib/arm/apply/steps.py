"""
What of a step may be sent, and in which order: nothing on a world that moved, nothing before what it rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from runbook_lib.arm.apply.batch import Applied, Batch
from runbook_lib.arm.apply.readback import leaves_trace
from runbook_lib.arm.session import Session
from runbook_lib.errors import Drift, PlanRefused
from runbook_lib.plan import is_done, moved, plan_digest
from runbook_lib.records import Change, Inventory, Plan, Step, key, subscription_of

__all__ = ["apply_step", "check_plan"]


def check_plan(plan: Plan, session: Session) -> None:
    """
    Refuse a plan that was edited, or made for another target: one that was made on a copy may go to what that is a copy
    of, as far as it was copied.

    Raises:
        PlanRefused: with what does not agree.
    """
    if plan_digest(plan) != plan.digest:
        raise PlanRefused("plan_edited", digest=plan.digest)
    here = session.target
    if (plan.target, plan.copy_of) == (here.mark, here.copy_of):
        return
    if plan.copy_of is None or not here.is_origin(plan.copy_of):
        if plan.copy_of is None:
            raise PlanRefused("plan_target", planned=plan.target, found=here.mark)
        raise PlanRefused("plan_target_copy", planned=plan.target, mark=plan.copy_of.mark, found=here.mark)
    for change in plan.changes:
        if subscription_of(change.target) not in plan.copy_of.subscriptions:
            raise PlanRefused("plan_uncopied", resource=change.target)


def apply_step(
    session: Session,
    observed: Inventory,
    step: Step,
    broken: Mapping[str, str],
    refused: Mapping[str, str],
    before: Mapping[str, str],
    max_errors: int,
    sent: Callable[[int], None],
) -> Iterator[Applied]:
    """
    Send what *step* still lacks and yield how each change ended; what is so already is adopted, not sent.

    A change that fails does not keep others from being tried, unless they rest on it.

    Args:
        broken: outcome of what did not come to be in earlier steps, by key of its target.
        refused: why a change may not be sent any more, by the key of its target.
        before: how changes ended in earlier tries, by their digest; `sent` where nobody knows.
        max_errors: how many changes may fail before no more are sent.
        sent: called with how many more were sent.

    Raises:
        Drift: what the step rests on is not as planned; nothing was sent.
    """
    _check_world(observed, step, broken)
    batch = Batch(session, observed, max_errors, sent)
    missing = dict(broken)
    sent_before = {digest for digest, outcome in before.items() if outcome == "sent"}
    for level in _levels(step.changes):
        going: list[Change] = []
        kept: list[Applied] = []
        for change in level:
            ended = _kept_back(observed, change, missing, refused, before)
            if ended is None or (change.sha256 in sent_before and _is_coming(observed, change)):
                going.append(change)
            else:
                kept.append(ended)
        for ended in kept:
            session.journal.result(ended.change, ended.outcome, **ended.told)
        for ended in (*kept, *batch.run(going, sent_before)):
            if ended.outcome not in ("done", "adopted") and ended.change.kind != "discover":
                missing[key(ended.change.target)] = ended.outcome
            yield ended


def _check_world(observed: Inventory, step: Step, broken: Mapping[str, str]) -> None:
    going = [change for change in step.changes if not _rests_on(change, broken)]
    kept = {key(each) for change in going for each in (change.target, *change.reads)}
    reduced = replace(step, changes=tuple(going), world={k: v for k, v in step.world.items() if k in kept})
    if differences := moved(reduced, observed):
        first = differences[0]
        raise Drift(
            "drift",
            resource=first.resource,
            field=first.field or "existence",
            expected=first.expected,
            found=first.found,
            count=len(differences) - 1,
        )


def _is_coming(observed: Inventory, change: Change) -> bool:
    """
    Tell whether a vault that an earlier try has sent is still being made: it is there, but its policies are not yet.
    """
    vault = observed.vaults.get(key(change.target))
    return vault is not None and vault.making and change.kind == "create-vault"


def _kept_back(
    observed: Inventory,
    change: Change,
    missing: Mapping[str, str],
    refused: Mapping[str, str],
    before: Mapping[str, str],
) -> Applied | None:
    """
    Say how a change ended that is not to be sent; None for one that is.
    """
    if is_done(observed, change) or (not leaves_trace(change) and before.get(change.sha256) in ("done", "adopted")):
        return Applied(change=change, outcome="adopted")
    if why := refused.get(key(change.target)):
        return Applied(change=change, outcome="failed", code="VerdictChanged", message=why)
    if rests_on := _rests_on(change, missing):
        # What was not tried yet may still come to be, and so may what rests on it.
        outcome = "failed" if missing[rests_on] == "failed" else "pending"
        return Applied(change=change, outcome=outcome, code="DependencyFailed", message=rests_on)
    return None


def _rests_on(change: Change, missing: Mapping[str, str]) -> str:
    """
    Name what *change* rests on among what is missing; empty when there is no such thing.
    """
    return next((each for each in map(key, change.reads) if each in missing), "")


def _levels(changes: Sequence[Change]) -> list[list[Change]]:
    """
    Put changes that do not rest on each other together, those they rest on before; one resource is written one by one.
    """
    levels: list[list[Change]] = []
    written: dict[str, int] = {}
    for change in changes:
        touched = map(key, (change.target, *change.reads))
        level = max((written[each] + 1 for each in touched if each in written), default=0)
        levels += [[]] if level == len(levels) else []
        levels[level].append(change)
        # Nothing rests on discovery: a VM is protected by its id, whether the vault has found it or not.
        if change.kind != "discover":
            written[key(change.target)] = level
    return levels
