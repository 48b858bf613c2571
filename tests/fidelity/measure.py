"""
One measurement of the sandbox: the traffic of its tests, what the specs say about it, and what was recorded of Azure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fidelity.recordings import Shape, by_answer, kind_of, read_recordings, shape
from fidelity.specs import HERE, Allowed, Finding, Verdict, judge, read_allowed
from fidelity.traffic import TRAFFIC

__all__ = ["REFERENCE", "Measurement", "missing"]

REFERENCE = "RUNBOOK_REFERENCE"
_TESTS = HERE.parent
# Bodies that the sandbox shows as an estate holds them: what they lack, the estate lacks.
_HELD = ("Microsoft.Compute", "Microsoft.Network")


def missing() -> str:
    """
    Tell what the gates lack on this machine, with what helps; empty when they can run.
    """
    if not os.environ.get(REFERENCE):
        return f"{REFERENCE} is unset: set it to a folder made as docs/fidelity-data.md tells"
    if not (HERE / "node_modules" / "oav").is_dir():
        return "oav is not installed: run `npm ci` in tests/fidelity"
    return ""


@dataclass(frozen=True)
class Measurement:
    """
    What was measured against the reference data in a folder; each part is measured when it is first asked for.
    """

    reference: Path

    @cached_property
    def traffic(self) -> list[dict[str, Any]]:
        """
        Run the sandbox's tests and return what it answered.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "traffic.jsonl"
            # Without the reference data, for the estate made of recordings would hold Azure's bodies against the specs.
            environment = {name: value for name, value in os.environ.items() if name != REFERENCE}
            environment |= {TRAFFIC: str(file), "PYTHONPATH": str(_TESTS)}
            arguments = ["-q", "-p", "no:cacheprovider", "-p", "fidelity.traffic", str(_TESTS / "sandbox")]
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *arguments],
                env=environment,
                cwd=_TESTS.parent,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ValueError(f"The sandbox's own tests fail, so there is no traffic to judge: {done.stdout}")
            return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """
        Return what the specs say about the traffic, in its order.
        """
        return judge(self.traffic, self._specification)

    @cached_property
    def findings(self) -> frozenset[Finding]:
        """
        Return all that the specs find wrong with the traffic.
        """
        return frozenset().union(*(verdict.findings for verdict in self.verdicts))

    @cached_property
    def recorded(self) -> list[dict[str, Any]]:
        """
        Return the recorded exchanges that the sandbox has an operation for.
        """
        return list(read_recordings(self.reference / "recordings"))

    @cached_property
    def proved(self) -> dict[Allowed, frozenset[Finding]]:
        """
        Return what the specs find wrong with the recording that each entry of the allow-list names.
        """
        named = [
            (entry, exchange) for entry in read_allowed() for exchange in self.recorded if entry.is_proved_by(exchange)
        ]
        verdicts = judge([exchange for _, exchange in named], self._specification)
        found: dict[Allowed, frozenset[Finding]] = dict.fromkeys(read_allowed(), frozenset())
        for (entry, _), verdict in zip(named, verdicts, strict=True):
            found[entry] |= verdict.findings
        return found

    @cached_property
    def invented(self) -> dict[str, Shape]:
        """
        Return what the sandbox's bodies of a kind show and no recorded body of that kind does.
        """
        ours, theirs = _shapes(self.traffic), _shapes(self.recorded)
        return {kind: shown - theirs[kind] for kind, shown in ours.items() if kind in theirs}

    @cached_property
    def always_shown(self) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """
        Return each place, by operation, that all its recorded successes show, and those that the sandbox never shows.
        """
        theirs = by_answer(each for each in self.recorded if _has_rows(each["response"]["body"]))
        always, missing = set(), set()
        for (operation, status), answers in by_answer(self.traffic).items():
            held = any(provider in operation for provider in _HELD)
            if held or status >= 300 or (operation, status) not in theirs:
                continue
            places = frozenset.intersection(*map(_places, theirs[operation, status]))
            always |= {(operation, place) for place in places}
            missing |= {(operation, place) for place in places.difference(*map(_places, answers))}
        return frozenset(always), frozenset(missing)

    @property
    def _specification(self) -> Path:
        return self.reference / "azure-specs" / "specification"


def _shapes(exchanges: list[dict[str, Any]]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for (operation, status), answers in by_answer(exchanges).items():
        kind = kind_of(operation, status)
        shapes[kind] = shapes.get(kind, frozenset()).union(*(shape(each["response"]["body"]) for each in answers))
    return {kind: found for kind, found in shapes.items() if found}


def _places(exchange: dict[str, Any]) -> frozenset[str]:
    return frozenset(path for path, _ in shape(exchange["response"]["body"]))


def _has_rows(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("value", body))
