"""
A plan as a difference: for each resource that it writes, what each field is and what it will be.

It is read off the states that the plan was frozen with, so that it is the same wherever and whenever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from runbook_lib.plan.drift import Difference
from runbook_lib.records import Change, Step, key

__all__ = ["diff"]


def diff(steps: Iterable[Step]) -> tuple[Difference, ...]:
    """
    List the fields that the steps alter: `found` is what is, `expected` what will be; None stands for nothing.
    """
    return tuple(difference for step in steps for difference in _of_step(step))


def _of_step(step: Step) -> Iterator[Difference]:
    written: dict[str, list[Change]] = {}
    for change in step.changes:
        written.setdefault(key(change.target), []).append(change)
    for target, changes in written.items():
        states = step.world[target]
        old, new = _shown(states[0]), _shown(states[-1])
        for change in changes:
            _add_facts(change, old, new)
        for name in dict.fromkeys([*new, *old]):
            if new.get(name) != old.get(name):
                yield Difference(resource=changes[0].target, field=name, expected=new.get(name), found=old.get(name))


def _add_facts(change: Change, old: dict[str, Any], new: dict[str, Any]) -> None:
    """
    Add what a change does beside the fields of its own resource.
    """
    if "lost" in change.facts:
        old["recovery_points"] = change.facts["points"]
        new["recovery_points"] = change.facts["points"] - change.facts["lost"]
    if "replication" in change.irreversible:
        old["vault.redundancy_locked"], new["vault.redundancy_locked"] = False, True


def _shown(state: Any) -> dict[str, Any]:
    """
    Return the fields of a record's material form that people compare, each with a plain value.
    """
    # What its own id says need not be said again.
    return {name: value for name, value in _flat(state or {}).items() if name not in ("id", "vault_id")}


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, each in value.items():
        if isinstance(each, dict):
            flat |= _flat(each, f"{prefix}{name}.")
        elif isinstance(each, list) and each and all(isinstance(one, dict) and "name" in one for one in each):
            flat |= {f"{prefix}{name}.{one['name']}": _said(one) for one in each}
        else:
            flat[prefix + name] = each
    return flat


def _said(record: dict[str, Any]) -> str:
    return "; ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in record.items()
        if name != "name"
    )
