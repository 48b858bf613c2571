"""
A run folder that was sealed, and what somebody may do to it, for the tests of evidence.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders import EVERYTHING, everything, planned, vm, with_records

from runbook_lib.conclusion import close, conclude
from runbook_lib.evidence import ATTESTATION, read_json, seal, verify, write_json
from runbook_lib.folder import NOTEBOOKS, RunFolder, read_plan
from runbook_lib.parameters import Parameters
from runbook_lib.plan import plan_digest, project
from runbook_lib.records import Origin

Edit = Callable[[Any], object]


def made(path: Path, **asked: Any) -> Path:
    """
    Write the folder of a run that came to its end, unsealed.
    """
    folder = RunFolder(path)
    before = with_records(everything(), vm("stuck", agent=None))
    plan = planned(before, **EVERYTHING, **asked)
    after = project(before, plan.changes)
    folder.save_parameters(Parameters(**EVERYTHING, **asked))
    folder.save_inventory("before", before)
    folder.save_inventory("after", after)
    folder.save_plan(plan)
    for change in plan.changes:
        folder.journal.intent(change)
        folder.journal.call({"method": "PUT", "url": "/x", "status": 200, "change_sha256": change.sha256})
        folder.journal.result(change, "done")
    for notebook in NOTEBOOKS:
        folder.visit(notebook, {})
        (path / f"{notebook}.ipynb").write_text('{"cells": []}', encoding="utf-8")
    conclude(folder, Parameters(**EVERYTHING, **asked), before, after, (), ())
    close(folder)
    (path / ATTESTATION).unlink()
    return path


def rehearsed(folder: Path, origin: Origin, target: str, given: str = "") -> None:
    """
    Let a run's plan have been made on a copy of *origin*, and the run have been on *target*; seal it anew.

    Args:
        given: digest of the plan that run.json says the run was given; the plan's own by default.
    """
    plan = replace(read_plan(folder / "plan.json"), copy_of=origin)
    plan = replace(plan, digest=plan_digest(plan))
    write_json(folder / "plan.json", plan)
    edit(folder / "outcome.json", lambda outcome: outcome.update(target=target, plan_digest=plan.digest))
    edit(folder / "findings.json", lambda found: found.update(target=target))
    edit(folder / "run.json", lambda state: state.update(given=given or plan.digest))
    seal(folder)


def edit(path: Path, change: Edit) -> None:
    """
    Change a JSON file in place.
    """
    document = read_json(path)
    change(document)
    write_json(path, document)


def statement_of(folder: Path) -> dict[str, Any]:
    """
    Open the attestation's payload.
    """
    opened: dict[str, Any] = json.loads(base64.b64decode(read_json(folder / ATTESTATION)["payload"]))
    return opened


def reattest(folder: Path, change: Edit) -> None:
    """
    Put an edited statement into the attestation.
    """
    statement = statement_of(folder)
    change(statement)
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    edit(folder / ATTESTATION, lambda envelope: envelope.update(payload=payload))


def problems(folder: Path) -> list[tuple[str, str]]:
    """
    What does not agree; a folder with problems is never accepted.
    """
    found = verify(folder)
    assert found.accepted == (found.complete and not found.problems)
    return [(each.kind, each.file) for each in found.problems]
