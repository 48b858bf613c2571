"""
Apply a plan's steps, each on what is read just before it and only for VMs whose verdict still allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runbook_lib import checks, render
from runbook_lib.arm.apply import Applied, apply_step, check_plan
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import Session
from runbook_lib.conclusion import verdicts_of
from runbook_lib.errors import RunbookError, WriteFailed
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, Plan, Step, Verdict, key
from runbook_lib.text import say
from runbook_lib.text.service_errors import explain

__all__ = ["apply_plan", "detail", "raise_failed"]


def apply_plan(
    session: Session,
    folder: RunFolder,
    asked: Parameters,
    plan: Plan,
    numbers: Sequence[str],
    told: Callable[[Applied], None],
) -> list[Applied]:
    """
    Apply the steps *numbers* of a plan.

    Args:
        told: called with each change as it ended.

    Raises:
        Drift, PlanRefused: nothing of the step was sent.
    """
    if asked.target == "azure":
        raise RunbookError("azure_read_only")
    check_plan(plan, session)
    ended: list[Applied] = []
    for step in plan.steps:
        if step.number not in numbers:
            continue
        folder.journal.note("approved", step=step.number, digest=step.digest, plan=plan.digest)
        observed = read_inventory(session, asked)
        failed = {key(each.change.target) for each in ended if each.outcome == "failed"}
        for each in apply_step(session, observed, step, failed, _refused(observed, asked, step)):
            ended.append(each)
            told(each)
    return ended


def _refused(observed: Inventory, asked: Parameters, step: Step) -> dict[str, str]:
    """
    Say which VMs of a step may no longer be enabled, by the key of their item: their verdict is drawn once more.
    """
    protecting = [change for change in step.changes if change.kind == "protect"]
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


def detail(each: Applied, language: str) -> str:
    """
    Return the service's code and words on a change that failed, with cause and remedy where they are known; empty for
    one that did not.
    """
    if not each.code:
        return ""
    said = f"{each.code}: {each.message.rstrip('.')}"
    known = explain(each.code, language)
    return said if known is None else say("say.cause", language, detail=said, cause=known.cause, remedy=known.remedy)


def raise_failed(ended: Sequence[Applied], language: str) -> None:
    """
    Raise when a change failed.

    Raises:
        WriteFailed: with the first failure and how many there are.
    """
    failed = [each for each in ended if each.outcome == "failed"]
    if failed:
        first = failed[0]
        raise WriteFailed(
            "write_failed",
            resource=first.change.target,
            count=len(failed),
            total=len(ended),
            what=say(f"change.{first.change.kind}", language, **first.change.facts),
            code=first.code,
            detail=first.message,
        )
