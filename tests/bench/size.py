"""
What size costs: a VM among 50,000 against a VM among 1,000, the memory of a run, and the size of its evidence.

`PYTHONPATH=tests python -m bench.size` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.estate import SEED, subscriptions_of, write_sandbox
from bench.figures import Figure, report

from runbook_lib.evidence import ATTESTATION, read_json, verify
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import Parameters
from runbook_lib.run import Run

__all__ = ["main"]

SMALL, MIDDLE, LARGE = 1_000, 10_000, 50_000
MIB = 1 << 20
BIN = Path(sys.executable).parent


def _assess(out: Path) -> int:
    """
    Assess an estate in this process, and print the seconds computed for each part of it.
    """
    run = Run(RunFolder(out), Parameters())
    run.notebook = "00_start"
    parts: dict[str, Callable[[], Any]] = {
        "read": lambda: run.before,
        "judge": lambda: run.findings(run.inventory),
        "plan": lambda: run.plan,
        "project": lambda: run.projected,
        "readiness": lambda: run.readiness().html(),
        "save plan": lambda: run.folder.save_plan(run.plan),
    }
    taken = {}
    for name, part in parts.items():
        start = time.process_time()
        part()
        taken[name] = time.process_time() - start
    sys.stdout.write(json.dumps(taken))
    return 0


def _assessed(state: Path, out: Path) -> dict[str, float]:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.size", "--assess", str(out)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"RUNBOOK_SANDBOX": str(state)},
    )
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _resident(root: int) -> int:
    """
    Return the resident bytes of a process and its descendants, what they share counted once: of a run these are the
    runner and its kernel, in which the sandbox answers.
    """
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    todo, found = [root], 0
    while todo:
        each = todo.pop()
        todo += parents.get(each, [])
        try:
            told = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        found += sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:"))
    return found * 1024


def _chain(state: Path, out: Path) -> tuple[float, float, int]:
    """
    Run the plan-only chain.

    Returns:
        Its seconds, the seconds that it computed, and its memory at the highest.
    """
    before, start, peak = os.times(), time.perf_counter(), 0
    with out.with_suffix(".log").open("wb") as log:
        running = subprocess.Popen(
            [BIN / "runbook", "run", "--out", out],
            stdout=log,
            stderr=log,
            env=os.environ | {"RUNBOOK_SANDBOX": str(state)},
        )
        while running.poll() is None:
            peak = max(peak, _resident(running.pid))
            time.sleep(0.1)
    after = os.times()
    if running.returncode != 3:
        raise ValueError(f"the run ended with {running.returncode}: {out.with_suffix('.log').read_text()[-2000:]}")
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, computed, peak


def _sizes(out: Path) -> str:
    files = {path.relative_to(out).as_posix(): path.stat().st_size for path in out.rglob("*") if path.is_file()}
    largest = sorted(files.items(), key=lambda each: -each[1])[:8]
    told = ", ".join(f"{name} {size / MIB:.1f}" for name, size in largest)
    return f"evidence {sum(files.values()) / MIB:.0f} MiB in {len(files)} files; the largest, in MiB: {told}"


def main(arguments: list[str] | None = None) -> int:
    """
    Run the benchmark and return its exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assess", type=Path, help=argparse.SUPPRESS)
    assessing = parser.parse_args(arguments).assess
    if assessing is not None:
        return _assess(assessing)
    notes = [f"seed {SEED}, no latency; memory is that of the runner and its kernel, the sandbox in it included"]
    costs: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for size in (SMALL, MIDDLE, LARGE):
            state = folder / f"{size}.sqlite"
            write_sandbox(state, size)
            parts = _assessed(state, folder / f"assess-{size}")
            costs[size] = sum(parts.values()) / size
            told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
            notes.append(f"{size:,} VMs in {len(subscriptions_of(size))} subscriptions, seconds computed: {told}")
        for size in (SMALL, LARGE):
            out = folder / f"run-{size}"
            wall, computed, peak = _chain(folder / f"{size}.sqlite", out)
            notes.append(
                f"the plan-only chain on {size:,} VMs: {wall:.0f} s ({computed:.0f} s computing); {_sizes(out)}"
            )
        start = time.process_time()
        found = verify(out)
        notes.append(f"verifying it: {time.process_time() - start:.1f} s, {'accepted' if found.accepted else 'BROKEN'}")
        notebook = max(path.stat().st_size for path in out.glob("*.ipynb"))
        tables = {path.relative_to(out).as_posix() for path in (out / "tables").iterdir()}
        missing = tables - _sealed(out)
    return report(
        "Size",
        [
            Figure(
                what=f"P6 a VM among {LARGE:,} / among {SMALL:,}", value=costs[LARGE] / costs[SMALL], most=1.2, unit="x"
            ),
            Figure(what=f"P6 memory of a run on {LARGE:,} VMs", value=peak / MIB, most=1024, unit=" MiB"),
            Figure(what="P6 the largest executed notebook", value=notebook / 1e6, most=5, unit=" MB"),
            Figure(
                what=f"P6 of its {len(tables)} whole tables, not in the attestation",
                value=len(missing),
                most=0,
                unit="",
            ),
        ],
        notes,
    )


def _sealed(out: Path) -> set[str]:
    from securesystemslib.dsse import Envelope

    statement = json.loads(Envelope.from_dict(read_json(out / ATTESTATION)).payload)
    return {each["name"] for each in statement["subject"]}


if __name__ == "__main__":
    sys.exit(main())
