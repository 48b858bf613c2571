"""
Forged evidence: hashes that were rebuilt do not help, and what is no evidence is refused with its name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sealed import Edit, edit, problems, reattest, rehearsed

from runbook_lib.cli import main
from runbook_lib.errors import BrokenEvidence
from runbook_lib.evidence import ATTESTATION, read_json, seal, verify, write_json
from runbook_lib.folder import read_plan
from runbook_lib.journal import FIRST, Journal, chained
from runbook_lib.records import Origin

# --- what was forged and sealed again -----------------------------------------------------------------------------


def blocked(outcome: dict[str, Any]) -> dict[str, Any]:
    """
    The row of the VM that is blocked.
    """
    row: dict[str, Any] = next(each for each in outcome["verdicts"] if each["verdict"] == "BLOCKED")
    return row


def unsay(found: Any, moment: str, **said: str) -> None:
    """
    Take back, for every VM, what is said in the words of *said*.
    """
    gone = {number for number, each in enumerate(found["said"]) if said.items() <= each.items()}
    found[moment] = {vm: [number for number in own if number not in gone] for vm, own in found[moment].items()}


@pytest.mark.parametrize(
    "forge",
    [
        lambda o: blocked(o).update(verdict="PROTECTED"),
        lambda o: blocked(o).update(verdict="READY", decisive=[]),
        lambda o: blocked(o).update(decisive=["region"]),
        lambda o: blocked(o).pop("decisive"),
        lambda o: blocked(o).update(before="READY"),
        lambda o: o["verdicts"].remove(blocked(o)),
        lambda o: o["verdicts"].append(blocked(o) | {"vm": "/subscriptions/other"}),
        lambda o: o.update(counts={"ENABLED": 2}),
        lambda o: o["counts"].pop("BLOCKED"),
        lambda o: (blocked(o).update(verdict="ENABLED", decisive=[]), o.update(counts={"ENABLED": 2})),
    ],
)
def test_an_outcome_that_its_findings_do_not_bear_out_is_found(sealed_run: Path, forge: Edit) -> None:
    """
    All hashes rebuilt: the verdicts are recomputed.
    """
    edit(sealed_run / "outcome.json", forge)
    seal(sealed_run)

    assert [("verdicts_broken", "outcome.json")] == problems(sealed_run)


@pytest.mark.parametrize(
    "forge",
    [
        lambda f: f["after"].clear(),
        lambda f: unsay(f, "after", status="FAIL"),
        lambda f: [each.update(status="PASS", guide="PASS") for each in f["said"] if each["status"] == "FAIL"],
        lambda f: [each.update(status="UNKNOWN") for each in f["said"] if each["check"] == "region"],
        lambda f: [each.update(case="protected") for each in f["said"] if each["check"] == "protection"],
        lambda f: unsay(f, "after", check="protection"),
        lambda f: f.update(after={"/subscriptions/x": [n for own in f["after"].values() for n in own]}),
        lambda f: unsay(f, "before", check="agent"),
        lambda f: f.update(before=dict(list(f["before"].items())[:1])),
        lambda f: f.update(after={vm: f["after"][vm] for vm in list(f["after"])[:-1]}),
    ],
)
def test_findings_that_do_not_bear_out_the_outcome_are_found(sealed_run: Path, forge: Edit) -> None:
    """
    Before as well as after the run.
    """
    edit(sealed_run / "findings.json", forge)
    seal(sealed_run)

    assert [("verdicts_broken", "outcome.json")] == problems(sealed_run)


def test_findings_of_another_target_are_found(sealed_run: Path) -> None:
    """
    What was rehearsed is not passed off as Azure's.
    """
    edit(sealed_run / "findings.json", lambda found: found.update(target="AZURE AzureCloud, tenant t"))
    seal(sealed_run)

    assert [("target_broken", "findings.json")] == problems(sealed_run)


REAL = Origin(
    kind="azure", name="AzureCloud", tenant="t", subscriptions=("s",), read_at=datetime(2026, 11, 18, 7, tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("target", "given", "found"),
    [
        (REAL.mark, "", []),
        ("SANDBOX (simulated)", "", []),
        ("AZURE AzureChinaCloud, tenant t", "", [("plan_broken", "plan.json")]),
        ("AZURE AzureCloud, tenant u", "", [("plan_broken", "plan.json")]),
        # It was made by the run itself, on the copy.
        (REAL.mark, "0" * 64, [("plan_broken", "plan.json")]),
    ],
)
def test_a_rehearsed_plan_is_evidence_of_the_copy_and_of_its_original(
    sealed_run: Path, target: str, given: str, found: list[tuple[str, str]]
) -> None:
    """
    And of no other target; nor is a rehearsal that names the original as its target one of that.
    """
    rehearsed(sealed_run, REAL, target, given)
    said = "planned on a copy of AZURE AzureCloud, tenant t that was read at 2026-11-18T07:00:00+00:00"

    assert found == problems(sealed_run)
    assert (not found) == (said in "\n".join(verify(sealed_run).lines("en")))


@pytest.mark.parametrize(
    "forge",
    [
        lambda s: s["predicate"].update(result="PASSED"),
        lambda s: s["predicate"].update(failedTests=[]),
        lambda s: s["predicate"].update(passedTests=s["predicate"]["passedTests"] + s["predicate"]["failedTests"]),
        lambda s: s["predicate"]["runbook"].update(target="AZURE AzureCloud, tenant t"),
        lambda s: s["predicate"]["runbook"].update(plan_digest="0" * 64),
        lambda s: s["predicate"]["runbook"].update(applied=False),
        lambda s: s["predicate"]["runbook"].update(supervised=False),
        lambda s: s["predicate"].update(configuration=[]),
    ],
)
def test_an_attestation_that_sums_the_outcome_up_otherwise_is_found(sealed_run: Path, forge: Edit) -> None:
    """
    Every file is as it was sealed, but the statement says something else of them.
    """
    reattest(sealed_run, forge)

    assert [("attested_broken", "outcome.json")] == problems(sealed_run)


def test_an_incomplete_run_cannot_be_attested_complete(sealed_run: Path) -> None:
    """
    The attestation alone does not make it so.
    """
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(complete=False))
    seal(sealed_run)
    assert not verify(sealed_run).accepted
    reattest(sealed_run, lambda statement: statement["predicate"]["runbook"].update(complete=True))

    assert [("attested_broken", "outcome.json")] == problems(sealed_run)


def test_a_subject_that_was_taken_out_of_the_statement_is_found(sealed_run: Path) -> None:
    """
    Its file was added, then, as far as the statement goes.
    """
    reattest(sealed_run, lambda statement: statement["subject"].pop(0))

    assert ["added_file"] == [kind for kind, _ in problems(sealed_run)]


def test_a_subject_outside_of_the_folder_is_not_read(sealed_run: Path, tmp_path: Path) -> None:
    """
    A name that leads elsewhere is simply not there.
    """
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    digest = hashlib.sha256(b"x").hexdigest()
    reattest(sealed_run, lambda s: s["subject"].append({"name": "../secret", "digest": {"sha256": digest}}))

    assert [("missing_file", "../secret")] == problems(sealed_run)


def test_a_plan_that_was_not_the_last_to_be_approved_is_found(sealed_run: Path) -> None:
    """
    Its digest is right, and the outcome's, but something else was approved.
    """
    Journal(sealed_run / "journal.jsonl").note("approved", step="01", digest="d", plan="0" * 64)
    seal(sealed_run)

    assert [("approved_broken", "plan.json")] == problems(sealed_run)


def test_a_change_that_was_made_and_not_planned_is_found(sealed_run: Path) -> None:
    """
    The journal says that it was done, in place of one of the plan.
    """
    change = next(iter(read_plan(sealed_run / "plan.json").changes))
    Journal(sealed_run / "journal.jsonl").result(replace(change, body={"other": 1}), "done")
    seal(sealed_run)

    assert ("approved_broken", "plan.json") in problems(sealed_run)


@pytest.mark.parametrize("kind", ["intent", "call"])
def test_a_change_that_is_done_and_was_not_sent_is_found(sealed_run: Path, kind: str) -> None:
    """
    The journal, chained anew, lacks what was written before it was sent, or the call.
    """
    path, previous = sealed_run / "journal.jsonl", FIRST
    entries = [entry for entry in Journal(path).entries() if entry["entry"] != kind]
    with path.open("wb") as file:
        for entry in entries:
            line, previous = chained(entry, previous)
            file.write(line)
    seal(sealed_run)

    assert [("sent_broken", "journal.jsonl")] == problems(sealed_run)


@pytest.mark.parametrize(
    "name", ["parameters.json", "environment.json", "run.json", "plan.json", "inventory-after.json", "report.html"]
)
def test_a_run_that_lacks_a_file_of_every_run_is_broken(sealed_run: Path, name: str) -> None:
    """
    It was sealed without it, so that nothing else shows it.
    """
    (sealed_run / name).unlink()
    seal(sealed_run)

    assert [("lacking_file", name)] == problems(sealed_run)


def test_it_is_said_which_files_nothing_but_their_hash_covers(sealed_run: Path) -> None:
    """
    Whoever sealed it may have written anything there.
    """
    (sealed_run / "notes.txt").write_text("x", encoding="utf-8")
    seal(sealed_run)
    (line,) = (each for each in verify(sealed_run).lines("en") if each.startswith("covered by"))

    assert "notebooks, environment, inventories, notes.txt, parameters, report, tables" == line.partition(": ")[2]


# --- what is no evidence ------------------------------------------------------------------------------------------


def test_a_run_without_its_attestation_is_incomplete(sealed_run: Path) -> None:
    """
    Whatever its other files say: a kernel that died leaves just that.
    """
    (sealed_run / ATTESTATION).unlink()

    with pytest.raises(BrokenEvidence, match=r"has no attestation\.dsse\.json: the run is INCOMPLETE"):
        verify(sealed_run)


def test_a_folder_that_is_not_there_is_no_evidence(tmp_path: Path) -> None:
    """
    Nor is a file in its place.
    """
    (tmp_path / "file").write_text("x", encoding="utf-8")

    for path in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(BrokenEvidence):
            verify(path)


def test_a_run_without_an_outcome_cannot_be_sealed(tmp_path: Path) -> None:
    """
    There is nothing to attest.
    """
    with pytest.raises(BrokenEvidence, match=r"has no outcome\.json"):
        seal(tmp_path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [ATTESTATION, "outcome.json", "journal.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_pipe_or_a_link_in_place_of_a_file_is_not_read(sealed_run: Path, name: str, kind: str) -> None:
    """
    A pipe would keep whoever verifies waiting for ever, a link lead out of the folder.
    """
    path = sealed_run / name
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        (sealed_run.parent / "elsewhere").write_bytes(content)
        path.symlink_to(sealed_run.parent / "elsewhere")

    for command in (["verify", str(sealed_run)], ["redact", str(sealed_run), "--out", str(sealed_run.parent / "copy")]):
        assert 1 == CliRunner().invoke(main, command, catch_exceptions=False).exit_code
    for reading in (lambda: read_json(path), lambda: next(Journal(path).entries())):
        with pytest.raises(BrokenEvidence, match="is a link, a pipe or a folder"):
            reading()


def envelope(payload: Any = b"{}", **other: Any) -> bytes:
    """
    An envelope around some payload.
    """
    encoded = base64.b64encode(payload).decode() if isinstance(payload, bytes) else payload
    return json.dumps(
        {"payload": encoded, "payloadType": "application/vnd.in-toto+json", "signatures": []} | other
    ).encode()


def wrapped(**members: Any) -> bytes:
    """
    An envelope around a statement with some members.
    """
    usual: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "subject": [],
        "predicate": {"runbook": {"target": "t", "complete": True, "supervised": True}},
    }
    return envelope(json.dumps(usual | members).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"5",
        b'"x"',
        b"{}",
        b"[" * 100_000,
        envelope(b""),
        envelope(b"[]"),
        envelope(b"null"),
        envelope(b"{}"),
        envelope(b"\xff"),
        envelope(b"[" * 100_000),
        envelope(None),
        envelope(5),
        envelope("a"),
        envelope(signatures=None),
        envelope(signatures=[5]),
        envelope(signatures=[{"sig": "x"}]),
        wrapped(_type="https://in-toto.io/Statement/v0.1"),
        wrapped(predicateType="https://slsa.dev/provenance/v1"),
        wrapped(subject=None),
        wrapped(subject=[5]),
        wrapped(subject=[{"name": "x"}]),
        wrapped(subject=[{"name": "x", "digest": "y"}]),
        wrapped(subject=[{"digest": {"sha256": "y"}}]),
        wrapped(predicate=None),
        wrapped(predicate={}),
        wrapped(predicate={"runbook": []}),
        wrapped(predicate={"runbook": {"target": "t", "complete": True}}),
        json.dumps(json.loads(wrapped()) | {"payloadType": "application/json"}).encode(),
    ],
)
def test_what_is_no_attestation_is_refused(sealed_run: Path, content: bytes) -> None:
    """
    Whatever stands in the file: the error names it, and nothing else breaks.
    """
    (sealed_run / ATTESTATION).write_bytes(content)

    with pytest.raises(BrokenEvidence, match=r"attestation\.dsse\.json cannot be read"):
        verify(sealed_run)


@pytest.mark.parametrize("subject", [{"name": 5, "digest": {"sha256": "x"}}, {"name": "a", "digest": {"sha256": 5}}])
def test_a_subject_of_another_type_is_a_file_that_is_missing(sealed_run: Path, subject: dict[str, Any]) -> None:
    """
    It can name nothing that is there.
    """
    reattest(sealed_run, lambda statement: statement["subject"].append(subject))

    assert [("missing_file", str(subject["name"]))] == problems(sealed_run)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("outcome.json", []),
        ("outcome.json", {}),
        ("outcome.json", {"verdicts": [{}]}),
        ("findings.json", []),
        ("findings.json", {"target": "t"}),
        ("findings.json", {"target": "t", "before": [], "after": [{}], "said": []}),
        ("findings.json", {"target": "t", "before": {}, "after": {"vm": 5}, "said": []}),
        ("findings.json", {"target": "t", "before": {}, "after": {"vm": [0]}, "said": []}),
        ("findings.json", {"target": "t", "before": {}, "after": {"vm": [-1]}, "said": [{"check": "agent"}]}),
        ("findings.json", {"target": "t", "before": {}, "after": {}, "said": [5]}),
        ("findings.json", {"before": {}, "after": {}, "said": []}),
    ],
)
def test_documents_that_are_not_what_they_should_be_are_refused(sealed_run: Path, name: str, content: Any) -> None:
    """
    Sealed as they are, by somebody who rebuilt the hashes.
    """
    write_json(sealed_run / name, content)
    digest = hashlib.sha256((sealed_run / name).read_bytes()).hexdigest()
    reattest(
        sealed_run, lambda s: [each["digest"].update(sha256=digest) for each in s["subject"] if each["name"] == name]
    )

    with pytest.raises(BrokenEvidence, match="cannot be read"):
        verify(sealed_run)


@pytest.mark.parametrize("name", ["outcome.json", "findings.json"])
def test_evidence_without_its_main_documents_is_refused(sealed_run: Path, name: str) -> None:
    """
    Even if the statement does not list them.
    """
    (sealed_run / name).unlink()
    reattest(sealed_run, lambda s: s.update(subject=[each for each in s["subject"] if each["name"] != name]))

    with pytest.raises(BrokenEvidence, match=f"has no {name}"):
        verify(sealed_run)
