"""
What the plan changes: its steps as a table, field by field, how each change ended, and what it left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.plan import Difference
from runbook_lib.records import Change, Plan, Step
from runbook_lib.render.ending import failure, irreversible
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["diff", "differences", "notes", "plan", "results"]

_PENDING = {"outcome": "pending"}
# Of resources that change alike, so many are named.
MOST_NAMES = 5


def plan(
    steps: Sequence[Step], caption: str, language: str, results: Mapping[str, Mapping[str, Any]] | None = None
) -> Table:
    """
    One row per change, in the order in which they are made; what cannot be undone is counted above them.

    Args:
        results: the journal's entries on how changes ended, by their digest; None where nothing was to be written yet.
    """
    rows = [
        _change(change, language) | _ended(results.get(change.sha256, _PENDING) if results else _PENDING, language)
        for step in steps
        for change in step.changes
    ]
    nothing = () if rows else (say("say.nothing_to_do", language),)
    columns = ("step", "change", "undo") if results is None else ("step", "change", "undo", "outcome", "detail")
    final = irreversible(
        Counter(why for step in steps for change in step.changes for why in change.irreversible), language
    )
    return Table(". ".join(filter(None, [caption, final])), columns, rows, language, notes=nothing)


def diff(found: Sequence[Difference], caption: str, language: str, *, whole: bool = False) -> Table:
    """
    The fields that a plan alters, before it and by it; what is the same for resources of a kind is said once.

    Args:
        whole: one row per resource and field, with full ids, as a file for machines has it.
    """
    if whole:
        every = [
            {
                "resource": _short(each.resource),
                "field": each.field,
                "is": _value(each.found, language),
                "becomes": _value(each.expected, language),
                "id": each.resource,
            }
            for each in found
        ]
        return Table(caption, ("resource", "field", "is", "becomes", "id"), every, language)
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in found:
        kind, parent, name = _placed(each.resource)
        # The name says it.
        if (kind, each.field) != ("protectedItems", "source_id"):
            change = (each.field.removeprefix("terms."), _named(each.found, language), _named(each.expected, language))
            alike.setdefault((kind, parent, *change), []).append(name)
    rows = [
        {"resource": _of_kind(kind, parent, names, language), "field": name, "is": old, "becomes": new}
        for (kind, parent, name, old, new), names in alike.items()
    ]
    told = {
        "say.nothing_to_do": not rows,
        "say.alike": any(len(names) > 1 for names in alike.values()),
    }
    notes = [say(each, language) for each, holds in told.items() if holds]
    return Table(caption, ("resource", "field", "is", "becomes"), rows, language, notes=notes)


def _of_kind(kind: str, parent: str, names: Sequence[str], language: str) -> str:
    named = ", ".join(names[:MOST_NAMES])
    if more := len(names[MOST_NAMES:]):
        named = say("say.and_more", language, names=named, count=more)
    return say("say.of_parent" if parent else "say.of_kind", language, kind=kind, parent=parent, names=named)


def _placed(resource: str) -> tuple[str, str, str]:
    """
    Return a resource's kind, its parent's name if it has one, and its name, as people say it.
    """
    levels = resource.partition("/providers/")[2].split("/")[1:]
    kinds, names = levels[::2], levels[1::2]
    if not kinds:
        return ("", "", resource)
    parent = names[0] if names[1:] else ""
    # The service's own name for a VM's item: VM;iaasvmcontainerv2;GROUP;NAME.
    parts = names[-1].split(";")
    name = f"{parts[3]} ({parts[2]})" if kinds[-1] == "protectedItems" and len(parts) == 4 else names[-1]
    return kinds[-1], parent, name


def _named(value: Any, language: str) -> str:
    """
    Show a value as people do: of an ARM id, its names.
    """
    said = _value(value, language)
    if not said.startswith("/subscriptions/"):
        return said
    _, parent, name = _placed(said)
    return f"{parent}/{name}" if parent else name


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


def differences(found: Iterable[Difference], missed: Iterable[tuple[Change, str]], language: str) -> Table:
    """
    Where the world is not as the plan promised: what was read back, and the planned changes that were not made.

    Args:
        missed: each with how it ended, `failed` or `pending`.
    """
    rows = [
        {"resource": _short(each.resource), "field": each.field, "expected": each.expected, "found": each.found}
        for each in found
    ]
    rows += [
        {
            "resource": _short(change.target),
            "field": "",
            "expected": say(f"change.{change.kind}", language, **change.facts),
            "found": say(f"outcome.{outcome}", language),
        }
        for change, outcome in missed
    ]
    return Table(
        say("caption.differences", language),
        ("resource", "field", "expected", "found"),
        rows,
        language,
        notes=() if rows else (say("say.as_promised", language),),
    )


def notes(made: Plan, language: str, step: str = "") -> list[str]:
    """
    Say what the plan leaves as it is, in one step or in all.
    """
    return [
        say(f"note.{note['id']}", language, **{name: value for name, value in note.items() if name != "id"})
        for note in made.notes
        if step in ("", note["step"])
    ]


def _change(change: Change, language: str) -> dict[str, Any]:
    reasons = ", ".join(say(f"irreversible.{reason}", language) for reason in change.irreversible)
    return {
        "step": change.step,
        "change": say(f"change.{change.kind}", language, **change.facts),
        "undo": say("say.irreversible", language, reasons=reasons) if reasons else say("say.yes", language),
    }


def _ended(result: Mapping[str, Any], language: str) -> dict[str, str]:
    return {
        "outcome": say(f"outcome.{result['outcome']}", language),
        "detail": failure(result.get("code", ""), result.get("message", ""), language),
    }


def _value(value: Any, language: str) -> str:
    if isinstance(value, bool):
        return say("say.yes" if value else "say.no", language)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return say("say.none", language) if value is None else str(value)


def _short(resource: str) -> str:
    """
    Name a resource by its type and name: a whole id leaves a table no room for what is said of it.
    """
    return "/".join(resource.rsplit("/", 2)[1:])
