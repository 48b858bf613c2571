"""
The example estate, and runs on it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sealed import made
from signing import KeyFiles, key_files
from support import RunMaker

from runbook_lib.arm.opening import open_session
from runbook_lib.arm.session import Session
from runbook_lib.evidence import seal, signer
from runbook_lib.folder import SUPERVISED, RunFolder
from runbook_lib.journal import Journal
from runbook_lib.parameters import build
from runbook_lib.run import Run
from runbook_lib.sandbox import Sandbox, read_estate


@pytest.fixture
def contoso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """
    The example estate in a sandbox of its own, where every session of the test finds it.
    """
    path = tmp_path / "sandbox.sqlite"
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(path))
    monkeypatch.setenv("RUNBOOK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("RUNBOOK_STATE", str(tmp_path / "state"))
    sandbox = Sandbox(path)
    sandbox.load(read_estate("contoso"))
    yield sandbox
    sandbox.close()


@pytest.fixture
def session(contoso: Sandbox, tmp_path: Path) -> Session:
    """
    A session on the example estate.
    """
    return open_session("sandbox", Journal(tmp_path / "journal.jsonl"))


# What is started in the background may have been told to ignore Ctrl-C, and tells its children so: tests that press it
# would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_run(contoso: Sandbox, tmp_path: Path) -> RunMaker:
    """
    A maker of runs on the example estate; parameters by name.
    """
    count = iter(range(100))

    def make(**values: Any) -> Run:
        return Run(RunFolder(tmp_path / f"run-{next(count)}"), build(values))

    return make


@pytest.fixture
def sealed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    The folder of a run that was applied: one VM enabled, one blocked; sealed.
    """
    monkeypatch.setenv(SUPERVISED, "1")
    folder = made(tmp_path / "run")
    seal(folder)
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    """
    The key pair of whoever seals a run.
    """
    return key_files(tmp_path / "keys")


@pytest.fixture
def signed_run(tmp_path: Path, keys: KeyFiles, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    The folder of a run that is sealed and signed.
    """
    monkeypatch.setenv(SUPERVISED, "1")
    folder = made(tmp_path / "run")
    seal(folder, signer(str(keys.private)))
    return folder
