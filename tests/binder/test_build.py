"""
What Binder makes of the repository, without its container: a fresh environment from `binder/`, `postBuild`, `start`.

As repo2docker does it: in a clean copy of the repository, which is the working folder and `REPO_DIR`, with nothing of
the account that runs it. Needs the package registry, and takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.binder, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
FIRST = "notebooks/00_start.ipynb"
PATIENCE = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """
    What was built.

    Attributes:
        home: of its only user.
        repo: the copy of the repository.
    """

    home: Path
    repo: Path

    @property
    def environment(self) -> dict[str, str]:
        """
        The environment that a container starts with.
        """
        path = os.pathsep.join([str(self.home / "venv/bin"), os.environ["PATH"]])
        return {"PATH": path, "HOME": str(self.home), "REPO_DIR": str(self.repo), "LANG": "C.UTF-8"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """
        Run a command in it.
        """
        return subprocess.run(command, cwd=self.repo, env=self.environment, capture_output=True, text=True, check=False)

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        """
        Run a command in it as Binder starts the server.
        """
        return self.run("binder/start", *command)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """
    A fresh environment with all that `binder/` asks for.
    """
    home = tmp_path_factory.mktemp("home")
    built = Image(home=home, repo=home / "repo")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (built.repo / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, built.repo / name)
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    for step in (("pip", "install", "--quiet", "-r", "binder/requirements.txt"), ("binder/postBuild",)):
        done = built.run(*step)
        assert 0 == done.returncode, done.stdout + done.stderr
    return built


@pytest.fixture(scope="module")
def server(image: Image) -> Iterator[tuple[str, str]]:
    """
    JupyterLab as the image starts it: its address and its token.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_urlsafe(24)
    # Containers run tests as root, where JupyterLab refuses to start; Binder's run as a user.
    root = ["--allow-root"] if os.geteuid() == 0 else []
    command = ["binder/start", "jupyter", "lab", "--no-browser", f"--ServerApp.port={port}", *root]
    log = image.home / "server.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*command, "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"],
            cwd=image.repo,
            env=image.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end and running.poll() is None:
            try:
                _ask(f"{url}/api", token)
            except OSError:
                time.sleep(0.2)
            else:
                break
        else:
            raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')}")
        yield url, token
    finally:
        running.terminate()
        running.wait(PATIENCE)


def _ask(url: str, token: str) -> tuple[str, str]:
    """
    Return where a question ended, and the answer.
    """
    asked = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
        return response.url, response.read().decode("utf-8")


def _name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_every_package_is_of_the_version_that_ci_tests(image: Image) -> None:
    """
    Nothing is installed that constraints.txt does not name.
    """
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if "==" in line}
    listed = json.loads(image.run("pip", "list", "--format", "json", "--exclude-editable").stdout)
    installed = {_name(each["name"]): each["version"] for each in listed}

    assert {} == {
        name: version
        for name, version in installed.items()
        if name not in ("pip", "setuptools") and pinned.get(name) != version
    }


def test_the_server_opens_the_first_notebook(server: tuple[str, str]) -> None:
    """
    Whoever comes without a path lands on notebook 00, in JupyterLab.
    """
    url, token = server
    ended, page = _ask(f"{url}/", token)

    assert f"{url}/lab/tree/{FIRST}" == ended
    assert "<title>JupyterLab</title>" in page
    assert "00_start.ipynb" == json.loads(_ask(f"{url}/api/contents/{FIRST}?content=0", token)[1])["name"]


def test_the_server_has_our_settings(server: tuple[str, str]) -> None:
    """
    No question about news, and how long cells took is recorded.
    """
    url, token = server
    found: dict[str, Any] = {}
    for plugin in ("apputils-extension:notification", "notebook-extension:tracker"):
        schema = json.loads(_ask(f"{url}/lab/api/settings/@jupyterlab/{plugin}", token)[1])["schema"]
        found |= {name: value.get("default") for name, value in schema["properties"].items()}

    assert ("false", False, True) == (found["fetchNews"], found["checkForUpdates"], found["recordTiming"])


def test_the_first_notebook_runs_on_the_sandbox(image: Image) -> None:
    """
    Headlessly from end to end, and its run lies where JupyterLab shows it.
    """
    ran = image.start("jupyter", "execute", FIRST, "--output=executed")
    assert 0 == ran.returncode, ran.stderr
    executed = json.loads((image.repo / "notebooks/executed.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", ())]
    said = "".join("".join(output.get("data", {}).get("text/plain", "")) for output in outputs)

    assert "target: SANDBOX (simulated)" in said
    assert {"error"}.isdisjoint(output["output_type"] for output in outputs)
    assert [path for path in (image.repo / "runs").iterdir() if path.is_dir()]


def test_azure_is_refused_there(image: Image) -> None:
    """
    Before anybody is asked to sign in.
    """
    command = ["--target", "azure", "-p", "subscription_ids", "00000000-0000-0000-0000-000000000000"]
    ran = image.start("runbook", "run", *command)

    assert 2 == ran.returncode
    assert "cannot be azure on Binder" in ran.stderr
