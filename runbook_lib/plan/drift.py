"""
Whether the world is still the one that a plan was made on, and whether it became what the plan promised.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.plan.effects import Draft, is_done, project
from runbook_lib.records import Change, Inventory, Lock, Plan, Step, digest, key, material

__all__ = ["Difference", "compare", "freeze", "locks_of", "moved", "plan_digest", "world_moved"]

State = dict[str, Any] | None
# Fields that plans of older versions lack, and that not everybody tells of: compared where both sides do.
_UNTOLD = ("unique_id",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    One field of one resource that is not as expected; `field` is empty when a whole resource is there or missing.
    """

    resource: str
    field: str
    expected: Any
    found: Any


def freeze(inventory: Inventory, changes: Iterable[Change]) -> tuple[dict[str, tuple[Any, ...]], Inventory]:
    """
    Return the states that everything read or written passes through as *changes* are made, and the world after them.
    """
    writes: dict[str, list[Change]] = {}
    states: dict[str, list[State]] = {}
    world = Draft(inventory)
    for change in changes:
        for each in (change.target, *change.reads):
            if (place := key(each)) not in states:
                states[place] = [_state(inventory, each)]
        writes.setdefault(key(change.target), []).append(change)
        world.make(change)
    for target, own in writes.items():
        # A change that fails does not keep the others from being made: any of them may be missing.
        for made in (made for size in range(1, len(own)) for made in itertools.combinations(own, size)):
            part = Draft(inventory)
            for change in made:
                part.make(change)
            states[target].append(_state(part, target))
        states[target].append(_state(world, target))
    return {each: tuple(found) for each, found in sorted(states.items())}, world.inventory()


def moved(step: Step, observed: Inventory) -> tuple[Difference, ...]:
    """
    List what is in none of the states that *step* knows of; nothing when the step has nothing left to do.

    A resource that already is as the step would make it is no drift: an interrupted apply left it so.
    """
    if all(is_done(observed, change) for change in step.changes):
        return ()
    return tuple(
        difference
        for each, states in step.world.items()
        if not any(_is(expected, now := _state(observed, each)) for expected in states)
        for difference in _differences(each, _nearest(states, now), now)
    )


def world_moved(plan: Plan, observed: Inventory) -> tuple[Difference, ...]:
    """
    List the locks that are new on what the plan has to write; else what is not as the plan expects it, or leaves it,
    step by step; up to the first step with such a thing, for the later ones rest on it.
    """
    left = [change for change in plan.changes if not is_done(observed, change)]
    new = set() if plan.locks is None else locks_of(observed, left).keys() - set(plan.locks)
    if new:
        return tuple(Difference(resource=each, field="", expected=False, found=True) for each in sorted(new))
    world = observed
    for step in plan.steps:
        if found := moved(step, world):
            return found
        world = project(world, step.changes)
    return ()


def locks_of(inventory: Inventory, changes: Iterable[Change]) -> dict[str, Lock]:
    """
    Return the locks that hold what *changes* write, by key.
    """
    return {key(lock.id): lock for change in changes for lock in inventory.locks_on(change.target)}


def _nearest(states: Sequence[State], now: State) -> State:
    """
    Choose what to compare with: what the plan would make of a resource that was not there, else what was there.
    """
    return states[-1] if states[0] is None and now is not None else states[0]


def compare(projected: Inventory, observed: Inventory, changes: Sequence[Change]) -> tuple[Difference, ...]:
    """
    List where the world differs from what *changes* promised, looking at what they wrote.
    """
    return tuple(
        difference
        for each in dict.fromkeys(key(change.target) for change in changes)
        for difference in _differences(each, _state(projected, each), _state(observed, each))
    )


def plan_digest(plan: Plan) -> str:
    """
    Return the digest that names a plan: over its target, what was asked for, its steps and its notes.
    """
    return digest(replace(plan, digest=""))


def _is(expected: State, found: State) -> bool:
    if expected == found:
        return True
    return expected is not None and found is not None and not any(_differing(expected, found))


def _differing(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name in sorted({*expected, *found}):
        there, here = expected.get(name), found.get(name)
        if there != here and (name not in _UNTOLD or (there and here)):
            yield name


def _state(world: Inventory | Draft, each: str) -> State:
    found = world.find(each)
    return material(found) if found is not None else None


def _differences(each: str, expected: State, found: State) -> list[Difference]:
    if expected is None or found is None:
        if expected is found:
            return []
        return [Difference(resource=each, field="", expected=expected is not None, found=found is not None)]
    return [
        Difference(resource=each, field=name, expected=expected.get(name), found=found.get(name))
        for name in _differing(expected, found)
    ]
