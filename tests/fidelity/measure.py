"""
One measurement of the sandbox: the traffic of its tests and of what it was made to play again, what the specs and the
recordings say about it, and how many seeded bugs that finds.
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

from fidelity.examples import Example
from fidelity.likeness import Likeness
from fidelity.mutation import Outcome, judge_mutants
from fidelity.recordings import Shape, read_recordings
from fidelity.replay import Replay, read_case, replay_all
from fidelity.specs import HERE, Allowed, Finding, Verdict, judge, read_allowed
from fidelity.traffic import TRAFFIC

__all__ = ["REFERENCE", "Measurement", "missing"]

REFERENCE = "RUNBOOK_REFERENCE"
_TESTS = HERE.parent


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

    @property
    def traffic(self) -> list[dict[str, Any]]:
        """
        Return what the sandbox answered in its own tests.

        Raises:
            ValueError: a test failed, so that there is no telling what is missing.
        """
        failure, exchanges = self._suite
        if failure:
            raise ValueError(f"The sandbox's own tests fail, so there is no traffic to judge: {failure}")
        return exchanges

    @cached_property
    def _suite(self) -> tuple[str, list[dict[str, Any]]]:
        """
        Run the sandbox's tests once, whatever comes of it, and return what failed and the traffic.
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
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            return done.stdout if done.returncode else "", [json.loads(line) for line in lines]

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
    def likeness(self) -> Likeness:
        """
        Return what the recordings show.
        """
        return Likeness(self.recorded)

    @cached_property
    def invented(self) -> dict[str, Shape]:
        """
        Return what the bodies of a kind show in the traffic of the tests and no recorded body of that kind does.
        """
        return self.likeness.invented(self.traffic)

    @cached_property
    def always_shown(self) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """
        Return each place, by operation, that all its recorded successes show, and those that the sandbox never shows.
        """
        return self.likeness.always(self.traffic)

    @cached_property
    def replayed(self) -> Replay:
        """
        Play the official examples and the recorded sequences.
        """
        return replay_all(read_case(self.reference, self.recorded))

    @cached_property
    def judged_examples(self) -> list[tuple[Example, Verdict]]:
        """
        Return what the specs say about the answers to the examples.
        """
        verdicts = judge(self.replayed.answers, self._specification)
        return [(example, verdict) for (example, _), verdict in zip(self.replayed.examples, verdicts, strict=True)]

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """
        Return what became of the sandbox as it is, and of each bug that it was seeded with.
        """
        return judge_mutants(self.reference, self.likeness.always(self.replayed.traffic, held=True)[1])

    @property
    def _specification(self) -> Path:
        return self.reference / "azure-specs" / "specification"
