"""
Evidence: a sealed run verifies, and whatever was changed, added or taken away since is found.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import vm
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sealed import edit, made, problems, statement_of

from runbook_lib import evidence
from runbook_lib.cli import main
from runbook_lib.errors import BrokenEvidence
from runbook_lib.evidence import ATTESTATION, Problem, exit_code, read_json, seal, verify, write_json
from runbook_lib.records import Verdict, VmVerdict

# --- what was sealed ----------------------------------------------------------------------------------------------


def test_a_sealed_run_is_accepted(sealed_run: Path) -> None:
    """
    Complete, consistent, and marked with its target.
    """
    found = verify(sealed_run)

    assert (True, True, True, ()) == (found.accepted, found.complete, found.supervised, found.problems)
    assert "SANDBOX (simulated)" == found.target


def test_the_digest_is_that_of_the_attestation(sealed_run: Path) -> None:
    """
    Kept elsewhere, it proves that this is the attestation that was made then.
    """
    digest = hashlib.sha256((sealed_run / ATTESTATION).read_bytes()).hexdigest()

    assert digest == verify(sealed_run).digest
    assert f"sha256:{digest}" == verify(sealed_run).lines("en")[-1]


def test_the_attestation_is_an_in_toto_statement_over_every_file(sealed_run: Path) -> None:
    """
    In a DSSE envelope; a test result of three words and the VMs of each.
    """
    statement = statement_of(sealed_run)
    files = {path.relative_to(sealed_run).as_posix() for path in sealed_run.rglob("*") if path.is_file()} - {
        ATTESTATION
    }

    assert "application/vnd.in-toto+json" == read_json(sealed_run / ATTESTATION)["payloadType"]
    assert files == {each["name"] for each in statement["subject"]}
    assert {"outcome.json", "plan.json", "journal.jsonl", "tables/plan.csv", "07_evidence.ipynb"} <= files
    assert "FAILED" == statement["predicate"]["result"]
    assert [vm("stuck").id] == statement["predicate"]["failedTests"]
    assert [vm("web").id] == statement["predicate"]["passedTests"]


def test_sealing_the_same_files_again_gives_the_same_digest(sealed_run: Path) -> None:
    """
    Nothing of the moment or of the machine is in it.
    """
    assert seal(sealed_run) == verify(sealed_run).digest == seal(sealed_run)


def test_a_run_can_be_moved_and_copied(sealed_run: Path, tmp_path: Path) -> None:
    """
    No path of the machine is part of the evidence.
    """
    copy = Path(shutil.copytree(sealed_run, tmp_path / "elsewhere" / "copy"))

    assert verify(copy).accepted
    assert str(tmp_path) not in json.dumps(statement_of(copy))


# --- what was changed ---------------------------------------------------------------------------------------------

FILES: tuple[str, ...] = (
    "outcome.json",
    "findings.json",
    "plan.json",
    "journal.jsonl",
    "inventory-after.json",
    "parameters.json",
)
FILES += ("tables/comparison.csv", "00_start.ipynb", "environment.json", "run.json")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_is_named(sealed_run: Path, name: str) -> None:
    """
    One byte is enough.
    """
    with (sealed_run / name).open("ab") as file:
        file.write(b" ")

    assert [("changed_file", name)] == problems(sealed_run)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_taken_away_is_named(sealed_run: Path, name: str) -> None:
    """
    Even one that says nothing of the outcome.
    """
    (sealed_run / name).unlink()

    assert [("missing_file", name)] == problems(sealed_run)


@pytest.mark.parametrize(
    "name", ["notes.txt", ".hidden", "tables/more.csv", "new/deep/file", "08_more.ipynb", "x.part"]
)
def test_a_file_that_was_added_is_named(sealed_run: Path, name: str) -> None:
    """
    Nobody slips something in beside what was sealed.
    """
    (sealed_run / name).parent.mkdir(parents=True, exist_ok=True)
    (sealed_run / name).write_text("x", encoding="utf-8")

    assert [("added_file", name)] == problems(sealed_run)


def test_the_last_line_of_the_journal_cannot_be_dropped(sealed_run: Path) -> None:
    """
    Nor any other.
    """
    lines = (sealed_run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (sealed_run / "journal.jsonl").write_bytes(b"".join(lines[:-1]))

    assert [("changed_file", "journal.jsonl")] == problems(sealed_run)


def test_files_of_two_runs_cannot_be_exchanged(sealed_run: Path, tmp_path: Path) -> None:
    """
    Each is sealed by its own run.
    """
    other = made(tmp_path / "other", backup_time="22:00")
    seal(other)
    shutil.copy(other / "plan.json", sealed_run / "plan.json")

    assert [("changed_file", "plan.json")] == problems(sealed_run)
    shutil.copy(other / ATTESTATION, sealed_run / ATTESTATION)
    assert ("changed_file", "parameters.json") in problems(sealed_run)


def test_two_files_cannot_be_exchanged_for_each_other(sealed_run: Path) -> None:
    """
    A digest belongs to a name.
    """
    one, other = sealed_run / "inventory-before.json", sealed_run / "inventory-after.json"
    one_content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(one_content)

    assert [("changed_file", other.name), ("changed_file", one.name)] == problems(sealed_run)


def test_a_link_is_no_evidence(sealed_run: Path, tmp_path: Path) -> None:
    """
    What it leads to is not in the folder, even if it is the same today.
    """
    outside = tmp_path / "plan.json"
    shutil.move(sealed_run / "plan.json", outside)
    (sealed_run / "plan.json").symlink_to(outside)
    (sealed_run / "more").symlink_to(tmp_path, target_is_directory=True)

    assert [("added_file", "more"), ("changed_file", "plan.json")] == problems(sealed_run)
    seal(sealed_run)
    assert [("added_file", "more"), ("added_file", "plan.json")] == problems(sealed_run)


def test_a_folder_in_a_files_place_is_named(sealed_run: Path) -> None:
    """
    It is not the file that was sealed.
    """
    (sealed_run / "plan.json").unlink()
    (sealed_run / "plan.json").mkdir()

    assert [("missing_file", "plan.json")] == problems(sealed_run)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_byte_of_a_sealed_file_can_be_turned(sealed_run: Path, data: st.DataObject) -> None:
    """
    Any byte of any file, flipped in any way: never accepted.
    """
    files = sorted(path for path in sealed_run.rglob("*") if path.is_file() and path.name != ATTESTATION)
    path = data.draw(st.sampled_from([path for path in files if path.stat().st_size]))
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    original = bytes(content)
    content[where] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = problems(sealed_run)
    finally:
        path.write_bytes(original)

    assert [("changed_file", path.relative_to(sealed_run).as_posix())] == found


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_byte_of_the_attestation_changes_its_digest_or_its_worth(sealed_run: Path, data: st.DataObject) -> None:
    """
    It is refused, or not accepted, or says the very same under another digest: it is unsigned.
    """
    path, sealed = sealed_run / ATTESTATION, verify(sealed_run).digest
    said = statement_of(sealed_run)
    original = path.read_bytes()
    content = bytearray(original)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = verify(sealed_run)
        accepted, digest = found.accepted, found.digest
        same = not accepted or statement_of(sealed_run) == said
    except BrokenEvidence:
        accepted, digest, same = False, "", True
    finally:
        path.write_bytes(original)

    assert sealed != digest
    assert same


# --- how it is said -----------------------------------------------------------------------------------------------


def test_the_target_is_said_first(sealed_run: Path) -> None:
    """
    Nobody takes a rehearsal for the real thing; who made the evidence is not proven.
    """
    first, second, *_ = verify(sealed_run).lines("en")

    assert "target: SANDBOX (simulated)" == first
    assert "CONSISTENT" in second
    assert "unsigned" in second


@pytest.mark.parametrize(
    ("language", "said"),
    [("es", "CONSISTENT: cada archivo"), ("xx", "CONSISTENT: every file"), ([], "CONSISTENT: every")],
)
def test_verify_speaks_the_language_of_the_run(sealed_run: Path, language: Any, said: str) -> None:
    """
    Errors among it; English where that is none.
    """
    edit(sealed_run / "parameters.json", lambda asked: asked.update(language=language))
    evidence.seal(sealed_run)
    accepted = CliRunner().invoke(main, ["verify", str(sealed_run)])
    (sealed_run / "attestation.dsse.json").unlink()
    unsealed = CliRunner().invoke(main, ["verify", str(sealed_run)])

    assert (0, said) == (accepted.exit_code, accepted.stdout.splitlines()[1][: len(said)])
    assert (1, language == "es") == (unsealed.exit_code, "la ejecución" in unsealed.stderr), unsealed.stderr


def test_each_problem_is_said_with_its_file(sealed_run: Path) -> None:
    """
    After how many there are.
    """
    (sealed_run / "a.txt").write_text("x", encoding="utf-8")
    (sealed_run / "plan.json").unlink()
    said = verify(sealed_run).lines("en")

    assert said[1].startswith("BROKEN")
    assert "2" in said[1]
    assert ["a.txt: there, but not sealed", "plan.json: sealed, but not there"] == said[2:4]


@pytest.mark.parametrize("kind", ["added_file", "changed_file", "missing_file", "verdicts_broken", "attested_broken"])
def test_every_kind_of_problem_has_a_sentence(kind: str) -> None:
    """
    With the file in it.
    """
    found = evidence.Verification(
        target="t", complete=True, supervised=True, digest="d", problems=(Problem(kind=kind, file="f.json"),)
    )

    assert found.lines("en")[2].startswith("f.json: ")
    assert not found.accepted


def test_a_run_that_did_not_end_is_incomplete(sealed_run: Path) -> None:
    """
    Its files may all be as they were sealed.
    """
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(complete=False))
    seal(sealed_run)

    assert "INCOMPLETE: the run did not end" == verify(sealed_run).lines("en")[1]
    assert not verify(sealed_run).accepted


@pytest.mark.parametrize("claim", [1, "true", None, [True]])
def test_only_true_is_complete(sealed_run: Path, claim: Any) -> None:
    """
    Nothing that merely looks like it.
    """
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(complete=claim, supervised=claim))
    seal(sealed_run)

    assert (False, False) == (verify(sealed_run).complete, verify(sealed_run).supervised)


def test_a_run_by_hand_is_said_to_be_unsupervised(tmp_path: Path) -> None:
    """
    Its parameter names were not checked by the engine.
    """
    folder = made(tmp_path / "run")
    seal(folder)

    assert verify(folder).accepted
    assert "unsupervised" in verify(folder).lines("en")[2]


def test_a_file_name_cannot_command_the_terminal(sealed_run: Path) -> None:
    """
    Whoever hands the folder over names its files.
    """
    (sealed_run / "\x1b[2JCONSISTENT\n\u202e").write_text("x", encoding="utf-8")
    said = verify(sealed_run).lines("en")

    assert "\\u001b[2JCONSISTENT\\u000a\\u202e: there, but not sealed" == said[2]


# --- exit codes and files -----------------------------------------------------------------------------------------


def verdicts(*names: Verdict) -> list[VmVerdict]:
    """
    VMs with these verdicts.
    """
    return [VmVerdict(vm=f"/{number}", verdict=name) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("names", "applied", "code"),
    [
        ((), False, 0),
        ((), True, 0),
        ((Verdict.READY,), False, 0),
        ((Verdict.READY,), True, 3),
        ((Verdict.ENABLED, Verdict.PROTECTED), True, 0),
        ((Verdict.ENABLED, Verdict.READY), True, 3),
        ((Verdict.BLOCKED, Verdict.READY), False, 3),
        ((Verdict.UNDETERMINED,), False, 3),
        ((Verdict.PROTECTED, Verdict.BLOCKED), True, 3),
        ((Verdict.UNDETERMINED, Verdict.ENABLED), True, 3),
    ],
)
def test_the_exit_code_says_how_the_vms_stand(names: tuple[Verdict, ...], applied: bool, code: int) -> None:
    """
    Applied: all enabled or protected; else: none blocked or undetermined.
    """
    assert code == exit_code(verdicts(*names), applied=applied, unfinished=0, lacking=False)


@pytest.mark.parametrize("applied", [True, False])
def test_vms_that_could_not_be_read_are_not_all_there(applied: bool) -> None:
    """
    Some that should have been among them may be missing.
    """
    assert 3 == exit_code(verdicts(Verdict.PROTECTED), applied=applied, unfinished=0, lacking=True)


@pytest.mark.parametrize("names", [(Verdict.PROTECTED,), (Verdict.BLOCKED,)])
def test_a_run_with_failed_changes_can_be_resumed(names: tuple[Verdict, ...]) -> None:
    """
    Whatever else is.
    """
    assert 5 == exit_code(verdicts(*names), applied=True, unfinished=1, lacking=True)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """
    What cannot be written leaves the old content, and readers never see half of the new.
    """
    write_json(tmp_path / "a" / "x.json", {"one": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a" / "x.json", {"two": object()})

    assert {"one": 1} == read_json(tmp_path / "a" / "x.json")
    assert ["x.json"] == [path.name for path in (tmp_path / "a").iterdir()]


@pytest.mark.parametrize("value", ["ñ日本", "\ud800", "\udfff\ud800", "a\u2028b\n", "\x00\x1b"])
def test_any_text_is_written_and_read_back(tmp_path: Path, value: str) -> None:
    """
    Half a surrogate pair, which JSON can hold and UTF-8 cannot, goes as its escape.
    """
    write_json(tmp_path / "x.json", {"text": value})

    assert {"text": value} == read_json(tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes().decode("utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    """
    With its path.
    """
    (tmp_path / "x.json").write_bytes(content)

    with pytest.raises(BrokenEvidence, match=r"x\.json cannot be read"):
        read_json(tmp_path / "x.json")
