"""
What a headless run costs beside papermill itself: the whole plan-only chain on 1,000 VMs against papermill on an empty
notebook, turn by turn on the same machine; and what it costs to import the library and to start the command line.

`PYTHONPATH=tests python -m bench.chain` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.estate import SEED, write_sandbox
from bench.figures import Figure, report

from runbook_lib.folder import NOTEBOOKS

__all__ = ["main"]

VMS = 1_000
TURNS = 3
EMPTY = {
    "cells": [],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
BIN = Path(sys.executable).parent


def _timed(command: Sequence[str | Path], **variables: str) -> tuple[float, float]:
    """
    Run a command, and return the seconds that it took and those that it and its children computed.
    """
    before, start = os.times(), time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
    taken, after = time.perf_counter() - start, os.times()
    # A run that only plans ends with 3 where some VMs are blocked.
    if ended.returncode not in (0, 3):
        raise ValueError(f"{command} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return taken, computed


def _chain(folder: Path, turn: int) -> tuple[float, float]:
    state, out = folder / f"{turn}.sqlite", folder / f"run-{turn}"
    shutil.copy(folder / "sandbox.sqlite", state)
    return _timed([BIN / "runbook", "run", "--out", out], RUNBOOK_SANDBOX=str(state))


def _by_notebook(out: Path) -> str:
    """
    Say what each notebook of a run took, from papermill's record of it.
    """
    seconds = {
        name: json.loads((out / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]["papermill"]["duration"]
        for name in NOTEBOOKS
    }
    told = ", ".join(f"{name[:2]} {taken:.2f}" for name, taken in seconds.items())
    return f"seconds by notebook, last turn: {told}; together {sum(seconds.values()):.2f}"


def main() -> int:
    """
    Run the benchmark and return its exit code.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_sandbox(folder / "sandbox.sqlite", VMS)
        (folder / "empty.ipynb").write_text(json.dumps(EMPTY), encoding="utf-8")
        chains, empties, imports, starts = [], [], [], []
        for turn in range(TURNS):
            empties.append(_timed([BIN / "papermill", folder / "empty.ipynb", folder / "out.ipynb"]))
            chains.append(_chain(folder, turn))
            imports.append(_timed([sys.executable, "-c", "import runbook_lib"]))
            starts.append(_timed([BIN / "runbook", "--help"]))
        used = _timed([sys.executable, "-c", "from runbook_lib import open_run"])
        notes = [
            f"{VMS:,} VMs, seed {SEED}, no latency; medians of {TURNS} turns",
            f"chain {median(wall for wall, _ in chains):.2f} s ({median(cpu for _, cpu in chains):.2f} s computing),"
            f" empty notebook {median(wall for wall, _ in empties):.2f} s"
            f" ({median(cpu for _, cpu in empties):.2f} s computing)",
            f"what a notebook's first cell imports: {used[0]:.2f} s ({used[1]:.2f} s computing), while papermill loads",
            _by_notebook(folder / f"run-{TURNS - 1}"),
        ]
    ratio = median(chain[0] / empty[0] for chain, empty in zip(chains, empties, strict=True))
    return report(
        "A headless run",
        [
            Figure(what=f"P4 chain on {VMS:,} VMs / papermill on an empty notebook", value=ratio, most=2.5, unit="x"),
            Figure(what="P4 import runbook_lib", value=median(wall for wall, _ in imports), most=0.8, unit=" s"),
            Figure(what="P4 start of the command line", value=median(wall for wall, _ in starts), most=0.8, unit=" s"),
        ],
        notes,
    )


if __name__ == "__main__":
    sys.exit(main())
