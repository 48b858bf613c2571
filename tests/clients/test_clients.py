"""
Clients of other makes and generations do the guide's job on the served sandbox (`make clients`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.sandbox import Sandbox, read_estate
from runbook_lib.sandbox.server import SandboxServer, serve

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
# Made by `make clients`, which holds older.txt.
OLDER = Path(os.environ.get("RUNBOOK_OLDER", HERE / ".venv")) / "bin" / "python"
GROUP = "rg-backup-westeurope"
SUBSCRIPTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
# Its group's name has a letter beyond ASCII.
VM = "bi01"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SandboxServer]:
    """
    The example estate, served; a thousand of its seconds pass in a real one.
    """
    sandbox = Sandbox(tmp_path / "sandbox.sqlite")
    sandbox.load(read_estate("contoso"))
    sandbox.configure(clock_scale=1000)
    server = serve(sandbox)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.close()
    thread.join(10)
    sandbox.close()


def _outcome(server: SandboxServer, *command: str) -> dict[str, Any]:
    address = f"http://{server.host}:{server.port}"
    done = subprocess.run(
        [*command, address, SUBSCRIPTION, GROUP, VM], capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def _done(policy: str) -> dict[str, Any]:
    return {
        "vms": 39,
        "vault": "Succeeded",
        "redundancy": "LocallyRedundant",
        "policy": policy,
        "items": ["IRPending"],
        "operations": ["ConfigureBackup"],
    }


def test_the_clients_for_javascript_do_the_job(server: SandboxServer) -> None:
    """
    Vault with its replication, policy, discovery, protection, job: with other code than the SDKs for Python.
    """
    node = shutil.which("node")

    assert node is not None
    assert _done("daily-js") == _outcome(server, node, str(HERE / "guide.mjs"))


def test_the_python_clients_of_2020_do_the_job(server: SandboxServer) -> None:
    """
    The generation before azure-core, with the api-versions of its time.
    """
    assert _done("daily-old") == _outcome(server, str(OLDER), str(HERE / "older.py"))
