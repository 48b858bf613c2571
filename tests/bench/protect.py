"""
What enabling backup on 1,000 VMs takes under the service's limits, and what is left to do after a run was killed.

The sandbox is served over HTTP by a process of its own, with the documented limits, latency as measured and durations
as recorded, and its log of requests is the judge. Where seconds are compared its clock is a real one: a faster one
would multiply what this machine takes to compute. `PYTHONPATH=tests python -m bench.protect` prints each figure with
its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from bench.estate import SEED, write_sandbox
from bench.figures import Figure, report

from runbook_lib.arm.session import Session
from runbook_lib.folder import RunFolder
from runbook_lib.parameters import build
from runbook_lib.records import Target
from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox

__all__ = ["main"]

# Of these about a thousand can be enabled and are not.
VMS = 1300
# How fast the clock runs, by the limits: under the strict ones it is only asked whether all comes to its end.
CLOCKS = {"arm2024": 1, "backup-strict": 3}
LATENCY = ("0.12", "0.9")
# The longest time in which the service was recorded to enable a VM, and its bucket of writes.
LONGEST, BUCKET, REFILL = 58.0, 200, 10.0
PARAMETERS = {"max_errors": 1000}
RUNBOOK = [sys.executable, "-m", "runbook_lib"]
# Parts of the VMs, in percent, after which a run is killed; of these VMs so many are to be enabled.
PARTS = (25, 50, 75)
WANTED = 1152


class _Token(SansIOHTTPPolicy[Any, Any]):
    """
    Sends the token without TLS, which the clients' own policy refuses to do.
    """

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers.setdefault("Authorization", "Bearer a-token-of-the-benchmark")


class _Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("a-token-of-the-benchmark", int(time.time()) + 3600)


@contextmanager
def _served(path: Path, throttle: str) -> Iterator[str]:
    words = [sys.executable, "-m", "runbook_lib", "sandbox", "serve", "--throttle", throttle, "--latency", *LATENCY]
    words += ["--clock-scale", str(CLOCKS[throttle]), "--seed", str(SEED)]
    environment = os.environ | {"RUNBOOK_SANDBOX": str(path)}
    server = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield "http://" + server.stdout.readline().split("http://", 1)[1].split()[0]  # type: ignore[union-attr]
    finally:
        server.terminate()
        server.wait(30)


def _run(folder: Path, url: str, path: Path) -> Run:
    run = Run(RunFolder(folder), build(PARAMETERS))
    run.session = Session(
        Target(kind="sandbox", name="bench", caller="operator@sandbox"),
        _Credential(),
        run.folder.journal,
        base_url=url,
        place=str(path),
        authentication_policy=_Token(),
    )
    return run


def _puts(requests: list[dict[str, Any]]) -> Counter[str]:
    return Counter(
        each["path"].lower()
        for each in requests
        if each["method"] == "PUT" and "/protecteditems/" in each["path"].lower()
    )


def throttled(folder: Path, throttle: str) -> list[Figure]:
    """
    Enable backup on all VMs under the limits *throttle*.
    """
    path = folder / f"{throttle}.sqlite"
    write_sandbox(path, VMS)
    sandbox = Sandbox(path)
    with _served(path, throttle) as url:
        run = _run(folder / throttle, url, path)
        run.apply_plan(run.plan, ["01", "02", "03"])
        run.read_again()
        plan = run.plan
        wanted = sum(change.kind == "protect" for change in plan.changes)
        since = sandbox.requests()[-1]["seq"]
        start = time.perf_counter()
        ended = run.apply_plan(plan, ["04"])
        wall = (time.perf_counter() - start) * CLOCKS[throttle]
    requests = sandbox.requests(since)
    sandbox.close()
    floor = max(0, wanted - BUCKET) / REFILL + LONGEST
    refused = sum(1 for each in requests if each["status"] == 429)
    accepted = _puts([each for each in requests if each["status"] < 300])
    done = sum(each.outcome == "done" for each in ended if each.change.kind == "protect")
    reads = Counter(each["path"].lower().rsplit("/", 1)[-1] for each in requests if each["method"] == "GET")
    lists = {name: reads[name] for name in ("backupprotecteditems", "backupjobs", "backuppolicies")}
    name = f"{wanted:,} VMs under {throttle}, clock x {CLOCKS[throttle]}"
    # What the strict limits ask for is that all comes to its end.
    timed = CLOCKS[throttle] == 1
    taken = Figure(what=f"{name}: {wall:.0f} s / floor of {floor:.0f} s", value=wall / floor, most=1.10, unit="x")
    return [
        *([taken] if timed else []),
        Figure(
            what=f"{name}: refused with 429, of {len(requests):,} requests",
            value=100 * refused / len(requests),
            most=0.5,
            unit=" %",
        ),
        Figure(what=f"{name}: reads of one action, {lists}", value=max(lists.values()), most=30, unit=""),
        Figure(what=f"{name}: not enabled", value=wanted - done, most=0, unit=""),
        Figure(what=f"{name}: sent twice", value=sum(count > 1 for count in accepted.values()), most=0, unit=""),
    ]


def resumed(folder: Path) -> list[Figure]:
    """
    Kill `runbook run --apply` when a part of its VMs was sent, and count what `runbook resume` takes to end it.
    """
    figures = []
    for part in PARTS:
        path = folder / f"killed-{part}.sqlite"
        write_sandbox(path, VMS)
        sandbox = Sandbox(path)
        out = str(folder / f"killed-{part}")
        words = ["run", "--apply", "--out", out, "-p", "max_errors", "1000"]
        options: dict[str, Any] = {"env": os.environ | {"RUNBOOK_SANDBOX": str(path)}, "stdout": subprocess.DEVNULL}
        child = subprocess.Popen([*RUNBOOK, *words], **options)
        while child.poll() is None and _sent(sandbox) < WANTED * part / 100:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        sent, since = _sent(sandbox), sandbox.requests()[-1]["seq"]
        ended = subprocess.run([*RUNBOOK, "resume", out], check=False, **options)
        # Some VMs are blocked.
        if ended.returncode != 3:
            raise ValueError(f"resume ended with {ended.returncode}")
        requests = sandbox.requests(since)
        puts = _puts(sandbox.requests())
        again = [each for each in requests if each["method"] == "PUT" and "/protecteditems/" in each["path"].lower()]
        # A reading of the estate begins with the list of its subscriptions; nothing but rights is read after the last.
        last = max(each["seq"] for each in requests if each["path"] == "/subscriptions")
        one_pass = sum(each["seq"] >= last and not each["path"].endswith("/permissions") for each in requests)
        least = len(puts) - sent + one_pass
        sandbox.close()
        name = f"killed after {sent:,} of {len(puts):,} VMs"
        figures += [
            Figure(
                what=f"{name}: {len(requests):,} calls / {len(again):,} PUTs and one pass of {one_pass} reads",
                value=len(requests) / least,
                most=1.10,
                unit="x",
            ),
            # Whether the world is still the planned one is read before anything is sent, and what became of it after.
            Figure(
                what=f"{name}: {len(requests):,} calls / the same with both passes that are promised",
                value=len(requests) / (least + one_pass),
                most=1.10,
                unit="x",
            ),
            Figure(what=f"{name}: sent twice", value=sum(each > 1 for each in puts.values()), most=0, unit=""),
        ]
    return figures


def _sent(sandbox: Sandbox) -> int:
    return _puts(sandbox.requests()).total()


def main(arguments: list[str] | None = None) -> int:
    """
    Run the benchmark and return its exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kill", action="store_true", help="only what a killed run takes, without what depends on time"
    )
    killed = parser.parse_args(arguments).kill
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RUNBOOK_STATE"] = str(folder / "state")
        timed = () if killed else tuple(CLOCKS)
        figures = [*(each for throttle in timed for each in throttled(folder, throttle)), *resumed(folder)]
    return report(f"Protecting, latency {' '.join(LATENCY)} s, seed {SEED}", figures)


if __name__ == "__main__":
    sys.exit(main())
