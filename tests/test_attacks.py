"""
Attacks on evidence, each counted: what does not rebuild the attestation is always found; what does, by key or digest.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sealed import edit, made
from signing import KeyFiles, key_files

from runbook_lib.errors import BrokenEvidence, RunbookError
from runbook_lib.evidence import seal, signer, verify
from runbook_lib.journal import FIRST, chained

Attack = Callable[[Path, Path], None]


def rechain(path: Path, keep: Callable[[int, int], bool] = lambda number, count: True) -> None:
    """
    Write a journal anew with some of its lines, each following the one before it.
    """
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    previous, lines = FIRST, []
    for number, entry in enumerate(entries):
        if keep(number, len(entries)):
            line, previous = chained({name: value for name, value in entry.items() if name != "previous"}, previous)
            lines.append(line)
    path.write_bytes(b"".join(lines))


def drop(number: int) -> Attack:
    """
    Take a line out of the journal.
    """

    def attack(folder: Path, _: Path) -> None:
        lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
        del lines[number]
        (folder / "journal.jsonl").write_bytes(b"".join(lines))

    return attack


def swap(name: str) -> Attack:
    """
    Put a file of another run in.
    """
    return lambda folder, other: shutil.copy(other / name, folder / name) and None


def _truncate(folder: Path, _: Path) -> None:
    for path in sorted(folder.rglob("*"))[-4:]:
        if path.is_file() and path.suffix != ".json":
            path.unlink()
    (folder / "inventory-before.json").unlink()


def _forged_notebook(folder: Path, _: Path) -> None:
    # What papermill writes after a kernel was killed reads like a success as well.
    done = {"papermill": {"exception": None, "start_time": "2026-11-22T19:00:00"}}
    cell = {"cell_type": "code", "outputs": [{"output_type": "stream", "name": "stdout", "text": "PROTECTED"}]}
    (folder / "07_evidence.ipynb").write_text(json.dumps({"cells": [cell], "metadata": done}), encoding="utf-8")


def _no_more_vm(folder: Path, _: Path) -> None:
    table = folder / "tables" / "comparison.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("BLOCKED", "PROTECTED"), encoding="utf-8")


ATTACKS: dict[str, Attack] = {
    **{f"journal without line {number}": drop(number) for number in (0, 1, -2, -1)},
    **{
        f"{name} of another run": swap(name)
        for name in ("plan.json", "journal.jsonl", "outcome.json", "parameters.json")
    },
    "a folder that was cut off": _truncate,
    "a forged notebook": _forged_notebook,
    "a forged table": _no_more_vm,
    "a journal that was cut off and chained anew": lambda folder, _: rechain(
        folder / "journal.jsonl", lambda number, count: number < count - 1
    ),
    "an outcome without its blocked VM": lambda folder, _: edit(
        folder / "outcome.json", lambda outcome: outcome.update(verdicts=outcome["verdicts"][:-1])
    ),
}
# What the run's own documents contradict, whoever rebuilt the hashes.
CONTRADICTED = {
    "journal without line 0": "journal_broken",
    "journal without line 1": "journal_broken",
    "journal without line -2": "journal_broken",
    "journal without line -1": "changes_broken",
    "plan.json of another run": "plan_broken",
    "outcome.json of another run": "plan_broken",
    "a journal that was cut off and chained anew": "changes_broken",
    "an outcome without its blocked VM": "verdicts_broken",
}


@pytest.fixture
def other_run(tmp_path: Path) -> Path:
    """
    Another run of the same estate, sealed.
    """
    folder = made(tmp_path / "other", backup_time="22:00")
    seal(folder)
    return folder


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_does_not_rebuild_the_attestation_is_found(name: str, signed_run: Path, other_run: Path) -> None:
    """
    Without a key, without a digest.
    """
    ATTACKS[name](signed_run, other_run)
    found = verify(signed_run)

    assert ("broken", False) == (found.worth, found.accepted)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_rebuilds_the_attestation_is_found_by_key_or_digest(
    name: str, signed_run: Path, other_run: Path, keys: KeyFiles, tmp_path: Path
) -> None:
    """
    Rebuilt unsigned, and signed by the attacker; without key and digest nothing is called authentic.
    """
    digest, key = verify(signed_run).digest, keys.public
    ATTACKS[name](signed_run, other_run)
    for attacker in (None, signer(str(key_files(tmp_path / "attacker").private))):
        seal(signed_run, attacker)
        assert "broken" == verify(signed_run, key=key).worth
        assert "broken" == verify(signed_run, expected=digest).worth
        found = verify(signed_run)
        assert () == found.proven
        said = found.lines("en")[1]
        assert "origin not proven" in said if not found.problems else said.startswith("BROKEN")
        if name in CONTRADICTED:
            assert CONTRADICTED[name] in [each.kind for each in found.problems]


def test_a_thousand_random_changes_are_all_found(signed_run: Path) -> None:
    """
    A byte turned, taken out or put in, anywhere in any file, the attestation among them: 1,000 of 1,000.
    """
    drawn = random.Random(7)
    files = [path for path in sorted(signed_run.rglob("*")) if path.is_file() and path.stat().st_size]
    digest, found = verify(signed_run).digest, 0
    for _ in range(1000):
        path = drawn.choice(files)
        original = path.read_bytes()
        where = drawn.randrange(len(original))
        kind = drawn.choice(["turn", "take", "put"])
        middle = {
            "turn": bytes([original[where] ^ drawn.randint(1, 255)]),
            "take": b"",
            "put": original[where:][:1] * 2,
        }
        path.write_bytes(original[:where] + middle[kind] + original[where + 1 :])
        try:
            found += not verify(signed_run, expected=digest).accepted
        except RunbookError as error:
            found += isinstance(error, BrokenEvidence)
        finally:
            path.write_bytes(original)

    assert 1000 == found
    assert verify(signed_run, expected=digest).accepted


@pytest.mark.parametrize(
    ("claim", "value", "kind"),
    [
        ("changes", {"planned": 0}, "changes_broken"),
        ("irreversible", {}, "changes_broken"),
        ("applied", False, "changes_broken"),
        ("exit_code", 0, "exit_broken"),
        ("plan_digest", "0" * 64, "plan_broken"),
        ("failures", [{"target": "/x", "outcome": "failed"}], "failures_broken"),
    ],
)
def test_each_claim_of_the_outcome_is_worked_out_once_more(
    sealed_run: Path, claim: str, value: object, kind: str
) -> None:
    """
    From journal, plan and findings; rebuilt hashes do not help.
    """
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update({claim: value}))
    seal(sealed_run)

    assert kind in [each.kind for each in verify(sealed_run).problems]


def test_a_run_that_says_it_came_to_its_end_has_opened_its_notebooks(sealed_run: Path) -> None:
    """
    Nor was it supervised where run.json says that a notebook was not.
    """
    edit(sealed_run / "run.json", lambda state: state["visited"].pop("07_evidence"))
    seal(sealed_run)

    assert ["complete_broken"] == [each.kind for each in verify(sealed_run).problems]
