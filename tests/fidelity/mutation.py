"""
How many seeded bugs the gates object to, in a quick form: what `replay` plays shortened, and what the specs say of it.

Imports `mutants`, `replay` and `specs`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import pytest
from fidelity.likeness import Likeness
from fidelity.mutants import MUTANTS
from fidelity.recordings import Exchange, read_recordings
from fidelity.replay import Case, Replay, objections, read_case
from fidelity.seeding import Mutant
from fidelity.specs import Finding, judge, read_allowed

__all__ = ["Outcome", "judge_mutants"]

_PROCESSES = 2
_NONE = Mutant(name="None: the sandbox as it is", apply=lambda patch: None)
# What differs between two answers that are alike: generated ids and tokens, moments and durations.
_PASSING = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\d{4}-\d{2}-\d{2}T[\d:.%A-F]+|PT[\dHMS.]+|[A-Za-z0-9+/_-]{40,}=*|\d{12,}"
)
_Places = frozenset[tuple[str, str]]
# Exchanges by what they show; and for each bug tried what was objected to, or by those keys what was not.
_Tried = tuple[dict[str, Exchange], list[tuple[str, frozenset[str]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What became of a bug.

    Args:
        objection: what a gate said; empty when none objected.
    """

    name: str
    objection: str


def judge_mutants(reference: Path, lacking: _Places) -> list[Outcome]:
    """
    Seed no bug, then one after another, and return what the gates object to; the specs see what the others let pass.

    Args:
        lacking: the places, by operation, that all recorded answers show and the sandbox is known not to.
    """
    mutants = (_NONE, *MUTANTS)
    shares = [range(first, len(mutants), _PROCESSES) for first in range(_PROCESSES)]
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        done = list(pool.map(_try_all, [reference] * _PROCESSES, [lacking] * _PROCESSES, shares))
    exchanges = dict(chain.from_iterable(each.items() for each, _ in done))
    said = _findings(exchanges, reference)
    outcomes: dict[int, Outcome] = {}
    for share, (_, trials) in zip(shares, done, strict=True):
        for place, (objection, keys) in zip(share, trials, strict=True):
            found = sorted(finding for key in keys for finding in said[key])
            objection = objection or (f"spec: {found[0]}" if found else "")
            outcomes[place] = Outcome(name=mutants[place].name, objection=objection)
    return [outcomes[place] for place in sorted(outcomes)]


def _try_all(reference: Path, lacking: _Places, places: Iterable[int]) -> _Tried:
    """
    Try some of the bugs; this runs in a process of its own.
    """
    recorded = list(read_recordings(reference / "recordings"))
    case, likeness = read_case(reference, recorded).shortened(), Likeness(recorded)
    exchanges: dict[str, Exchange] = {}
    trials = []
    for place in places:
        replay = Replay()
        with pytest.MonkeyPatch.context() as patch:
            (_NONE, *MUTANTS)[place].apply(patch)
            objection = next(_tried(replay, case, likeness, lacking), "")
        shown = {} if objection else {_key(each): each for each in replay.traffic + replay.answers}
        exchanges |= shown
        trials.append((objection, frozenset(shown)))
    return exchanges, trials


def _tried(replay: Replay, case: Case, likeness: Likeness, lacking: _Places) -> Iterator[str]:
    try:
        yield from objections(replay, case, likeness, lacking)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A sandbox that breaks, or answers what cannot be read, is none.
        yield f"broken: {error!r}"


def _findings(exchanges: dict[str, Exchange], reference: Path) -> dict[str, list[Finding]]:
    """
    Return what the specs find wrong with exchanges and Azure was not recorded with, be it allowed or put on the stage.
    """
    recorded = list(read_recordings(reference / "recordings"))
    sequences = read_case(reference, recorded).shortened().sequences
    calls = [call for sequence in sequences for call in sequence.calls]
    verdicts = judge([*calls, *exchanges.values()], reference / "azure-specs" / "specification")
    theirs = {_place(finding) for each in verdicts[: len(calls)] for finding in each.findings}
    allowed = read_allowed()
    return {
        key: [
            finding
            for finding in verdict.findings
            if _place(finding) not in theirs and not any(entry.covers(finding) for entry in allowed)
        ]
        for key, verdict in zip(exchanges, verdicts[len(calls) :], strict=True)
    }


def _place(finding: Finding) -> tuple[str, str, str, str]:
    return finding.operation, finding.side, finding.code, finding.path


def _key(exchange: Exchange) -> str:
    shown = [exchange["operation"], exchange["request"], exchange["response"]["status"], exchange["response"]["body"]]
    return hashlib.sha256(_PASSING.sub("", json.dumps(shown)).encode()).hexdigest()
