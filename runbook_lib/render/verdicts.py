"""
What was found: verdicts, findings and what they rest on, from records to rows; every sentence from `text`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.checks import CATALOGUE
from runbook_lib.records import Finding, Inventory, Status, Verdict, VirtualMachine, VmVerdict, key
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.text import exists, say

__all__ = [
    "comparison",
    "findings",
    "held_back",
    "network",
    "prerequisites",
    "readiness",
    "remedies",
    "sentence",
    "why",
]

BLOCKING = frozenset(check.id for check in CATALOGUE if check.effect == "blocks")
RISKING = frozenset(check.id for check in CATALOGUE if check.effect == "risks")
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
        risks = [each for each in own if each.status in (Status.WARN, Status.FAIL) and each.check in RISKING]
        first = sentence(risks[0], language) if risks else ""
        stands = (
            say("verdict.RISKS", language, count=len(risks), first=first) if risks else say("verdict.READY", language)
        )
        return " ".join([stands, *(sentence(each, language) for each in warned)])
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
    One row per VM, the worst first: where it stands, where the plan takes it, and why.

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
    counted = Counter(each.verdict for each in now)
    counts = ", ".join(f"{counted[each]} {each.value}" for each in _VERDICTS if counted[each])
    caption = f"{say('caption.readiness', language, count=len(now))}: {counts}"
    table = Table(caption, columns, rows, language, ranks=[_VERDICTS.index(each.verdict) for each in now])
    table.put_worst_first()
    return table


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
    if whole:
        wide = ("vm", "resource_group", *_FINDING, "id")
        every = (
            machine(inventory, each.resource)
            | dict(zip(_FINDING, tell(each), strict=True))
            | {"guide": each.guide.value, "id": inventory.vms[key(each.resource)].id}
            for each in shown
        )
        return Table(say("caption.findings", language), wide, every, language)
    many = _said_of_many(shown, tell)
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
    notes = (say("say.many_vms_where", language),) if together else ()
    columns = ("vm", "resource_group", *_FINDING)
    return Table(say("caption.findings", language), columns, rows, language, notes=notes, ranks=ranks)


def _passes(finding: Finding) -> bool:
    return {finding.status, finding.guide} <= {Status.PASS, Status.NOT_NEEDED}


def _finding(finding: Finding, language: str) -> tuple[str, ...]:
    return (
        say(f"check.{finding.check}.title", language),
        finding.status.value,
        by_guide(finding, language),
        sentence(finding, language),
        _remedy(finding, language),
    )


def by_guide(finding: Finding, language: str) -> str:
    """
    Show the guide's judgement; where it has no rule, that, for its NOT NEEDED would read as today's.
    """
    without = finding.guide is Status.NOT_NEEDED and finding.status is not Status.NOT_NEEDED
    return say("say.no_rule", language) if without else finding.guide.value


def _said_of_many(shown: Iterable[Finding], tell: Callable[[Finding], tuple[str, ...]]) -> set[tuple[str, ...]]:
    counted = Counter(tell(each) for each in shown if each.check in INFORMING or _passes(each))
    return {values for values, count in counted.items() if count > MANY}


def network(inventory: Inventory, found: Iterable[Finding], language: str) -> Table:
    """
    The outbound decision per VM, by today's service and by the guide.
    """
    own = [each for each in found if each.check == "network-outbound"]
    rows = (
        machine(inventory, each.resource)
        | {"status": each.status.value, "guide": by_guide(each, language), "finding": sentence(each, language)}
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
    # Those of regions that have none yet; where vaults are not offered, none will be made.
    made = sum(
        each.check == "vault-in-region"
        and each.case == "planned"
        and inventory.vms[key(each.resource)].location not in regions
        for each in found
    )
    met = {
        "prerequisite_vault": sum(vm.location in regions for vm in chosen),
        "prerequisite_policy": len(protected),
        "prerequisite_agent": len(agents),
        "prerequisite_network": len(network),
    }
    rows = [
        {
            "prerequisite": say(f"say.{name}", language),
            "stands": say("say.met_later", language, met=count, total=len(chosen), made=made)
            if made and name == "prerequisite_vault"
            else say("say.met", language, met=count, total=len(chosen)),
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
    remarks: Sequence[str] = (),
    *,
    whole: bool = False,
) -> Table:
    """
    The verdict on each VM before and after the run, and why it stands there now.

    Args:
        remarks: sentences to stand below.
        whole: with ARM ids, as a file for machines has it.
    """
    grouped = _by_vm(found)
    rows = (
        machine(inventory, each.vm)
        | {
            "before": before[key(each.vm)].value if key(each.vm) in before else say("say.unknown", language),
            "after": each.verdict.value,
            "why": why(each, grouped[key(each.vm)], language),
            "accepted_risk": each.accepted_risk,
            "id": each.vm,
        }
        for each in after
    )
    columns = ("vm", "resource_group", "region", "before", "after", "why", "accepted_risk")
    ranks = [_VERDICTS.index(each.verdict) for each in after]
    shown = (*columns, "id") if whole else columns
    return Table(say("caption.comparison", language), shown, rows, language, notes=remarks, ranks=ranks)


def held_back(inventory: Inventory, verdicts: Sequence[VmVerdict], found: Iterable[Finding], language: str) -> Table:
    """
    One row per VM that its verdict keeps back, with the id that `accept_risk` takes.
    """
    grouped = _by_vm(found)
    rows = [
        machine(inventory, each.vm)
        | {
            "verdict": each.verdict.value,
            "remedy": remedies(each, grouped[key(each.vm)], language),
            "id": inventory.vms[key(each.vm)].id,
        }
        for each in verdicts
    ]
    notes = (say("say.accept_risk_form" if rows else "say.none_held_back", language),)
    columns = ("vm", "resource_group", "verdict", "remedy", "id")
    return Table(say("caption.held_back", language), columns, rows, language, notes=notes)
