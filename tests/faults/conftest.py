"""
The states that cells begin in, and what is said of the matrix at its end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.matrix import summary
from faults.stages import Stages

# The sandbox's file and the run folders are written all the time: in memory where the system has a place for that.
_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def stages() -> Iterator[Stages]:
    """
    The states that cells begin in.
    """
    with _place() as place:
        yield Stages(place)


@pytest.fixture
def home() -> Iterator[Path]:
    """
    A folder for one cell.
    """
    with _place() as place:
        yield place


@contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="faults-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        yield Path(name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """
    Say how large the matrix was.
    """
    if any("test_matrix.py" in each.nodeid for each in terminalreporter.stats.get("passed", ())):
        terminalreporter.section("fault matrix")
        for line in summary():
            terminalreporter.line(line)
