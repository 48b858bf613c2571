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

from fidelity.recordings import read_recordings
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

    @property
    def _specification(self) -> Path:
        return self.reference / "azure-specs" / "specification"
