"""
The whole job as against Azure: azure-core's own transport, TLS and a bearer token, on a sandbox in another process.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from entra import CLIENT, SECRET, TENANT, UPN, Entra, entra

from runbook_lib.arm.signin import ENDPOINT
from runbook_lib.sandbox import Sandbox

pytestmark = pytest.mark.commands

REPOSITORY = Path(__file__).parents[1]
# What every process of the run executes first: there is no in-process transport for any of them, kernels included.
WITHOUT_TRANSPORT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "runbook_lib.sandbox.transport":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
"""
RUN = """
import sys
from runbook_lib.cli import main
try:
    main()
finally:
    assert "runbook_lib.sandbox.transport" not in sys.modules
"""


class Desk:
    """
    A machine that is signed in to an Azure which is a sandbox behind TLS.
    """

    def __init__(self, front: Entra, folder: Path) -> None:
        self.front = front
        self.folder = folder
        self.log = folder / "served.sqlite"
        (folder / "sitecustomize.py").write_text(WITHOUT_TRANSPORT)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "RUNBOOK_"))}
        self.environment = kept | {
            "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY)]),
            "PYTHONWARNINGS": "",
            "RUNBOOK_SANDBOX": str(folder / "unused.sqlite"),
            "RUNBOOK_STATE": str(folder / "state"),
            "RUNBOOK_RUNS": str(folder / "runs"),
            "REQUESTS_CA_BUNDLE": str(front.bundle),
            "AZURE_AUTHORITY_HOST": front.url,
            ENDPOINT: front.url,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": SECRET,
        }

    def runbook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run a command of ours.
        """
        return subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            cwd=self.folder,
            env=self.environment,
        )

    def rehearse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run a command of ours on this machine's own sandbox: in process, with no sign-in to anything.
        """
        kept = {name: value for name, value in self.environment.items() if not name.startswith("AZURE_")}
        command = [sys.executable, "-m", "runbook_lib", *arguments]
        environment = kept | {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=150, check=False, cwd=self.folder, env=environment
        )

    def stop(self, *arguments: str) -> int:
        """
        Run a command of ours until its first change is told, then press Ctrl-C; returns its exit code.
        """
        command = [sys.executable, "-u", "-c", RUN, *arguments, "--log", "json"]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder, env=self.environment, text=True
        ) as started:
            assert started.stderr is not None
            while json.loads(started.stderr.readline())["event"] != "progress_change":
                pass
            started.send_signal(signal.SIGINT)
            started.communicate(timeout=90)
        return started.returncode

    def requests(self) -> list[dict[str, Any]]:
        """
        List what the sandbox was asked.
        """
        sandbox = Sandbox(self.log)
        try:
            return list(sandbox.requests())
        finally:
            sandbox.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """
    The example estate, served by `runbook sandbox serve`; a thousand of its seconds pass in one.
    """
    folder = tmp_path_factory.mktemp("azure")
    environment = os.environ | {
        "RUNBOOK_SANDBOX": str(folder / "served.sqlite"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "runbook_lib", "sandbox", "serve", "--clock-scale", "1000"]
    with (
        entra(folder) as front,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server,
    ):
        try:
            assert server.stdout is not None
            found = re.search(r"http://([\d.]+):(\d+)", server.stdout.readline())
            assert found is not None
            front.arm = (found[1], int(found[2]))
            yield Desk(front, folder)
        finally:
            server.terminate()


def _journal(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def planned(desk: Desk) -> Path:
    """
    A run that only plans.
    """
    folder = desk.folder / "planned"
    asked = ["-p", "vm_selector", "tag:wave=1", "-p", "sign_in", "environment", "-p", "network_option", "ip_ranges"]
    done = desk.runbook("run", "--target", "azure", "--out", str(folder), "-p", "service_precheck", "all", *asked)

    assert 0 == done.returncode, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def applied(desk: Desk, planned: Path) -> tuple[Path, str]:
    """
    A run that plans and applies, and what it printed.
    """
    folder = desk.folder / "applied"
    asked = ["-p", "vm_selector", "tag:wave=1", "-p", "sign_in", "environment"]
    done = desk.runbook("run", "--target", "azure", "--apply", "--out", str(folder), *asked)

    assert 0 == done.returncode, done.stdout + done.stderr
    return folder, done.stdout


def test_a_run_that_only_plans_sends_nothing_but_reads(desk: Desk, planned: Path) -> None:
    """
    Over the network as in process: GET, and the questions by POST.
    """
    assert {"GET", "POST"} == {method for method, _ in desk.front.seen[: len(_journal(planned))]}
    assert (planned / "attestation.dsse.json").exists()


def test_the_whole_job_goes_through_tls_with_a_bearer_token(desk: Desk, applied: tuple[Path, str]) -> None:
    """
    Plan, apply, read back and seal, without any of it in process: the sandbox of this machine is not even made.
    """
    folder, said = applied
    outcome = json.loads((folder / "outcome.json").read_text())

    assert "ENABLED 7" in said
    assert {"planned", "done"} == set(outcome["changes"])
    assert outcome["changes"]["planned"] == outcome["changes"]["done"] > 7
    assert {"PUT", "POST", "GET"} <= {each["method"] for each in desk.requests()}
    assert not (desk.folder / "unused.sqlite").exists()
    assert 0 == desk.runbook("verify", str(folder)).returncode


def test_its_evidence_names_the_endpoint_and_the_caller_and_holds_no_secret(
    desk: Desk, applied: tuple[Path, str]
) -> None:
    """
    What came from there is never taken for Azure's, and neither token nor secret is kept.
    """
    folder, said = applied
    mark = f"AZURE {desk.front.url} (custom endpoint), tenant {TENANT}"
    kept = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    outcome = json.loads((folder / "outcome.json").read_text())

    assert f"target: {mark}" == said.splitlines()[0]
    assert (mark, CLIENT) == (outcome["target"], outcome["caller"])
    assert [] == [secret for secret in (SECRET, *desk.front.issued) for text in kept if secret in text]


def test_every_request_carried_a_token_that_was_issued(desk: Desk, applied: tuple[Path, str]) -> None:
    """
    The front lets nothing else through, and each call is in the journal once.
    """
    folder, _ = applied
    calls = [each for each in _journal(folder) if each["entry"] == "call"]

    assert {"client_credentials"} == {each["grant_type"] for each in desk.front.asked if "grant_type" in each}
    assert [] == [each for each in calls if each["status"] in (0, 401, 403)]


def test_copy_rehearsal_and_apply_go_by_what_each_prints(desk: Desk) -> None:
    """
    Each prints the command of the next one, which signs in as the copy did, in the tenant that it did.
    """
    file, out = desk.folder / "signed-copy.json", desk.folder / "from-copy"
    done = desk.runbook(
        "snapshot", str(file), "--target", "azure", "-p", "sign_in", "environment", "-p", "tenant_id", TENANT
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    words = shlex.split(done.stdout.splitlines()[-1].partition("runbook ")[2])
    done = desk.rehearse(*words, "-p", "vm_selector", "name:app01", "--out", str(desk.folder / "signed-rehearsal"))
    assert 0 == done.returncode, done.stdout + done.stderr
    words = shlex.split(done.stdout.splitlines()[-1].partition("runbook ")[2])
    done = desk.runbook(*words, "--out", str(out))
    resumed = desk.runbook("resume", str(out))
    kept = json.loads((out / "parameters.json").read_text())

    assert 0 == done.returncode, done.stdout + done.stderr
    assert ("azure", "environment", TENANT) == tuple(kept[each] for each in ("target", "sign_in", "tenant_id"))
    assert "is sealed" in resumed.stderr


@pytest.fixture(scope="module")
def rehearsed(desk: Desk) -> Path:
    """
    A rehearsal on a copy of what is served.
    """
    copy, folder = desk.folder / "copy.json", desk.folder / "rehearsed"
    taken = desk.runbook("snapshot", str(copy), "--target", "azure", "-p", "sign_in", "environment")
    asked = ["-p", "vm_selector", "tag:wave=3", "-p", "sign_in", "environment"]
    done = desk.rehearse("run", "--estate", str(copy), "--apply", "--out", str(folder), *asked)

    # One VM of the wave is blocked.
    assert (0, 3) == (taken.returncode, done.returncode), taken.stderr + done.stdout + done.stderr
    return folder


def test_a_rehearsed_plan_that_was_stopped_and_resumed_is_evidence(desk: Desk, rehearsed: Path) -> None:
    """
    So is one that finds all of it done: both say that the plan was made on a copy, and can be redacted.
    """
    stopped, whole = desk.folder / "stopped", desk.folder / "whole"
    apply = ("apply", str(rehearsed), "--target", "azure", "--out")
    code = desk.stop(*apply, str(stopped))
    resumed = desk.runbook("resume", str(stopped))
    again = desk.runbook(*apply, str(whole))
    ends = [json.loads((folder / "outcome.json").read_text())["changes"] for folder in (stopped, whole)]
    mark = f"AZURE {desk.front.url} (custom endpoint), tenant {TENANT}"

    assert (5, 3, 3) == (code, resumed.returncode, again.returncode), resumed.stderr + again.stderr
    assert ends[0]["planned"] == ends[1]["planned"] == ends[1]["adopted"]
    for folder in (stopped, whole):
        copy = folder.with_suffix(".redacted")
        verified, redacted = (
            desk.runbook("verify", str(folder)),
            desk.runbook("redact", str(folder), "--out", str(copy)),
        )
        checked = desk.runbook("verify", str(copy))

        assert (0, 0, 0) == (verified.returncode, redacted.returncode, checked.returncode), verified.stdout
        assert f"target: {mark}" == verified.stdout.splitlines()[0]
        assert f"planned on a copy of {mark} that was read at " in verified.stdout
        assert f"A copy of {mark}, read at " in (folder / "report.html").read_text()
        assert "planned on a copy of AZURE https://n-" in checked.stdout
        assert [] == [each.name for each in copy.iterdir() if TENANT in each.read_text()]


def test_an_expired_secret_ends_a_run_with_the_command_that_mends_it(desk: Desk) -> None:
    """
    Exit code 1, before anything is asked of Resource Manager.
    """
    before = len(desk.front.seen)
    desk.front.refusal = ("invalid_client", "AADSTS7000222: The provided client secret keys are expired.")
    try:
        done = desk.runbook(
            "run", "--target", "azure", "-p", "sign_in", "environment", "--out", str(desk.folder / "none")
        )
    finally:
        desk.front.refusal = None

    assert 1 == done.returncode
    assert "az ad app credential reset" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert before == len(desk.front.seen)


def test_a_target_that_does_not_answer_is_no_wrong_parameter(desk: Desk) -> None:
    """
    Exit code 1, and nothing is left that would have to be resumed, or that stands in the way of another try.
    """
    endpoint = desk.environment[ENDPOINT]
    desk.environment[ENDPOINT] = "https://localhost:1"
    try:
        done = desk.runbook(
            "run", "--target", "azure", "-p", "sign_in", "environment", "--out", str(desk.folder / "none")
        )
    finally:
        desk.environment[ENDPOINT] = endpoint

    assert 1 == done.returncode, done.stderr
    assert "The list of subscriptions could not be read" in done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert not (desk.folder / "none").exists()


def test_a_mistyped_tenant_ends_a_run_without_a_traceback(desk: Desk) -> None:
    """
    Exit code 2, with the variable's name.
    """
    desk.environment["AZURE_TENANT_ID"] = "contoso tenant"
    try:
        done = desk.runbook(
            "run", "--target", "azure", "-p", "sign_in", "environment", "--out", str(desk.folder / "none")
        )
    finally:
        desk.environment["AZURE_TENANT_ID"] = TENANT

    assert 2 == done.returncode, done.stderr
    assert "AZURE_TENANT_ID is neither" in done.stderr
    assert "Traceback" not in done.stderr


def test_binder_is_refused(desk: Desk) -> None:
    """
    Nobody is led to sign in on a public machine.
    """
    desk.environment["BINDER_SERVICE_HOST"] = "x"
    try:
        done = desk.runbook("run", "--target", "azure", "--out", str(desk.folder / "binder"))
    finally:
        del desk.environment["BINDER_SERVICE_HOST"]

    assert 2 == done.returncode
    assert "Binder" in done.stderr
    assert not (desk.folder / "binder").exists()


def test_a_device_code_is_not_left_in_the_saved_notebook(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever walks signs in on the first cell; what stays is who it was.
    """
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/00_start.ipynb")
    source = (REPOSITORY / "notebooks" / "00_start.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(source, as_version=4)  # type: ignore[no-untyped-call]
    (cell,) = (each for each in notebook.cells if "parameters" in each.metadata.get("tags", []))
    cell.source += '\ntarget = "azure"\nsign_in = "device_code"\nvm_selector = "name:bi01"'
    notebook.cells = notebook.cells[: notebook.cells.index(cell) + 2]
    nbclient.NotebookClient(notebook, timeout=100).execute()
    saved = json.dumps(notebook)

    assert f"Signed in to Azure as {UPN}." in saved
    assert "ABCD-EFGH" not in saved


CHOOSING = """
from runbook_lib import open_run

first = open_run("00_start", {"target": "sandbox", "vm_selector": "tag:wave=1"})
form = first.form("target", "sign_in", "tenant_id", "cloud")
form.controls["target"].value = "azure"
form.controls["sign_in"].value = "environment"
before = first.folder.path
print(first.choose(form).text())
print(first.who().text())
later = open_run("01_create_vault", {"target": "sandbox", "vm_selector": "all"})
print(before != first.folder.path == later.folder.path, later.asked.target, later.asked.vm_selector)
"""


def test_azure_is_chosen_in_a_form_and_begins_a_run(desk: Desk, tmp_path: Path) -> None:
    """
    Its mark is shown with the choice, the notebooks that follow go on there, and nothing of another estate is selected.
    """
    own = {name: str(tmp_path / name) for name in ("RUNBOOK_SANDBOX", "RUNBOOK_STATE", "RUNBOOK_RUNS")}
    own |= {"PYTHONPATH": str(REPOSITORY), "JPY_SESSION_NAME": "notebooks/00_start.ipynb"}
    done = subprocess.run(
        [sys.executable, "-c", CHOOSING],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
        env=desk.environment | own,
    )

    assert 0 == done.returncode, done.stderr
    assert "target: AZURE" in done.stdout
    assert UPN in done.stdout or CLIENT in done.stdout
    assert "True azure all" == done.stdout.splitlines()[-1]
