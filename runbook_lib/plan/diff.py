"""
A plan as a difference: for each resource that it touches, what each field is and what it will be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runbook_lib.plan.drift import Difference
from runbook_lib.records import Change, Inventory, ProtectedItem, Resource, Vault, key, material

__all__ = ["diff"]


def diff(before: Inventory, after: Inventory, changes: Sequence[Change]) -> tuple[Difference, ...]:
    """
    List the fields that *changes* alter: `found` is what is, `expected` what will be; None stands for nothing.

    Args:
        after: the inventory projected through the changes.
    """
    return tuple(
        Difference(resource=then.id, field=name, expected=new.get(name), found=old.get(name))
        for each in _touched(after, changes)
        if (then := after.find(each)) is not None
        for old, new in [(_shown(before.find(each)), _shown(then))]
        for name in dict.fromkeys([*new, *old])
        if new.get(name) != old.get(name)
    )


def _touched(after: Inventory, changes: Sequence[Change]) -> Iterator[str]:
    """
    Name what the changes write, and the vaults whose replication locks with an item.
    """
    seen = set()
    for change in changes:
        item = after.items.get(key(change.target))
        for each in (key(item.vault_id), key(change.target)) if item else (key(change.target),):
            if each not in seen:
                seen.add(each)
                yield each


def _shown(record: Resource | None) -> dict[str, Any]:
    """
    Return the fields of a record that people compare, each with a plain value.
    """
    if record is None:
        return {}
    shown = _flat(material(record))
    if isinstance(record, Vault):
        shown["redundancy_locked"] = record.redundancy_locked
    if isinstance(record, ProtectedItem) and record.points is not None:
        shown["recovery_points"] = len(record.points)
    # What its own id says need not be said again.
    return {name: value for name, value in shown.items() if name not in ("id", "vault_id")}


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
