"""
What a copy of an estate costs: calls, time and size, for 1,000 VMs and under the documented limits.

`PYTHONPATH=tests python -m bench.snapshot` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.estate import SEED, write_sandbox
from bench.figures import Figure, report
from click.testing import CliRunner

from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.opening import open_session
from runbook_lib.cli import main as command
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters
from runbook_lib.sandbox import Sandbox

__all__ = ["main"]

VMS = 1000


def measured(folder: Path) -> list[Figure]:
    """
    Copy an estate, and read the copy as a run does.
    """
    path = folder / "bench.sqlite"
    write_sandbox(path, VMS, {"throttle": "arm2024"})
    os.environ["RUNBOOK_SANDBOX"] = str(path)
    sandbox = Sandbox(path)
    read_inventory(open_session("sandbox", Journal(folder / "read.jsonl")), Parameters())
    one_pass = len(sandbox.requests())
    file = folder / "copy.json"
    start = time.perf_counter()
    result = CliRunner().invoke(command, ["snapshot", str(file)], catch_exceptions=False)
    seconds = time.perf_counter() - start
    calls = len(sandbox.requests()) - one_pass
    sandbox.close()
    start = time.perf_counter()
    loaded = CliRunner().invoke(command, ["sandbox", "load", str(file)], catch_exceptions=False)
    loading = time.perf_counter() - start
    return [
        Figure(what="exit codes of snapshot and load", value=result.exit_code + loaded.exit_code, most=0, unit=""),
        Figure(what=f"calls: {calls} / one pass of {one_pass} reads", value=calls / one_pass, most=1.0, unit="x"),
        Figure(what="time to copy", value=seconds, most=10, unit=" s"),
        Figure(what="time to load the copy", value=loading, most=10, unit=" s"),
        Figure(what="size of the file for a VM", value=file.stat().st_size / VMS / 1024, most=16, unit=" KiB"),
    ]


def main(arguments: list[str] | None = None) -> int:
    """
    Run the benchmark and return its exit code.
    """
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RUNBOOK_STATE"] = str(folder / "state")
        figures = measured(folder)
    return report(f"A copy of {VMS:,} VMs, seed {SEED}", figures)


if __name__ == "__main__":
    sys.exit(main())
