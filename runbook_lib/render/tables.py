"""
The tables of the runbook: from records to rows, every sentence from `text`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.checks import CATALOGUE
from runbook_lib.parameters import schema
from runbook_lib.plan import Difference
from runbook_lib.records import (
    Change,
    Finding,
    Inventory,
    Plan,
    Status,
    Step,
    Verdict,
    VirtualMachine,
    VmVerdict,
    key,
)
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.text import exists, say

__all__ = [
    "catalogue",
    "comparison",
    "diff",
    "differences",
    "findings",
    "irreversible",
    "network",
    "notes",
    "parameter_values",
    "plan",
    "prerequisites",
    "readiness",
    "remedies",
    "results",
    "sentence",
    "why",
]

BLOCKING = frozenset(check.id for check in CATALOGUE if check.effect == "blocks")
INFORMING = frozenset(check.id for check in CATALOGUE if check.effect == "informs")
# The worst first.
_VERDICTS = tuple(Verdict)
_STATUSES = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS, Status.NOT_NEEDED)
# Of more VMs than this, the same is said once.
MANY = 2
_FINDING = ("check", "status", "guide", "finding", "remedy")


def sentence(finding: Finding, language: str) -> str:
    """
    Say what a finding found.
    """
    return say(f"check.{finding.check}.{finding.case}", language, **finding.facts)


def _remedy(finding: Finding, language: str) -> str:
    named = f"check.{finding.check}.{finding.case}.remedy"
    return say(named, language, **finding.facts) if exists(named, language) else ""


def why(verdict: VmVerdict, own: Sequence[Finding], language: str) -> str:
    """
    Say why a VM stands where it does: the sentences of the checks that decided, or what its protection is.
    """
    if verdict.verdict is Verdict.READY:
        warned = [each for each in own if each.status is Status.WARN and each.check in BLOCKING]
        return " ".join([say("verdict.READY", language), *(sentence(each, language) for each in warned)])
    deciding = verdict.decisive or ("protection",)
    return " ".join(sentence(each, language) for each in own if each.check in deciding)


def remedies(verdict: VmVerdict, own: Sequence[Finding], language: str) -> str:
    """
    Say what to do about the checks that decided against a VM; empty when none did.
    """
    return " ".join(_remedy(each, language) for each in own if each.check in verdict.decisive)


def _by_vm(found: Iterable[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for each in found:
        grouped.setdefault(key(each.resource), []).append(each)
    return grouped


def readiness(
    inventory: Inventory,
    now: Sequence[VmVerdict],
    then: Mapping[str, Verdict],
    found: Iterable[Finding],
    language: str,
) -> Table:
    """
    One row per VM: where it stands, where the plan takes it, and why.

    Args:
        then: verdicts on the projected inventory, by key.
    """
    grouped = _by_vm(found)
    rows = (
        machine(inventory, each.vm)
        | {
            "verdict": each.verdict.value,
            "projected": then[key(each.vm)].value,
            "why": why(each, grouped[key(each.vm)], language),
        }
        for each in now
    )
    columns = ("vm", "resource_group", "region", "verdict", "projected", "why")
    caption = say("caption.readiness", language, count=len(now))
    return Table(caption, columns, rows, language, ranks=[_VERDICTS.index(each.verdict) for each in now])


def findings(
    inventory: Inventory, found: Iterable[Finding], language: str, only: Sequence[str] = (), *, whole: bool = False
) -> Table:
    """
    One row per finding that is not a plain pass, or of the checks in *only*; what informs or passes and is the same for
    many VMs is said once, below the others.

    Args:
        whole: one row for each VM and finding, as a file for machines has it.
    """
    told: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def tell(each: Finding) -> tuple[str, ...]:
        # Findings share their facts (see `checks.result`): what is the same is told once.
        about = (each.check, each.case, each.status, each.guide, id(each.facts))
        return told.get(about) or told.setdefault(about, _finding(each, language))

    shown = [each for each in found if (each.check in only if only else not _passes(each))]
    many = set() if whole else _said_of_many(shown, tell)
    counted = Counter(map(tell, shown)) if many else Counter()
    alone = [each for each in shown if tell(each) not in many]
    together = [values for values in counted if values in many]
    rows = itertools.chain(
        (machine(inventory, each.resource) | dict(zip(_FINDING, tell(each), strict=True)) for each in alone),
        (
            {"vm": say("say.many_vms", language, count=counted[values])} | dict(zip(_FINDING, values, strict=True))
            for values in together
        ),
    )
    place = _FINDING.index("status")
    ranks = [_STATUSES.index(each.status) for each in alone]
    ranks += [_STATUSES.index(Status(values[place])) for values in together]
    columns = ("vm", "resource_group", *_FINDING)
    return Table(say("caption.findings", language), columns, rows, language, ranks=ranks)


def _passes(finding: Finding) -> bool:
    return {finding.status, finding.guide} <= {Status.PASS, Status.NOT_NEEDED}


def _finding(finding: Finding, language: str) -> tuple[str, ...]:
    return (
        say(f"check.{finding.check}.title", language),
        finding.status.value,
        finding.guide.value,
        sentence(finding, language),
        _remedy(finding, language),
    )


def _said_of_many(shown: Iterable[Finding], tell: Callable[[Finding], tuple[str, ...]]) -> set[tuple[str, ...]]:
    counted = Counter(tell(each) for each in shown if each.check in INFORMING or _passes(each))
    return {values for values, count in counted.items() if count > MANY}


def _change(change: Change, language: str) -> dict[str, Any]:
    reasons = ", ".join(say(f"irreversible.{reason}", language) for reason in change.irreversible)
    return {
        "step": change.step,
        "change": say(f"change.{change.kind}", language, **change.facts),
        "undo": say("say.irreversible", language, reasons=reasons) if reasons else say("say.yes", language),
    }


def plan(steps: Sequence[Step], caption: str, language: str, ended: Mapping[str, str] | None = None) -> Table:
    """
    One row per change, in the order in which they are made; what cannot be undone is counted above them.

    Args:
        ended: how changes ended, by their digest; None where nothing was to be written yet.
    """
    rows = [
        _change(change, language) | {"outcome": say(f"outcome.{(ended or {}).get(change.sha256, 'pending')}", language)}
        for step in steps
        for change in step.changes
    ]
    nothing = () if rows else (say("say.nothing_to_do", language),)
    columns = ("step", "change", "undo") if ended is None else ("step", "change", "undo", "outcome")
    final = irreversible(
        Counter(why for step in steps for change in step.changes for why in change.irreversible), language
    )
    return Table(" ".join([caption, final]).strip(), columns, rows, language, notes=nothing)


def irreversible(counted: Mapping[str, int], language: str) -> str:
    """
    Say how many changes cannot be undone, for each reason; empty where there is none.
    """
    said = [f"{count} ({say(f'irreversible.{reason}', language)})" for reason, count in sorted(counted.items())]
    return say("say.irreversible_counted", language, counts=", ".join(said)) if said else ""


def diff(found: Iterable[Difference], caption: str, language: str, *, whole: bool = False) -> Table:
    """
    One row per field that a plan alters: what it is, and what it will be.

    Args:
        whole: with the full id of each resource, as a file for machines has it.
    """
    rows = [
        {
            "resource": "/".join(each.resource.rsplit("/", 2)[1:]),
            "field": each.field,
            "is": _value(each.found, language),
            "becomes": _value(each.expected, language),
            "id": each.resource,
        }
        for each in found
    ]
    nothing = () if rows else (say("say.nothing_to_do", language),)
    columns = ("resource", "field", "is", "becomes", "id") if whole else ("resource", "field", "is", "becomes")
    return Table(caption, columns, rows, language, notes=nothing)


def _value(value: Any, language: str) -> str:
    if isinstance(value, bool):
        return say("say.yes" if value else "say.no", language)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return say("say.none", language) if value is None else str(value)


def notes(made: Plan, language: str, step: str = "") -> list[str]:
    """
    Say what the plan leaves as it is, in one step or in all.
    """
    return [
        say(f"note.{note['id']}", language, **{name: value for name, value in note.items() if name != "id"})
        for note in made.notes
        if step in ("", note["step"])
    ]


def results(number: str, ended: Iterable[tuple[Change, str, str]], language: str) -> Table:
    """
    One row per change that was tried: how it ended.
    """
    rows = [
        {
            "step": change.step,
            "change": say(f"change.{change.kind}", language, **change.facts),
            "outcome": say(f"outcome.{outcome}", language),
            "detail": detail,
        }
        for change, outcome, detail in ended
    ]
    nothing = () if rows else (say("say.nothing_to_do", language),)
    columns = ("step", "change", "outcome", "detail")
    return Table(say("caption.result", language, step=number), columns, rows, language, notes=nothing)


def network(inventory: Inventory, found: Iterable[Finding], language: str) -> Table:
    """
    The outbound decision per VM, by today's service and by the guide.
    """
    own = [each for each in found if each.check == "network-outbound"]
    rows = (
        machine(inventory, each.resource)
        | {"status": each.status.value, "guide": each.guide.value, "finding": sentence(each, language)}
        for each in own
    )
    ranks = [min(_STATUSES.index(each.status), _STATUSES.index(each.guide)) for each in own]
    columns = ("vm", "resource_group", "status", "guide", "finding")
    return Table(say("caption.network", language), columns, rows, language, ranks=ranks)


def prerequisites(
    found: Sequence[Finding], chosen: Sequence[VirtualMachine], inventory: Inventory, language: str
) -> Table:
    """
    The guide's four prerequisites and for how many of the selected VMs each is met.
    """
    regions = {vault.location for vault in inventory.vaults.values()}
    protected = {
        key(each.resource) for each in found if each.check == "protection" and each.case in ("protected", "pending")
    }
    agents = {key(each.resource) for each in found if each.check == "agent" and each.status is Status.PASS}
    network = {
        key(each.resource)
        for each in found
        if each.check == "network-outbound" and each.status in (Status.PASS, Status.NOT_NEEDED)
    }
    met = {
        "prerequisite_vault": sum(vm.location in regions for vm in chosen),
        "prerequisite_policy": len(protected),
        "prerequisite_agent": len(agents),
        "prerequisite_network": len(network),
    }
    rows = [
        {
            "prerequisite": say(f"say.{name}", language),
            "stands": say("say.met", language, count=count, total=len(chosen)),
        }
        for name, count in met.items()
    ]
    return Table(say("caption.prerequisites", language), ("prerequisite", "stands"), rows, language)


def comparison(
    inventory: Inventory,
    before: Mapping[str, Verdict],
    after: Sequence[VmVerdict],
    found: Iterable[Finding],
    language: str,
) -> Table:
    """
    The verdict on each VM before and after the run, and why it stands there now.
    """
    grouped = _by_vm(found)
    rows = (
        machine(inventory, each.vm)
        | {
            "before": before[key(each.vm)].value if key(each.vm) in before else say("say.unknown", language),
            "after": each.verdict.value,
            "why": why(each, grouped[key(each.vm)], language),
            "accepted_risk": each.accepted_risk,
        }
        for each in after
    )
    columns = ("vm", "resource_group", "region", "before", "after", "why", "accepted_risk")
    ranks = [_VERDICTS.index(each.verdict) for each in after]
    return Table(say("caption.comparison", language), columns, rows, language, ranks=ranks)


def differences(found: Iterable[Difference], language: str) -> Table:
    """
    Where the world is not as the plan promised.
    """
    rows = [
        {"resource": each.resource, "field": each.field, "expected": each.expected, "found": each.found}
        for each in found
    ]
    return Table(
        say("caption.differences", language),
        ("resource", "field", "expected", "found"),
        rows,
        language,
        notes=() if rows else (say("say.as_promised", language),),
    )


def parameter_values(values: Mapping[str, Any], language: str, only: Sequence[str] = ()) -> Table:
    """
    Every parameter, or those in *only*: its meaning and choices, and the value in *values*, else its default.
    """
    rows = [
        {
            "parameter": row.name,
            "type": row.type,
            "value": values.get(row.name, row.default),
            "choices": ", ".join(row.choices),
            "meaning": row.help(language),
        }
        for row in schema()
        if not only or row.name in only
    ]
    return Table(
        say("caption.parameters", language), ("parameter", "type", "value", "choices", "meaning"), rows, language
    )


def catalogue(language: str) -> Table:
    """
    Every check with both rules and their sources.
    """
    rows = [
        {
            "check": each.id,
            "effect": say(f"effect.{each.effect}", language),
            "section": say(f"section.{each.section}", language),
            "guide": say(f"check.{each.id}.guide", language),
            "status": say(f"check.{each.id}.today", language),
            "source": say(f"check.{each.id}.source", language),
        }
        for each in CATALOGUE
    ]
    return Table(
        say("caption.checks", language), ("check", "effect", "section", "guide", "status", "source"), rows, language
    )
