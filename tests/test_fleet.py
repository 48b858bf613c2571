"""
Fleets: one chain for each target over any executor, each with evidence of its own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result
from test_headless import _slow as slow

from runbook_lib.cli import main
from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.events import Event
from runbook_lib.evidence import ATTESTATION
from runbook_lib.fleet import WORST, FleetResult, FleetRow, FleetTarget, cluster, run_fleet, run_target
from runbook_lib.parameters import build
from runbook_lib.sandbox import Sandbox, read_estate, write_estate

pytestmark = pytest.mark.commands

REGIONS = {"spain": "spaincentral", "west": "westeurope", "north": "northeurope"}


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def _targets(**regions: str) -> list[FleetTarget]:
    asked = {"vm_selector": "tag:wave=1", "apply": True}
    return [FleetTarget(name=name, asked=build(asked | {"location": region})) for name, region in regions.items()]


def _file(path: Path, **regions: str) -> Path:
    targets = [{"name": name, "location": region} for name, region in regions.items()]
    # JSON is YAML.
    path.write_text(json.dumps({"defaults": {"vm_selector": "tag:wave=1"}, "targets": targets}), encoding="utf-8")
    return path


def _hush(_: Event) -> None:
    pass


def _until(happens: Any, what: str, seconds: float = 100) -> Any:
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.05)
    return found


class _Here(Executor):
    """
    An executor that works in this process; its worker is lost at some targets, and has a defect at others.
    """

    def __init__(self, lost: tuple[str, ...] = (), defects: tuple[str, ...] = ()) -> None:
        self._errors = dict.fromkeys(lost, BrokenProcessPool("gone")) | dict.fromkeys(defects, TypeError("defect"))

    def submit(self, task: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if error := self._errors.get(args[0].name):
            future.set_exception(error)
        else:
            future.set_result(task(*args, **options))
        return future


# --- the command --------------------------------------------------------------------------------------------------


def test_a_fleet_runs_every_target_with_evidence_of_its_own(contoso: Sandbox, tmp_path: Path) -> None:
    """
    One table, one fleet.json, one exit code; once more on the same folder, what is sealed is left alone.
    """
    file, out = _file(tmp_path / "targets.yaml", **REGIONS), tmp_path / "out"
    first = _runbook("fleet", str(file), "--workers", "2", "--apply", "--out", str(out))
    told = json.loads((out / "fleet.json").read_text())
    seals = {name: (out / name / ATTESTATION).read_bytes() for name in REGIONS}
    second = _runbook("fleet", str(file), "--apply", "--out", str(out), "--json")

    assert 0 == first.exit_code, first.output
    assert "Fleet of 3 runs" in first.stdout
    assert [(name, "sealed", True, 0) for name in REGIONS] == [
        (each["name"], each["state"], each["ran"], each["exit_code"]) for each in told["runs"]
    ]
    assert {"ENABLED": 7} == told["counts"]
    assert {"SANDBOX (simulated)"} == {each["mark"] for each in told["runs"]}
    for each in told["runs"]:
        verified = _runbook("verify", str(out / each["name"]))
        assert (0, True) == (verified.exit_code, each["digest"] in verified.stdout)
    assert {False} == {each["ran"] for each in json.loads(second.stdout)["runs"]}
    assert seals == {name: (out / name / ATTESTATION).read_bytes() for name in REGIONS}


def test_a_target_with_an_estate_rehearses_on_its_own_copy(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The shared sandbox is not touched; its own lies beside the run.
    """
    file, out = tmp_path / "targets.yaml", tmp_path / "out"
    row = {"name": "copy", "estate": "contoso", "vm_selector": "name:bi01"}
    file.write_text(json.dumps({"targets": [row]}), encoding="utf-8")
    before = contoso.state_digest()
    result = _runbook("fleet", str(file), "--apply", "--out", str(out))

    assert 0 == result.exit_code, result.output
    assert (out / "copy.sandbox.sqlite").exists()
    assert before == contoso.state_digest()


@pytest.mark.parametrize("link", [True, False])
def test_what_a_dead_worker_left_of_a_sandbox_is_made_anew(contoso: Sandbox, tmp_path: Path, *, link: bool) -> None:
    """
    Its run had not begun; a link is not of its making, and is refused.
    """
    out, mine = tmp_path / "fleet", tmp_path / "mine"
    out.mkdir()
    mine.touch()
    if link:
        (out / "copy.sandbox.sqlite").symlink_to(mine)
    else:
        (out / "copy.sandbox.sqlite").write_text("half of it")
    asked = build({"vm_selector": "name:hr01"})
    target = FleetTarget(name="copy", asked=asked, estate="contoso", estate_digest="0")
    if link:
        with pytest.raises(InvalidParameters, match="no link is followed"):
            run_target(target, str(out), {})
    else:
        run_target(target, str(out), {})

    assert link != (out / "copy" / "attestation.dsse.json").exists()
    assert 0 == mine.stat().st_size


def test_all_problems_of_all_targets_are_told_before_anything_starts(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Each with the place in the file, the field and the rule.
    """
    file = tmp_path / "targets.yaml"
    rows: list[Any] = [
        {"name": "../up"},
        {"name": "a", "vault_name": "1", "backup_time": "9"},
        {"name": "A"},
        "web",
        {"name": "b", "valt_name": "x"},
        {"name": "c", "estate": "nowhere"},
        {"name": "d", "estate": "contoso", "target": "azure"},
        {"name": "e", "run_dir": "x"},
        {"vm_selector": "all"},
        {"name": "f", "max_errors": "10"},
        {"name": "g", "max_errors": "10", "estate": "nowhere"},
        {"name": "Con"},
    ]
    file.write_text(json.dumps({"targets": rows, "default": {}}), encoding="utf-8")
    result = _runbook("fleet", str(file), "--out", str(tmp_path / "out"), "--json")
    said = [each["message"] for each in json.loads(result.stdout)["errors"]]
    wanted = [
        "no entry 'default'",
        "targets[0].name: '../up'",
        "targets[1] (a): Parameter 'vault_name'",
        "targets[1] (a): Parameter 'backup_time'",
        "targets[2].name: 'A' is another",
        "'targets[3]' is not a mapping",
        "targets[4] (b): There is no parameter 'valt_name'",
        "targets[5] (c): The estate cannot be used: nowhere",
        "targets[6] (d): --estate is for the sandbox",
        "targets[7] (e): Parameter 'run_dir'",
        "targets[8]: name is missing",
        "targets[9] (f): Parameter 'max_errors' takes a int",
        "targets[10] (g): Parameter 'max_errors' takes a int",
        "targets[10] (g): The estate cannot be used: nowhere",
        "targets[11].name: 'Con' is the name of a device",
    ]

    assert 2 == result.exit_code
    assert [] == [(want, have) for want, have in zip(wanted, said, strict=True) if want not in have]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("targets: &a [x]\ndefaults: *a", "aliases"),
        ("[" * 20_000, "cannot be used"),
        ("targets: []", "'targets' is not a list"),
        ("targets: {a: b}\ndefaults: [x]", "'defaults' is not a mapping"),
        ("just words", "not a mapping"),
        ("!!python/object/apply:os.system [true]", "cannot be used"),
    ],
)
def test_a_file_that_is_none_is_refused(content: str, words: str, tmp_path: Path) -> None:
    """
    Exit code 2, one message, no folder.
    """
    file = tmp_path / "targets.yaml"
    file.write_text(content, encoding="utf-8")
    result = _runbook("fleet", str(file), "--out", str(tmp_path / "out"))

    assert (2, True) == (result.exit_code, words in result.stderr), result.stderr
    assert not (tmp_path / "out").exists()


def test_workers_of_a_cluster_are_not_ours_to_count(tmp_path: Path) -> None:
    """
    The two options exclude each other.
    """
    result = _runbook("fleet", str(_file(tmp_path / "t.yaml", **REGIONS)), "--scheduler", "tcp://x:1", "--workers", "2")

    assert (2, True) == (result.exit_code, "--workers" in result.stderr)


# --- going on -----------------------------------------------------------------------------------------------------


def test_what_was_begun_for_something_else_is_refused(contoso: Sandbox, tmp_path: Path) -> None:
    """
    A planned fleet is not applied in its own folders, nor one with other parameters: nothing is started.
    """
    out = tmp_path / "out"
    with _Here() as executor:
        run_fleet(_targets(spain="spaincentral"), executor, out, _hush)
        with pytest.raises(InvalidParameters, match=r"'spain'.*\(location\)"):
            run_fleet(_targets(spain="westeurope"), executor, out, _hush)
        planned = [FleetTarget(name="spain", asked=build({"vm_selector": "tag:wave=1", "location": "spaincentral"}))]
        with pytest.raises(InvalidParameters, match=r"\(apply\)"):
            run_fleet(planned, executor, out, _hush)
        (out / "west").mkdir()
        (out / "west" / "notes.txt").write_text("mine")
        with pytest.raises(InvalidParameters, match="holds something"):
            run_fleet(_targets(west="westeurope"), executor, out, _hush)


def test_evidence_that_was_tampered_with_is_told(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What is left alone is verified all the same.
    """
    out, targets = tmp_path / "out", _targets(spain="spaincentral")
    with _Here() as executor:
        run_fleet(targets, executor, out, _hush)
        (out / "spain" / "plan.json").write_text("{}")
        result = run_fleet(targets, executor, out, _hush)

    assert (1, True) == (result.exit_code, "does not verify" in result.rows[0].error)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (ATTESTATION, "{"),
        ("outcome.json", None),
        ("outcome.json", "[]"),
        ("run.json", "{"),
    ],
)
def test_one_broken_run_leaves_the_others(contoso: Sandbox, tmp_path: Path, file: str, content: str | None) -> None:
    """
    Sealed evidence that cannot be read is told in its row, and the fleet's summary is written.
    """
    out, targets = tmp_path / "out", _targets(spain="spaincentral")
    with _Here() as executor:
        run_fleet(targets, executor, out, _hush)
        if content is None:
            (out / "spain" / file).unlink()
        else:
            (out / "spain" / file).write_text(content)
        result = run_fleet(targets, executor, out, _hush)
    (row,) = json.loads((out / "fleet.json").read_text())["runs"]

    assert (1, 1) == (result.exit_code, row["exit_code"])
    assert ("broken" if file != "run.json" else "sealed") == row["state"]
    assert row["error"]


def test_a_run_is_not_gone_on_with_on_another_estate(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What the estate holds counts, not where it lies; a target that had none, or has none now, is another as well.
    """
    file, out = tmp_path / "targets.yaml", tmp_path / "out"
    estates = [tmp_path / f"{name}.json" for name in ("first", "moved", "other")]
    whole = read_estate("contoso")
    for path, resources in zip(estates, (whole.resources, whole.resources, whole.resources[:-1]), strict=True):
        write_estate(replace(whole, resources=resources), path)
    said = []
    for estate in (*map(str, estates), ""):
        row = {"name": "copy", "vm_selector": "name:bi01"} | ({"estate": estate} if estate else {})
        file.write_text(json.dumps({"targets": [row]}), encoding="utf-8")
        said.append(_runbook("fleet", str(file), "--out", str(out)))

    assert [0, 0, 2, 2] == [each.exit_code for each in said], said[1].output
    assert ["(estate)" in each.stderr for each in said] == [False, False, True, True]


def test_two_fleets_in_one_folder_exclude_each_other(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The second is refused as long as the first is at work.
    """
    out, targets = tmp_path / "out", _targets(spain="spaincentral")
    refused: list[InvalidParameters] = []

    def again(_: Event) -> None:
        with pytest.raises(InvalidParameters) as error:
            run_fleet(targets, executor, out, _hush)
        refused.append(error.value)

    with _Here() as executor:
        run_fleet(targets, executor, out, again)

    assert {"fleet_running"} == {each.message for each in refused}


def test_one_lost_worker_and_one_defect_leave_the_others(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Over any executor: what is lost can be gone on with (5), a defect is an error (1), which is the worst.
    """
    result = run_fleet(_targets(**REGIONS), _Here(("spain",), ("west",)), tmp_path / "out", _hush)

    assert [("spain", "nothing", 5), ("west", "nothing", 1), ("north", "sealed", 0)] == [
        (row.name, row.state, row.exit_code) for row in result.rows
    ]
    assert 1 == result.exit_code


def test_the_error_of_a_run_is_in_its_language(contoso: Sandbox, tmp_path: Path) -> None:
    """
    All of it, the notebook that it came from too; what the fleet itself says stays English.
    """
    file, out = tmp_path / "targets.yaml", tmp_path / "out"
    file.write_text(json.dumps({"targets": [{"name": "nadie", "language": "es", "vm_selector": "name:nobody"}]}))
    result = _runbook("fleet", str(file), "--out", str(out), "--json")
    (row,) = json.loads(result.stdout)["runs"]

    assert 2 == result.exit_code, result.output
    assert row["error"].startswith("El parámetro 'vm_selector' = 'name:nobody' no selecciona ninguna")
    assert row["error"].endswith("(cuaderno 00_start)")


def test_the_exit_code_is_the_worst_of_the_runs() -> None:
    """
    An error before wrong parameters, drift, what is resumable, VMs that are not there, and all well.
    """
    assert (1, 2, 4, 5, 3, 0) == WORST
    for place, code in enumerate(WORST):
        rows = (FleetRow(name=str(each), state="sealed", ran=True, exit_code=each) for each in WORST[place:])
        assert code == FleetResult(rows=tuple(rows)).exit_code


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """
    Start the command as a process of its own, and end it when the test does.
    """
    command = [sys.executable, "-m", "runbook_lib", "fleet", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _runs_a_kernel(process: psutil.Process) -> bool:
    return any("ipykernel_launcher" in each.cmdline() for each in process.children())


def _at_work_on(out: Path, fleet: int) -> tuple[int, str]:
    """
    Return a process of the fleet in which a run has its plan, and that run's name.
    """
    begun = [name for name in REGIONS if (out / name / "plan.json").exists()]
    workers = [each.pid for each in psutil.Process(fleet).children() if _runs_a_kernel(each)]
    return (workers[0], begun[0]) if begun and workers else (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals of this kind")
def test_a_killed_process_takes_no_other_target_with_it(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Its own target is resumable alone, the others come to their end; then the fleet is whole.
    """
    file, out = _file(tmp_path / "targets.yaml", **REGIONS), tmp_path / "out"
    slow(contoso)
    with _process(str(file), "--workers", "1", "--apply", "--out", str(out)) as fleet:
        worker, name = _until(lambda: (at := _at_work_on(out, fleet.pid))[0] and at, "a plan")
        os.kill(worker, signal.SIGKILL)
        contoso.configure(clock_scale=None, latency=None)
        said, errors = fleet.communicate(timeout=100)
    told = {each["name"]: each for each in json.loads((out / "fleet.json").read_text())["runs"]}
    alone = _runbook("resume", str(out / name))
    again = _runbook("fleet", str(file), "--apply", "--out", str(out))

    assert 5 == fleet.returncode, errors
    assert f"runbook resume {out}" in said
    assert ("resumable", 5, "BrokenProcessPool") == tuple(told[name][each] for each in ("state", "exit_code", "error"))
    assert {"sealed"} == {each["state"] for each in told.values() if each["name"] != name}
    assert (0, 0) == (alone.exit_code, again.exit_code), alone.output


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals of this kind")
def test_a_fleet_that_is_stopped_goes_on(contoso: Sandbox, tmp_path: Path) -> None:
    """
    SIGTERM ends its runs as well, each resumable; the same command finishes them.
    """
    file, out = _file(tmp_path / "targets.yaml", **REGIONS), tmp_path / "out"
    slow(contoso)
    with _process(str(file), "--workers", "2", "--apply", "--out", str(out)) as fleet:
        _until(lambda: _at_work_on(out, fleet.pid)[0], "a plan")
        fleet.terminate()
        _, errors = fleet.communicate(timeout=90)
    contoso.configure(clock_scale=None, latency=None)
    again = _runbook("fleet", str(file), "--apply", "--out", str(out))

    assert 5 == fleet.returncode, errors
    assert f"--out {out}" in errors
    assert "Traceback" not in errors
    assert 0 == again.exit_code, again.output


# --- a Dask cluster -----------------------------------------------------------------------------------------------


@contextmanager
def _dask(place: Path) -> Iterator[tuple[str, dict[int, subprocess.Popen[bytes]]]]:
    """
    Start a scheduler and two workers, processes of their own; the environment they have knows nothing of the test.
    """
    address = place / "scheduler.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK_")}

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        log = (place / f"{arguments[0]}.log").open("ab")
        command = [sys.executable, "-m", "dask", *arguments]
        with log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=place)

    own = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = start("scheduler", *own, "--port", "0", "--scheduler-file", str(address))
    _until(address.exists, "a scheduler")
    joining = ("--nthreads", "1", "--no-nanny", "--scheduler-file", str(address))
    workers = [start("worker", *own, *joining, "--local-directory", str(place)) for _ in range(2)]
    try:
        yield json.loads(address.read_text())["address"], {each.pid: each for each in workers}
    finally:
        for each in (*workers, scheduler):
            each.kill()
            each.wait(30)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals of this kind")
def test_a_dask_cluster_that_loses_a_worker_finishes_the_fleet(contoso: Sandbox, tmp_path: Path) -> None:
    """
    A real scheduler and two worker processes, one of them killed in the middle of a run: the other one resumes it.
    """
    pytest.importorskip("distributed")
    file, out = _file(tmp_path / "targets.yaml", **REGIONS), tmp_path / "out"
    slow(contoso)
    options = ("--apply", "--out", str(out))
    with _dask(tmp_path) as (address, workers), _process(str(file), "--scheduler", address, *options) as fleet:

        def both_at_work() -> list[int]:
            begun = [name for name in REGIONS if (out / name / "inventory-before.json").exists()]
            return [pid for pid in workers if _runs_a_kernel(psutil.Process(pid))] if len(begun) == 2 else []

        workers[_until(both_at_work, "two runs")[0]].kill()
        contoso.configure(clock_scale=None, latency=None)
        said, errors = fleet.communicate(timeout=100)
    told = json.loads((out / "fleet.json").read_text())

    assert 0 == fleet.returncode, said + errors
    assert {"sealed"} == {each["state"] for each in told["runs"]}
    assert {"ENABLED": 7} == told["counts"]
    assert [0, 0, 0] == [_runbook("verify", str(out / name)).exit_code for name in REGIONS]


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With its address, and nothing of Dask's own words but the reason.
    """
    monkeypatch.setattr("runbook_lib.fleet.PATIENCE", 1)
    with pytest.raises(RunbookError) as error, cluster("tcp://127.0.0.1:9"):
        pass

    assert re.search(r"scheduler tcp://127\.0\.0\.1:9 cannot be reached", str(error.value))


def test_a_cluster_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where Dask is not installed, the command says what to install.
    """
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RunbookError, match="extra `fleet`"), cluster("tcp://127.0.0.1:9"):
        pass
