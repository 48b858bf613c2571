"""
Leases on vaults and NSGs: two operators on this machine who write to one notice each other. Imports `errors` and
`private`.

A lease ends with the process that has it, however that ends. Operators on other machines are noticed by what they did:
a step is applied only to the world that it was planned on, and a change of theirs is drift.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from runbook_lib.errors import PlanRefused
from runbook_lib.private import make_file, make_folder

__all__ = ["leased"]


@contextmanager
def leased(home: Path, place: str, resources: Iterable[str], holder: Mapping[str, str]) -> Iterator[None]:
    """
    Hold the leases of *resources* for the time of the block.

    Args:
        home: folder of the leases.
        place: tells the target from others in which resources may have the same ids.
        holder: who takes them, by `caller`, `run` and `since`.

    Raises:
        PlanRefused: another run has one of them; none is held then.
    """
    make_folder(home)
    with ExitStack() as held:
        # In one order, so that two runs never wait for each other's.
        for each in sorted(set(resources)):
            name = hashlib.sha256(f"{place}\n{each}".encode()).hexdigest()
            note = home / f"{name}.json"
            try:
                held.enter_context(FileLock(home / f"{name}.lock", timeout=0, mode=0o600))
            except Timeout:
                raise PlanRefused("leased", resource=each, **_holder(note)) from None
            make_file(note)
            note.write_text(json.dumps(dict(holder)), encoding="utf-8")
        yield


def _holder(note: Path) -> dict[str, str]:
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Its holder is just about to write it.
        told = {}
    return {name: str(told.get(name, "?")) for name in ("caller", "run", "since")}
