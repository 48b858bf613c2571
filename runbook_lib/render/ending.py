"""
How a run ended, for the terminal and for `outcome.json`: what failed and why, what cannot be undone, which rights are
missing, and the ids that `accept_risk` takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.comparison import ABSENT, PRESENT, UNKNOWN, Changed
from runbook_lib.records import Plan, Verdict, key
from runbook_lib.render import sinks
from runbook_lib.render.sinks import Table, plain
from runbook_lib.text import say
from runbook_lib.text.service_errors import explain

__all__ = ["compared", "ending", "failure", "failures", "fleet", "irreversible", "planned", "worse"]

# A terminal is no place for a thousand lines; the run folder has all of them.
MOST = 20
OUTCOMES = ("done", "adopted", "failed", "in_doubt", "pending")
# Policies that a vault is made with.
BUILT_IN = ("DefaultPolicy", "EnhancedPolicy")
# Words of `fleet.json` and of comparisons, by the ids of their texts.
_STATES = {
    "broken": "fleet.broken",
    "nothing": "fleet.nothing",
    "resumable": "fleet.resumable",
    "sealed": "fleet.sealed",
}
_SIDES = {ABSENT: "compared.absent", PRESENT: "compared.present", UNKNOWN: "compared.unknown"}
_KINDS = {
    "run": "compared.run",
    "vm": "compared.vm",
    "verdict": "compared.verdict",
    "protection": "compared.protection",
    "vault": "compared.vault",
    "policy": "compared.policy",
    "rule": "compared.rule",
}
HELD_BACK = (Verdict.BLOCKED.value, Verdict.UNDETERMINED.value)


def failure(code: str, message: str, language: str) -> str:
    """
    Return the service's code and words on a change that failed, with cause, remedy and notebook where they are known;
    empty for one that did not.
    """
    if not code:
        return ""
    said = f"{code}: {message.rstrip('.')}"
    known = explain(code, language)
    if known is None:
        return said
    if known.simulated:
        said = say("say.simulated", language, detail=said)
    sentence = say("say.cause", language, detail=said, cause=known.cause, remedy=known.remedy)
    return f"{sentence} {say('say.cause_notebook', language, notebook=known.notebook)}" if known.notebook else sentence


def failures(plan: Plan, failed: Mapping[str, Mapping[str, Any]], language: str) -> list[dict[str, str]]:
    """
    List the changes of a plan that did not come to be, each with what the service said and what is known of that.

    Args:
        failed: the journal's entries, by digest of the change.
    """
    told = []
    for change in plan.changes:
        if entry := failed.get(change.sha256):
            code, message = entry.get("code", ""), entry.get("message", "")
            known = explain(code, language)
            told.append(
                {
                    "step": change.step,
                    "target": change.target,
                    "change": say(f"change.{change.kind}", language, **change.facts),
                    "outcome": entry["outcome"],
                    "code": code,
                    "message": message,
                    "why": failure(code, message, language),
                    "notebook": known.notebook if known else "",
                }
            )
    return told


def worse(rows: Iterable[Mapping[str, Any]], language: str) -> list[str]:
    """
    Say which VMs were not held back before and are now, and why: an applied run does not hide that.

    Args:
        rows: as `outcome.json` has them.
    """
    return [
        say(
            "say.worse",
            language,
            vm=each["machine"]["vm"],
            group=each["machine"]["resource_group"],
            before=each["before"],
            after=each["verdict"],
            why=f"{each['why']} {each['remedy']}".strip(),
        )
        for each in rows
        if each["verdict"] in HELD_BACK and each["before"] not in ("", *HELD_BACK)
    ]


def irreversible(counted: Mapping[str, int], language: str) -> str:
    """
    Say how many changes cannot be undone, for each reason; empty where there is none.
    """
    said = [f"{count} ({say(f'irreversible.{reason}', language)})" for reason, count in sorted(counted.items())]
    return say("say.irreversible_counted", language, counts=", ".join(said)) if said else ""


def ending(outcome: Mapping[str, Any], steps: Iterable[Mapping[str, Any]], width: int, language: str) -> list[str]:
    """
    Say in lines for a terminal what a run came to.

    Args:
        outcome: content of `outcome.json`.
        steps: of the plan, as `plan.json` has them.
        width: of the terminal.
    """
    columns = ("vm", "resource_group", "before", "verdict", "why")
    rows = [
        {
            "vm": each["machine"]["vm"],
            "resource_group": each["machine"]["resource_group"],
            "before": each["before"],
            "verdict": each["verdict"],
            "why": f"{each['why']} {each['remedy']}".strip(),
        }
        for each in outcome["verdicts"]
    ]
    worst = [str(verdict) for verdict in Verdict]
    ranks = [worst.index(row["verdict"]) for row in rows]
    table = Table(say("caption.readiness", language, count=len(rows)), columns, rows, language, ranks=ranks)
    table.whole = "tables/comparison.csv"
    lines = [
        say("mark.target", language, mark=outcome["target"]),
        *table.text(width).splitlines(),
        ", ".join(f"{name} {count}" for name, count in sorted(outcome["counts"].items())),
    ]
    changes = [(step["number"], change) for step in steps for change in step["changes"]]
    if outcome["applied"]:
        counted = {name: outcome["changes"].get(name, 0) for name in OUTCOMES}
        lines.append(say("say.changes", language, **counted))
        if gone := outcome["changes"].get("gone", 0):
            lines.append(say("say.changes_gone", language, count=gone))
        told = [
            f"{each['step']} {say('outcome.' + each['outcome'], language)}: {each['change']}: {each['why']}"
            for each in outcome["failures"]
        ]
        lines += _cut(told, "tables/plan.csv", language)
        lines += worse(outcome["verdicts"], language)
    elif changes:
        lines += _planned_lines(changes, language)
        lines.append(say("say.planned", language, count=len(changes)))
    if outcome["irreversible"]:
        lines.append(irreversible(outcome["irreversible"], language))
    lines += outcome["notes"]
    lines += _rights(outcome["rights"], language)
    lines += _cut([each["why"] for each in outcome["missing"]], "outcome.json", language)
    lines += [
        say("say.unread", language, what=gap["what"], scope=gap["scope"], code=gap["code"]) for gap in outcome["unread"]
    ]
    held_back = [f"{each['verdict']} {each['vm']}" for each in outcome["verdicts"] if each["held_back"]]
    if held_back:
        lines.append(say("say.held_back", language, count=len(held_back)))
        lines += _cut(held_back, "tables/comparison.csv", language)
    return [plain(line) for line in lines]


def planned(steps: Iterable[Mapping[str, Any]], language: str) -> list[str]:
    """
    List the changes of a plan in lines for a terminal; the first of very many.

    Args:
        steps: as `plan.json` has them.
    """
    changes = [(step["number"], change) for step in steps for change in step["changes"]]
    return [plain(line) for line in _planned_lines(changes, language)]


def _planned_lines(changes: Sequence[tuple[str, Mapping[str, Any]]], language: str) -> list[str]:
    lines = [_planned(number, change, language) for number, change in changes[: sinks.MOST_ROWS]]
    if len(changes) > sinks.MOST_ROWS:
        facts = {"shown": sinks.MOST_ROWS, "count": len(changes), "file": "tables/plan.csv"}
        lines.append(say("say.table_cut", language, **facts))
    return lines


def compared(changed: Iterable[Changed], language: str) -> Table:
    """
    One row for each thing that changed between two runs; what every new vault is made with is in the vault's row.
    """
    changed = tuple(changed)
    made = {key(each.resource) for each in changed if each.what == "vault" and _appeared(each)}
    brought: dict[str, list[str]] = {}
    rest = []
    for each in changed:
        vault, _, policy = each.resource.rpartition("/backupPolicies/")
        if each.what == "policy" and _appeared(each) and key(vault) in made and policy in BUILT_IN:
            brought.setdefault(key(vault), []).append(policy)
        else:
            rest.append(each)

    def after(each: Changed) -> str:
        policies = brought.get(key(each.resource)) if each.what == "vault" else None
        if policies:
            return say("compared.present_with", language, policies=", ".join(policies))
        return _side(each.after, language)

    rows = [
        {
            "what": say(_KINDS[each.what], language),
            "resource": _subject(each, language),
            "field": each.field,
            "before": _side(each.before, language),
            "after": after(each),
        }
        for each in rest
    ]
    caption = say("caption.compared", language, count=len(rows))
    return Table(caption, ("what", "resource", "field", "before", "after"), rows, language)


def _appeared(each: Changed) -> bool:
    return not each.field and (each.before, each.after) == (ABSENT, PRESENT)


def _subject(each: Changed, language: str) -> str:
    name = _short(each.resource)
    return f"{say('compared.vm', language)} {name}" if each.what in ("verdict", "protection") else name


def _side(value: Any, language: str) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return say(_SIDES[value], language) if value in _SIDES else _short(value)


def _short(value: str) -> str:
    """
    Name a resource by its own names and its group; what is no id of one stays as it is.
    """
    parts = value.split("/")
    if not value.lower().startswith("/subscriptions/") or len(parts) < 9:
        return value
    return f"{'/'.join(parts[8::2])} ({parts[4]})"


def fleet(rows: Sequence[Mapping[str, Any]], language: str) -> Table:
    """
    One row for each run of a fleet.

    Args:
        rows: as `fleet.json` has them.
    """
    cells = (
        {
            "run": row["name"],
            "mark": row["mark"] or say("say.unknown", language),
            "sealed": say(_STATES[row["state"]] if row["ran"] or row["state"] == "broken" else "fleet.left", language),
            "exit_code": row["exit_code"],
            "verdicts": ", ".join(f"{name} {count}" for name, count in sorted(row["counts"].items())),
            "detail": row["error"],
        }
        for row in rows
    )
    columns = ("run", "mark", "sealed", "exit_code", "verdicts", "detail")
    return Table(say("caption.fleet", language, count=len(rows)), columns, cells, language)


def _planned(number: str, change: Mapping[str, Any], language: str) -> str:
    reasons = ", ".join(say(f"irreversible.{each}", language) for each in change.get("irreversible", ()))
    final = f" [{say('say.final', language, reasons=reasons)}]" if reasons else ""
    return f"  {number} {say('change.' + change['kind'], language, **change['facts'])}{final}"


def _cut(lines: Sequence[str], file: str, language: str) -> list[str]:
    shown = [f"  {line}" for line in lines[:MOST]]
    more = len(lines) - len(shown)
    return [*shown, f"  {say('say.more_in', language, count=more, file=file)}"] if more else shown


def _rights(found: Mapping[str, Any], language: str) -> list[str]:
    lines = []
    if missing := found["missing"]:
        steps = ", ".join(sorted({each["step"] for each in missing}))
        lines.append(say("say.rights_lacking", language, count=len(missing), steps=steps))
    if found["unknown"]:
        lines.append(say("say.rights_unclear", language, count=found["unknown"]))
    return lines
