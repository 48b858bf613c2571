"""
The settings that come with the repository: JupyterLab's in `jupyter/`, Binder's in `binder/`, and how both are started.

That JupyterLab takes them is shown in the browser tests.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from jupyter_server.serverapp import ServerApp

ROOT = Path(__file__).parents[1]
SETTINGS = json.loads((ROOT / "jupyter/labconfig/default_setting_overrides.json").read_text(encoding="utf-8"))
SHIPPED = sorted(path for folder in ("binder", "jupyter") for path in (ROOT / folder).rglob("*") if path.is_file())
OPENS = re.compile(r"allow.?(origin|root|remote)|xsrf|token|password|[-. ]ip\b|0\.0\.0\.0", re.IGNORECASE)


def _server(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServerApp:
    """
    Configure a server by *folder* alone, as JUPYTER_CONFIG_PATH would.
    """
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(folder))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "")
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    server = ServerApp()
    server.load_config_file()
    return server


def _doors(server: ServerApp) -> dict[str, Any]:
    """
    Name the settings that open a server to others, as they are in effect.
    """
    provider = server.identity_provider_class(parent=server)
    return {
        "ip": server.ip,
        "allow_origin": server.allow_origin,
        "allow_origin_pat": server.allow_origin_pat,
        "allow_root": server.allow_root,
        "disable_check_xsrf": server.disable_check_xsrf,
        "auth": provider.auth_enabled and len(provider.token) >= 32,
    }


CLOSED = {
    "ip": "localhost",
    "allow_origin": "",
    "allow_origin_pat": "",
    "allow_root": False,
    "disable_check_xsrf": False,
    "auth": True,
}


def test_the_shipped_settings_leave_the_server_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    With the shipped folder the server asks for a token, checks XSRF, and answers this machine alone, and not as root.
    """
    assert CLOSED == _doors(_server(ROOT / "jupyter", monkeypatch, tmp_path))


def test_a_setting_that_opens_the_server_would_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    What a server's configuration file in such a folder says is in effect: the test above can fail.
    """
    opened = {"ServerApp": {"allow_origin": "*"}, "IdentityProvider": {"token": ""}}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(opened), encoding="utf-8")

    doors = _doors(_server(tmp_path, monkeypatch, tmp_path / "none"))

    assert {"allow_origin": "*", "auth": False} == {name: doors[name] for name in ("allow_origin", "auth")}


@pytest.mark.parametrize("path", [ROOT / "Makefile", *SHIPPED], ids=lambda path: path.name)
def test_nothing_that_is_started_opens_the_server(path: Path) -> None:
    """
    No command line and no setting of ours names an option that opens a server to others.
    """
    assert [] == [line for line in path.read_text(encoding="utf-8").splitlines() if OPENS.search(line)]


@pytest.mark.parametrize(
    "option",
    [
        "--allow-root",
        "--IdentityProvider.token=",
        "--ip 192.0.2.1",
        "--PasswordIdentityProvider.hashed_password=",
        "--ServerApp.allow_origin_pat=.*",
        "--ServerApp.allow_remote_access=True",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.ip=*",
    ],
)
def test_an_option_that_opens_the_server_is_recognised(option: str) -> None:
    """
    The test above can fail, on each of the options that it is about.
    """
    assert OPENS.search(f"jupyter lab {option} notebooks")


@pytest.mark.parametrize("plugin", SETTINGS)
def test_every_setting_is_one_that_jupyterlab_knows(plugin: str) -> None:
    """
    JupyterLab ignores a setting that it does not know: each is in its plugin's schema, with a value that this allows.
    """
    package, _, name = plugin.partition(":")
    schema = Path(sys.prefix) / "share/jupyter/lab/schemas" / package / f"{name}.json"
    known = json.loads(schema.read_text(encoding="utf-8"))["properties"]

    assert set(SETTINGS[plugin]) <= set(known)
    for setting, value in SETTINGS[plugin].items():
        jsonschema.validate(value, known[setting])


def test_binder_installs_what_the_requirements_say() -> None:
    """
    Binder looks at its own folder only, which refers to the repository's requirements, on a Python that they allow.
    """
    option, _, named = (ROOT / "binder/requirements.txt").read_text(encoding="utf-8").strip().partition(" ")
    python = (ROOT / "binder/runtime.txt").read_text(encoding="utf-8").strip()
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]

    assert ("-r", ROOT / "requirements.txt") == (option, (ROOT / "binder" / named).resolve())
    assert oldest == python.replace("python-", ">=")


def test_binder_starts_what_it_is_given_with_our_settings(tmp_path: Path) -> None:
    """
    The start script runs its arguments, in their own process, where they find JupyterLab's settings and the runs.
    """
    names = ("JUPYTER_CONFIG_PATH", "RUNBOOK_RUNS")
    code = f"import os; print(*(os.environ[name] for name in {names}), sep='\\n'); raise SystemExit(7)"
    environment = {"PATH": os.environ["PATH"], "REPO_DIR": str(tmp_path), "JUPYTER_CONFIG_PATH": "theirs"}

    ran = subprocess.run(
        [ROOT / "binder/start", sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (7, "") == (ran.returncode, ran.stderr)
    assert [f"{tmp_path}/jupyter:{tmp_path}/binder/jupyter:theirs", f"{tmp_path}/runs"] == ran.stdout.splitlines()


def test_binder_opens_the_first_notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    The configuration that the start script names sets the default URL, and leaves the server as closed as it was.
    """
    server = _server(ROOT / "binder/jupyter", monkeypatch, tmp_path)

    assert "/lab/tree/notebooks/00_start.ipynb" == server.default_url
    assert (ROOT / server.default_url.removeprefix("/lab/tree/")).is_file()
    assert CLOSED == _doors(server)


@pytest.mark.parametrize(("given", "exported"), [({}, "unknown"), ({"BINDER_LAUNCH_HOST": "theirs"}, "theirs")])
def test_binder_says_that_it_is_binder(given: dict[str, str], exported: str, tmp_path: Path) -> None:
    """
    By a variable of its own name, which makes a session refuse Azure; what the hub has said stays.
    """
    code = "import os; print(*(f'{name}={value}' for name, value in os.environ.items() if name.startswith('BINDER_')))"
    ran = subprocess.run(
        [ROOT / "binder/start", sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "REPO_DIR": str(tmp_path)} | given,
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"BINDER_LAUNCH_HOST={exported}" == ran.stdout.strip()


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_binders_scripts_stop_at_the_first_error(name: str) -> None:
    """
    Binder's scripts can be executed, and do not go on after a command that failed.
    """
    path = ROOT / "binder" / name

    assert path.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in path.read_text(encoding="utf-8").splitlines()
