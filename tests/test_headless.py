"""
The headless contract: what pipelines may rely on, from exit codes and streams to signals, times and private files.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from papermill import execute_notebook
from papermill.cli import papermill
from support import writes

from runbook_lib.arm.limiter import Limiter
from runbook_lib.arm.opening import sandbox_state
from runbook_lib.cli import main
from runbook_lib.errors import WriteFailed
from runbook_lib.events import Event
from runbook_lib.folder import NOTEBOOKS, open_folder
from runbook_lib.kernel import Kernel
from runbook_lib.parameters import schema
from runbook_lib.sandbox import Sandbox
from runbook_lib.stopping import stoppable
from runbook_lib.text import inert

pytestmark = pytest.mark.commands

NOTEBOOK_FOLDER = Path(__file__).parents[1] / "notebooks"
WAVE = ("-p", "vm_selector", "tag:wave=1")


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def _started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "runbook_lib", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def _slow(sandbox: Sandbox) -> None:
    """
    Let the sandbox take its time, so that there is something to be stopped.
    """
    sandbox.configure(clock_scale=20.0, latency={"median": 1.0, "p99": 2.0})


# --- what is told -------------------------------------------------------------------------------------------------


def test_parameters_are_listed_for_machines_as_well() -> None:
    """
    Name, type, default, choices and help of each, in the order of the schema.
    """
    result = _runbook("parameters", "--json")
    expected = [
        {
            "name": row.name,
            "type": row.type,
            "default": row.default,
            "choices": list(row.choices),
            "help": row.help(),
        }
        for row in schema()
    ]

    assert expected == json.loads(result.stdout)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_papermill_shows_the_same_help(notebook: str) -> None:
    """
    `papermill --help-notebook` lists a notebook's parameters with the types and the words of `runbook parameters`.
    """
    path = NOTEBOOK_FOLDER / f"{notebook}.ipynb"
    shown = CliRunner().invoke(papermill, ["--help-notebook", str(path)]).stdout
    listed = {row["name"]: row for row in json.loads(_runbook("parameters", "--json").stdout)}
    words = " ".join(shown.partition(":\n")[2].split())
    names = [line.split(":")[0].strip() for line in shown.splitlines() if line[:2] == "  " and line[2:3] != " "]

    assert names
    assert set() == set(names) - set(listed)
    for name in names:
        assert f"{name}: {listed[name]['type']} (default " in words
        assert " ".join(listed[name]["help"].split()) in words


def test_every_problem_is_told_to_a_machine(tmp_path: Path) -> None:
    """
    With --json, standard output is a document of all problems, each with its field; the exit code is that of the text.
    """
    result = _runbook("run", "--json", "--out", str(tmp_path / "r"), "-p", "vault_name", "1", "-p", "backup_time", "9")
    told = json.loads(result.stdout)

    assert (2, 2) == (result.exit_code, told["exit_code"])
    assert [("vault_name", "vault_name"), ("backup_time", "backup_time")] == [
        (each["error"], each["name"]) for each in told["errors"]
    ]
    assert [each["message"] for each in told["errors"]] == result.stderr.splitlines()


def test_all_problems_of_a_command_line_are_told_at_once(tmp_path: Path) -> None:
    """
    What is no value of its type, what breaks a rule, and names that are none, those of a file too.
    """
    file = tmp_path / "f.yaml"
    file.write_text("time_zone: Foo\nmax_errors: -1\n", encoding="utf-8")
    pairs = {"max_errors": "x", "backup_time": "25:99", "vm_selektor": "all"}
    words = [word for pair in pairs.items() for word in ("-p", *pair)]
    result = _runbook("run", "--json", "-f", str(file), "--out", str(tmp_path / "r"), *words)
    told = json.loads(result.stdout)["errors"]

    assert ["max_errors", "vm_selektor", "backup_time", "time_zone"] == [each["name"] for each in told]
    assert "There is no parameter 'vm_selektor': did you mean 'vm_selector'? Known are: target" in told[1]["message"]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("language", "kind", "said"),
    [
        ("en", "", "cannot be used: there is no such file. It must be"),
        ("es", "", "no se puede usar: no existe tal archivo. Debe ser"),
        ("en", "folder", "cannot be used: it is not a file. It must be"),
        ("es", "list", "no se puede usar: no es una asignación. Debe ser"),
        ("es", "large", "no se puede usar: ocupa más de 1 MiB. Debe ser"),
    ],
)
def test_a_file_of_parameters_that_is_none_is_called_what_it_is(
    tmp_path: Path, language: str, kind: str, said: str
) -> None:
    """
    One that is not there is not called too large.
    """
    file = tmp_path / "f.yaml"
    if kind == "folder":
        file.mkdir()
    elif kind:
        file.write_text("- a\n" if kind == "list" else "#" * ((1 << 20) + 1))
    result = _runbook("run", "-p", "language", language, "-f", str(file), "--out", str(tmp_path / "r"))

    assert (2, True) == (result.exit_code, said in result.stderr), result.stderr


def test_a_log_for_machines_has_time_level_event_and_facts(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Every line of standard error is JSON, from the first notebook to the exit code; standard output is the outcome.
    """
    folder = tmp_path / "r"
    result = _runbook(
        "run", "--json", "--log", "json", "--apply", "--out", str(folder), "-p", "vm_selector", "name:bi01"
    )
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    change = next(each for each in lines if each["event"] == "progress_change")

    assert {("time", "level", "event", "facts")} == {tuple(each) for each in lines}
    assert [{"notebook": name} for name in NOTEBOOKS] == [
        each["facts"] for each in lines if each["event"] == "progress_notebook"
    ]
    assert ("done", "01") == (change["facts"]["ended"], change["facts"]["step"])
    assert ("progress_ended", 0) == (lines[-1]["event"], lines[-1]["facts"]["exit_code"])
    assert {"ENABLED": 1} == json.loads(result.stdout)["counts"]


def test_a_log_for_machines_has_errors_as_well(tmp_path: Path) -> None:
    """
    One line for each problem, at level error.
    """
    result = _runbook("run", "--log", "json", "--out", str(tmp_path / "r"), "-p", "vault_name", "1", "-p", "valt", "x")
    lines = [json.loads(each) for each in result.stderr.splitlines()]

    assert [("error", name, 2) for name in ("unknown_parameter", "vault_name")] == [
        (line["level"], line["event"], line["facts"]["exit_code"]) for line in lines
    ]
    assert "" == result.stdout


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "a\nb", "\u202egnp", "\ud800", "\U000e0041", "ñ 日本 🦙"])
def test_a_log_line_is_one_line_that_commands_nothing(hostile: str) -> None:
    """
    And a machine reads the value back as it was.
    """
    event = Event(id="say.progress_notebook", facts={"notebook": hostile})
    line = event.json("2026-11-29T00:00:00Z")

    assert line.isprintable()
    assert event.line("en").isprintable()
    assert {"notebook": hostile} == json.loads(line)["facts"]
    assert hostile == json.loads(inert(json.dumps(hostile, ensure_ascii=False)))


def test_a_failed_sign_in_is_one_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What the SDK would log of it does not get between the lines for machines.
    """
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CLIENT_ID", "x")
    azure = ("--target", "azure", "-p", "sign_in", "environment")
    copied = _started("snapshot", str(tmp_path / "r.json"), *azure)
    ran = _started("run", "--log", "json", "--out", str(tmp_path / "r"), *azure)
    (said,) = copied.communicate(timeout=90)[1].splitlines()
    lines = [json.loads(line) for line in ran.communicate(timeout=90)[1].splitlines()]

    assert (1, 1) == (copied.returncode, ran.returncode)
    assert "no service principal" in said
    assert ["progress_notebook", "in_notebook"] == [each["event"] for each in lines]
    assert [] == list(tmp_path.glob("r*"))


# --- being stopped ------------------------------------------------------------------------------------------------


def _execute(notebook: Path) -> None:
    kernel = Kernel(notebook.parent)
    try:
        execute_notebook(
            str(notebook),
            str(notebook.with_name("out.ipynb")),
            engine_name="runbook",
            kernel_name="python3",
            progress_bar=False,
            shared_kernel=kernel,
        )
    finally:
        kernel.stop()


def test_a_notebook_that_is_stopped_leaves_no_task_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Whichever task of the loop the interrupt hits: what asyncio finds unfinished later, it prints with a traceback.
    """
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time\ntime.sleep(60)")])
    source.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(source, tmp_path / "slow.ipynb")
    for _ in range(3):
        with pytest.raises(WriteFailed, match="as --timeout says"), stoppable(tmp_path, timeout=4):
            _execute(tmp_path / "slow.ipynb")
        gc.collect()

    assert [] == [each.getMessage() for each in caplog.records if each.name == "asyncio"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_in_the_middle_of_an_apply_leaves_a_run_that_goes_on(
    name: str, contoso: Sandbox, tmp_path: Path
) -> None:
    """
    Exit code 5 and the command to go on; the resumed run finishes it, and nothing is written twice.
    """
    folder = tmp_path / "r"
    _slow(contoso)
    run = _started("run", "--log", "json", "--apply", "--out", str(folder), *WAVE)
    assert run.stderr is not None
    while json.loads(run.stderr.readline())["event"] != "progress_change":
        pass
    run.send_signal(getattr(signal, name))
    _, said = run.communicate(timeout=90)
    # Python may have more to say at its very end, of what was being cleared up.
    last = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    contoso.configure(clock_scale=None, latency=None)
    second = _runbook("resume", str(folder))
    sent = Counter(each for each in writes(contoso) if each.startswith("PUT"))

    assert 5 == run.returncode, said
    assert ("error", "interrupted") == (last["level"], last["event"])
    assert f"runbook resume {folder}" in last["facts"]["message"]
    assert 0 == second.exit_code, second.output
    assert "ENABLED 7" in second.stdout
    assert {1} == set(sent.values()), sent
    assert 0 == _runbook("verify", str(folder)).exit_code


def test_a_run_whose_time_is_over_can_be_resumed(contoso: Sandbox, tmp_path: Path) -> None:
    """
    --timeout ends it with exit code 5, wherever it is; what is there goes on.
    """
    folder = tmp_path / "r"
    _slow(contoso)
    run = _started("run", "--timeout", "4", "--out", str(folder), *WAVE)
    _, said = run.communicate(timeout=90)
    contoso.configure(clock_scale=None, latency=None)
    second = _runbook("resume", str(folder))

    assert 5 == run.returncode, said
    assert "Stopped after 4 seconds" in said
    assert 0 == second.exit_code, second.output
    assert 0 == _runbook("verify", str(folder)).exit_code


def test_what_is_stopped_before_it_begins_leaves_nothing(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No folder that looks like a run, no sandbox beside it; a neighbour with a similar name stays.
    """
    (tmp_path / "report.txt").write_text("mine")

    def stopped(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("runbook_lib.headless.run_chain", stopped)
    result = _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "r"))

    assert (5, True) == (result.exit_code, "nothing is left" in result.stderr), result.output
    assert ["report.txt"] == [path.name for path in tmp_path.glob("r*")]


# --- a sandbox of its own -----------------------------------------------------------------------------------------


def _rehearsal(tmp_path: Path) -> Path:
    """
    A rehearsal on a copy of the example estate that was applied, but not sealed: it can be gone on with.
    """
    copy, folder = tmp_path / "copy.json", tmp_path / "r"
    _runbook("snapshot", str(copy))
    done = _runbook("run", "--estate", str(copy), "--apply", "--out", str(folder), "-p", "vm_selector", "name:hr01")
    assert 0 == done.exit_code, done.output
    (folder / "attestation.dsse.json").unlink()
    return folder


def test_a_rehearsal_never_goes_on_in_the_original(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Where its sandbox is gone, or another one lies in its place as a link, it is refused with the file and what to do.
    """
    folder = _rehearsal(tmp_path)
    own = tmp_path / "r.sandbox.sqlite"
    own.unlink()
    gone = _runbook("resume", str(folder))
    own.symlink_to(contoso.path)
    linked = _runbook("resume", str(folder))

    assert (4, 2) == (gone.exit_code, linked.exit_code), gone.output + linked.output
    assert f"{own}, the sandbox that this run or plan belongs to, is gone" in gone.stderr
    assert "--target" in gone.stderr
    assert f"{own} lies where" in linked.stderr
    assert [] == writes(contoso)


def test_a_run_that_does_not_say_where_it_worked_goes_on_there_alone(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Folders of older versions say nothing of their sandbox; what was read first tells that it was a copy.
    """
    folder = _rehearsal(tmp_path)
    state = json.loads((folder / "run.json").read_text())
    del state["own_sandbox"]
    (folder / "run.json").write_text(json.dumps(state))
    there = _runbook("resume", str(folder))
    (folder / "attestation.dsse.json").unlink()
    (folder / "run.json").write_text(json.dumps(state))
    (tmp_path / "r.sandbox.sqlite").unlink()
    gone = _runbook("resume", str(folder))

    assert (0, 4) == (there.exit_code, gone.exit_code), there.output + gone.output
    assert "this is another estate or target" in gone.stderr
    assert [] == writes(contoso)


@pytest.mark.parametrize("name", ["z.sandbox.sqlite", "z.sandbox.sqlite-journal", "z.sandbox.sqlite-wal"])
@pytest.mark.parametrize("link", [True, False])
def test_a_sandbox_is_never_made_over_what_lies_there(
    contoso: Sandbox, tmp_path: Path, name: str, *, link: bool
) -> None:
    """
    Neither through a link that somebody prepared nor over the sandbox of another run; both stay as they were.
    """
    # An empty file is a database that SQLite would take.
    other, taken = tmp_path / "mine", tmp_path / name
    other.touch()
    if link:
        taken.symlink_to(other)
    else:
        taken.touch()
    refused = _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "z"))

    assert (2, True) == (refused.exit_code, str(taken) in refused.stderr), refused.output
    assert {0} == {path.stat().st_size for path in (other, taken)}
    assert [name] == [path.name for path in tmp_path.glob("z*")]


def test_a_new_run_takes_no_sandbox_that_lies_beside_it(contoso: Sandbox, tmp_path: Path) -> None:
    """
    One without an estate works on the shared sandbox, whatever somebody left there.
    """
    other = tmp_path / "other.sqlite"
    sandbox_state(other).close()
    (tmp_path / "z.sandbox").write_text(str(other))
    (tmp_path / "z.sandbox.sqlite").write_bytes(other.read_bytes())
    since = len(contoso.requests())
    done = _runbook("run", "--out", str(tmp_path / "z"), "-p", "vm_selector", "name:hr01")

    assert 0 == done.exit_code, done.output
    assert since < len(contoso.requests())


# --- where files go -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's files private by their folder")
def test_the_files_of_a_run_are_its_users_alone(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Nobody else on the machine reads what is said of an estate, whatever the umask; that is left as it was.
    """
    before = os.umask(0o022)
    try:
        _runbook("run", "--estate", "contoso", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:bi01")
        after = os.umask(0o022)
    finally:
        os.umask(before)
    made = [tmp_path / "r", tmp_path / "r.sandbox.sqlite", *(tmp_path / "r").rglob("*")]

    assert {0o700, 0o600} == {stat.S_IMODE(path.stat().st_mode) for path in made}
    assert 0o022 == after


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's files private by their folder")
def test_what_the_users_processes_share_is_theirs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The simulator's state and the leases, whoever makes them first and whatever the umask; and the limits of Azure.
    """
    for name in ("SANDBOX", "RUNS"):
        monkeypatch.delenv(f"RUNBOOK_{name}", raising=False)
    before = os.umask(0o022)
    try:
        for number, command in enumerate([("snapshot", str(tmp_path / "c.json")), ("sandbox", "load", "contoso")]):
            monkeypatch.setenv("RUNBOOK_STATE", str(tmp_path / "state" / str(number)))
            assert 0 == _runbook(*command).exit_code
        monkeypatch.setenv("RUNBOOK_SANDBOX", str(tmp_path / "state" / "named" / "s.sqlite"))
        assert 0 == _runbook("sandbox", "status").exit_code
        Limiter(tmp_path / "state" / "2" / "limits.sqlite", time.time, time.sleep).close()
        opened = open_folder("", new=True)
    finally:
        os.umask(before)
    made = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}

    assert opened.path in made
    assert {"sandbox.sqlite", "s.sqlite", "limits.sqlite", "leases"} < {path.name for path in made}
    assert {} == {path: mode for path, mode in made.items() if mode != (0o700 if path.is_dir() else 0o600)}


@pytest.mark.parametrize("link", ["tables", "plan.json", "00_start.ipynb", "journal.jsonl", "outcome.json.part"])
def test_a_prepared_folder_leads_nowhere(link: str, contoso: Sandbox, tmp_path: Path) -> None:
    """
    A run that is resumed in a folder with a symbolic link is refused, and what the link leads to stays as it is.
    """
    folder, outside = tmp_path / "r", tmp_path / "outside"
    outside.mkdir()
    (outside / "plan.csv").write_text("mine")
    _runbook("run", "--out", str(folder), "-p", "vm_selector", "name:bi01", "--timeout", "600")
    (folder / "attestation.dsse.json").unlink()
    if (folder / link).is_dir():
        (folder / link).rename(folder / "was")
    else:
        (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(outside if link == "tables" else outside / "plan.csv")
    result = _runbook("resume", str(folder))

    assert (2, True) == (result.exit_code, link in result.stderr), result.output
    assert {"plan.csv": "mine"} == {path.name: path.read_text() for path in outside.iterdir()}
