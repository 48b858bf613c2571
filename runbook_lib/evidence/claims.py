"""
What a run claims of itself, worked out once more from its journal, plan and findings. Imports `plan` and what is above.

What papermill's metadata says is never asked: it reports success after a killed kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.errors import BrokenEvidence
from runbook_lib.evidence.attestation import JOURNAL, summary
from runbook_lib.evidence.documents import MALFORMED, read_json
from runbook_lib.evidence.findings import FINDINGS, verdicts_of
from runbook_lib.evidence.outcome import NOTEBOOKS, OUTCOME, exit_code, last_words, unfinished
from runbook_lib.journal import Journal
from runbook_lib.plan import plan_digest
from runbook_lib.records import Plan, Verdict, VmVerdict, decode, key
from runbook_lib.selection import VMS

__all__ = ["Claim", "claims_of"]

PLAN = "plan.json"
# How a change ends that came to be.
_MADE = ("done", "adopted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    One thing that a run says of itself.

    Attributes:
        name: of its sentences, `evidence.<name>` where it holds and `evidence.<name>_broken` where it does not.
        file: that makes the claim.
        facts: what its sentence names.
    """

    name: str
    file: str
    holds: bool
    facts: Mapping[str, Any]


def claims_of(folder: Path, attested: Mapping[str, Any]) -> list[Claim]:
    """
    Work out what a run's outcome and attestation claim, each claim by itself.

    Raises:
        BrokenEvidence: a document that this needs is missing, or is not what it should be.
    """
    outcome, found, made = (read_json(folder / name) for name in (OUTCOME, FINDINGS, PLAN))
    state = read_json(folder / "run.json")
    breaks: list[int] = []
    entries = list(Journal(folder / JOURNAL).entries(breaks.append))
    try:
        plan = decode(Plan, made)
        ended = last_words(entries)
        verdicts = _verdicts(outcome, found)
        claims = [
            Claim(name="attested", file=OUTCOME, holds=summary(folder, outcome) == attested, facts={}),
            Claim(name="target", file=FINDINGS, holds=found["target"] == outcome["target"], facts={}),
            verdicts,
            _journal(len(entries), breaks),
            _plan(outcome, plan, state),
            _approved(plan, entries),
            _sent(entries),
            _changes(outcome, plan, ended),
            _failures(outcome, ended),
            _complete(outcome, state),
        ]
        if verdicts.holds:
            # What the exit code says is worked out from verdicts that are borne out.
            claims.append(_exit(outcome))
    except MALFORMED as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(folder), problem=repr(error)) from error
    return claims


def _verdicts(outcome: Mapping[str, Any], found: Mapping[str, Any]) -> Claim:
    before, after = (verdicts_of(found[moment], found["said"]) for moment in ("before", "after"))
    rows = outcome["verdicts"]
    holds = (
        {key(each["vm"]): (each["verdict"], tuple(each.get("decisive", ()))) for each in rows} == after
        and dict(outcome["counts"]) == Counter(verdict for verdict, _ in after.values())
        and {key(each["vm"]): each["before"] for each in rows}
        == {vm: before[vm][0] if vm in before else "" for vm in after}
    )
    return Claim(name="verdicts", file=OUTCOME, holds=holds, facts={"count": len(rows)})


def _journal(count: int, breaks: list[int]) -> Claim:
    facts = {"count": count, "line": min(breaks, default=0)}
    return Claim(name="journal", file=JOURNAL, holds=not breaks, facts=facts)


def _plan(outcome: Mapping[str, Any], plan: Plan, state: Mapping[str, Any]) -> Claim:
    origin, own = plan.copy_of, plan.target == outcome["target"]
    if origin is not None and state.get("given") == plan.digest:
        # One that was rehearsed on a copy, and given to the run on the original.
        own = own or origin.mark == outcome["target"]
    holds = outcome["plan_digest"] == plan.digest == plan_digest(plan) and own
    facts: dict[str, Any] = {"count": len(plan.changes)}
    if origin is None or not holds:
        return Claim(name="plan", file=PLAN, holds=holds, facts=facts)
    facts |= {"mark": origin.mark, "when": origin.read_at.isoformat(timespec="seconds")}
    return Claim(name="plan_copied", file=PLAN, holds=holds, facts=facts)


def _approved(plan: Plan, entries: list[dict[str, Any]]) -> Claim:
    results = [each for each in entries if each["entry"] == "result"]
    done = {each["change_sha256"] for each in results if each["outcome"] == "done"}
    planned = {change.sha256 for change in plan.changes}
    # A walk may end with less approved than planned: the plan that is left is noted then.
    noted = (each["plan"] for each in reversed(entries) if each["entry"] in ("approved", "planned"))
    last = next(noted, plan.digest)
    holds = done <= planned and last == plan.digest
    return Claim(name="approved", file=PLAN, holds=holds, facts={"count": len(done)})


def _sent(entries: list[dict[str, Any]]) -> Claim:
    intents, calls = (
        {each["change_sha256"] for each in entries if each["entry"] == kind and "change_sha256" in each}
        for kind in ("intent", "call")
    )
    # What was read back was sent by a try that died before it could say so, or by somebody else.
    results = [each for each in entries if each["entry"] == "result" and each["outcome"] == "done"]
    done = {each["change_sha256"] for each in results if not each.get("read_back")}
    return Claim(name="sent", file=JOURNAL, holds=done <= intents & calls, facts={"count": len(done)})


def _changes(outcome: Mapping[str, Any], plan: Plan, ended: list[Mapping[str, Any]]) -> Claim:
    counts = {"planned": len(plan.changes)} | dict(Counter(each["outcome"] for each in ended))
    applied = outcome["applied"] is True or not ended
    holds = outcome["changes"] == counts and outcome["irreversible"] == plan.irreversible and applied
    return Claim(name="changes", file=OUTCOME, holds=holds, facts={"count": len(ended)})


def _failures(outcome: Mapping[str, Any], ended: list[Mapping[str, Any]]) -> Claim:
    told = Counter((key(each["target"]), each["outcome"]) for each in outcome["failures"])
    missed = Counter((key(each["target"]), each["outcome"]) for each in ended if each["outcome"] not in _MADE)
    # One that the plan no longer has is in the journal alone.
    return Claim(name="failures", file=OUTCOME, holds=told <= missed, facts={"count": missed.total()})


def _complete(outcome: Mapping[str, Any], state: Mapping[str, Any]) -> Claim:
    visited = state["visited"]
    complete = set(NOTEBOOKS) <= visited.keys()
    supervised = all(each["supervised"] for each in visited.values())
    # Whoever claims less than is true claims nothing.
    holds = (outcome["complete"] is not True or complete) and (outcome["supervised"] is not True or supervised)
    return Claim(name="complete", file=OUTCOME, holds=holds, facts={"count": len(visited)})


def _exit(outcome: Mapping[str, Any]) -> Claim:
    verdicts = [VmVerdict(vm=each["vm"], verdict=Verdict(each["verdict"])) for each in outcome["verdicts"]]
    code = exit_code(
        verdicts,
        applied=outcome["applied"],
        unfinished=unfinished(outcome["changes"]),
        lacking=bool(outcome["missing"]) or any(gap["what"] == VMS for gap in outcome["unread"]),
    )
    return Claim(name="exit", file=OUTCOME, holds=outcome["exit_code"] == code, facts={"code": code})
