"""
What the tests of the scripts share: the files of an estate, and a file system to run them on.
"""

from __future__ import annotations

import os
import subprocess
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from builders import planned, proxied, rule, vm, with_records

from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory
from runbook_lib.scripts import File, files

TEMPLATES = sorted(each.name for each in (resources("runbook_lib.scripts") / "templates").iterdir())


def made(world: Inventory, **asked: Any) -> dict[str, File]:
    """
    The files for an estate and parameters, by name.
    """
    plan = planned(world, **asked)
    found = files(world, Parameters(**asked), list(world.vms.values()), plan.changes)
    return {each.name: each for each in found}


def both() -> Inventory:
    """
    An estate with a proxy behind an NSG that denies, a Windows VM and a Linux VM.
    """
    return with_records(proxied(rule("deny", 1000)), vm("lin", os_type="Linux"))


def tool(folder: Path, name: str, body: str) -> None:
    """
    Put a command in place of one of the system.
    """
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{body}\n")
    (place / name).chmod(0o755)


def run_shell(script: str, folder: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """
    Run a script on the file system in *folder*, with the commands that stand in its `bin` first.
    """
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "RUNBOOK_ROOT": str(folder / "root")}
    command = ["sh", "-c", script, "script", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=cwd, check=False, stdin=subprocess.DEVNULL
    )


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """
    Everything below a folder: content and mode.
    """
    return {
        str(each.relative_to(folder)): (each.read_bytes() if each.is_file() else b"", each.stat().st_mode)
        for each in sorted(folder.rglob("*"))
    }


def log(folder: Path) -> list[str]:
    """
    The commands that were called, less questions.
    """
    path = folder / "log"
    return [line for line in path.read_text().splitlines() if "is-active" not in line] if path.exists() else []
