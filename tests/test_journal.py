"""
The journal: an intent is on disk before a write, lines never mix, what is no line is named.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import change, estate, planned

from runbook_lib.arm.session import ArmError
from runbook_lib.errors import BrokenEvidence
from runbook_lib.journal import FIRST, Journal
from runbook_lib.records import digest

WRITE = change(planned(estate()), "create-vault")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """
    A journal that does not exist yet.
    """
    return Journal(tmp_path / "journal.jsonl")


def test_a_journal_that_was_never_written_has_no_entries(journal: Journal) -> None:
    """
    A new run has nothing to look back on.
    """
    assert [] == list(journal.entries())


def test_an_intent_names_the_change_and_the_digest_of_its_body(journal: Journal) -> None:
    """
    Whoever finds an intent without a result knows what was sent, and that it was just that.
    """
    journal.intent(WRITE)
    (entry,) = journal.entries()

    assert ("intent", "create-vault", "01", WRITE.target, digest(WRITE.body)) == tuple(
        entry[name] for name in ("entry", "kind", "step", "target", "body_sha256")
    )


def test_an_intent_is_readable_before_anything_is_sent(journal: Journal) -> None:
    """
    Another process sees it as soon as the call returns.
    """
    journal.intent(WRITE)
    code = "import sys, json; print(json.loads(open(sys.argv[1]).read())['entry'])"
    said = subprocess.run(
        [sys.executable, "-c", code, str(journal.path)], capture_output=True, text=True, check=True
    ).stdout

    assert "intent\n" == said


def test_entries_come_back_in_order_with_their_facts(journal: Journal) -> None:
    """
    Approval, intent, calls and result tell the story of a change.
    """
    journal.note("approved", step="01", digest="d")
    journal.intent(WRITE)
    journal.call({"method": "PUT", "status": 201})
    journal.result(WRITE, "failed", code="Conflict", message="no")
    told = list(journal.entries())

    assert ["approved", "intent", "call", "result"] == [entry["entry"] for entry in told]
    assert ("failed", "Conflict", "no") == tuple(told[3][name] for name in ("outcome", "code", "message"))
    assert all(entry["at"].endswith("+00:00") for entry in told)
    assert sorted(entry["at"] for entry in told) == [entry["at"] for entry in told]


def test_another_journal_on_the_same_file_appends(journal: Journal) -> None:
    """
    A resumed run goes on in the journal of the run that stopped.
    """
    journal.note("one")
    Journal(journal.path).note("two")

    assert ["one", "two"] == [entry["entry"] for entry in journal.entries()]


def test_a_journal_is_its_owners_alone(journal: Journal) -> None:
    """
    Names of resources and callers are nobody else's business on a shared machine.
    """
    journal.note("one")

    assert os.name == "nt" or 0o600 == stat.S_IMODE(journal.path.stat().st_mode)


def test_lines_of_several_writers_never_mix(journal: Journal) -> None:
    """
    Threads with journals of their own on one file leave whole lines only, none lost.
    """
    long = "x" * 20_000

    def write(number: int) -> None:
        own = Journal(journal.path)
        for count in range(20):
            own.call({"writer": number, "count": count, "body": long})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    seen = [(entry["writer"], entry["count"]) for entry in journal.entries()]

    assert sorted((writer, count) for writer in range(8) for count in range(20)) == sorted(seen)
    assert all([count for writer, count in seen if writer == number] == list(range(20)) for number in range(8))


@pytest.mark.parametrize("message", ["a\nb", "\u2028", "\x00\x1b[31m", "\ud800", "<script>", "日本", '"}\n{"entry":'])
def test_a_message_cannot_forge_or_break_a_line(journal: Journal, message: str) -> None:
    """
    Whatever Azure says stays inside its own line, and is read back as it was.
    """
    journal.result(WRITE, "failed", message=message)
    journal.note("next")

    assert [message, None] == [entry.get("message") for entry in journal.entries()]
    assert 2 == journal.path.read_bytes().count(b"\n")


@pytest.mark.parametrize("line", [b"{", b"", b"5", b"[]", b"null", b"\xff\xfe{}", b'{"entry": "call"', b"[" * 100_000])
def test_a_line_that_is_no_entry_is_named(journal: Journal, line: bytes) -> None:
    """
    A torn or foreign line is an error with its number, never skipped.
    """
    journal.note("one")
    with journal.path.open("ab") as file:
        file.write(line + b"\n")

    with pytest.raises(BrokenEvidence) as refusal:
        list(journal.entries())
    assert (str(journal.path), 2) == (refusal.value.resource, refusal.value.facts["line"])


def test_entries_before_a_broken_line_can_still_be_read(journal: Journal) -> None:
    """
    Reading is line by line: what came before the break is not lost.
    """
    journal.note("one")
    with journal.path.open("ab") as file:
        file.write(b"{\n")
    entries = journal.entries()

    first: dict[str, Any] = next(entries)
    assert "one" == first["entry"]
    with pytest.raises(BrokenEvidence):
        next(entries)


def test_each_line_is_plain_json_with_sorted_keys(journal: Journal) -> None:
    """
    Any tool reads the file, and equal entries are equal lines.
    """
    journal.call({"z": 1, "a": 2, "name": "ñ"})
    line = journal.path.read_text(encoding="utf-8")

    assert sorted(json.loads(line)) == list(json.loads(line))
    assert "ñ" in line


def test_what_the_service_repeats_of_a_token_goes_no_further() -> None:
    """
    An error's message is kept in inventories and tables: what opens something is taken out where it comes in.
    """
    error = ArmError(500, "InternalServerError", "authorization: Bearer abc.def. Source: https://x/?sig=abc&sv=1")

    assert "authorization: Bearer REDACTED Source: https://x/?sig=REDACTED&sv=1" == error.message
    assert "abc" not in str(error)


# --- the chain ---------------------------------------------------------------------------------------------------


def _broken(journal: Journal) -> list[int]:
    numbers: list[int] = []
    list(journal.entries(numbers.append))
    return numbers


def test_each_line_carries_the_digest_of_the_line_before(journal: Journal) -> None:
    """
    The first one that of nothing; whoever has the last line can check all the others.
    """
    for number in range(3):
        journal.note("n", number=number)
    lines = journal.path.read_bytes().splitlines()
    previous = [json.loads(line)["previous"] for line in lines]

    assert [FIRST, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])] == previous
    assert [] == _broken(journal)


def test_a_line_that_was_dropped_put_in_changed_or_moved_breaks_the_chain(journal: Journal) -> None:
    """
    The number of the first line that does not follow is told.
    """
    for number in range(6):
        journal.note("n", number=number)
    whole = journal.path.read_bytes().splitlines(keepends=True)
    changed = whole[2].replace(b'"number": 2', b'"number": 9')
    forgeries = {
        3: [*whole[:2], *whole[3:]],
        4: [*whole[:2], changed, *whole[3:]],
        1: whole[1:],
    }

    for first, lines in forgeries.items():
        journal.path.write_bytes(b"".join(lines))
        assert (first if first < 4 else 4) == _broken(journal)[0]
    journal.path.write_bytes(b"".join([*whole[:2], whole[3], whole[2], *whole[4:]]))
    assert [3, 4, 5] == _broken(journal)
    journal.path.write_bytes(b"".join([*whole[:2], whole[1], *whole[2:]]))
    assert [3] == _broken(journal)


def test_several_writers_make_one_chain(journal: Journal) -> None:
    """
    The runner and its kernel write to one file, threads of both at a time.
    """
    code = (
        "import sys, pathlib, runbook_lib.journal as j; own = j.Journal(pathlib.Path(sys.argv[1]));"
        "[own.call({'writer': sys.argv[2], 'count': count}) for count in range(150)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(journal.path), name]) for name in "ab"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda count: journal.call({"writer": "c", "count": count}), range(150)))

    assert [0, 0] == [each.wait() for each in writers]
    assert (450, []) == (len(list(journal.entries())), _broken(journal))


@pytest.mark.parametrize("torn", [b'{"at": "2026', b"{", b"x" * 200_000, b'{"entry": "call"}'])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_half_a_line_is_cut_off_when_the_run_goes_on(journal: Journal, torn: bytes, before: int) -> None:
    """
    The process died in the middle of it: it is not read, and the next line follows the last whole one.
    """
    for number in range(before):
        journal.note("n", number=number)
    with journal.path.open("ab") as file:
        file.write(torn)
    seen = list(Journal(journal.path).entries())
    Journal(journal.path).note("resumed")

    assert before == len(seen)
    assert [*["n"] * before, "resumed"] == [entry["entry"] for entry in journal.entries()]
    assert [] == _broken(journal)


def test_half_a_line_at_the_end_is_told(journal: Journal) -> None:
    """
    Sealed evidence must not end in one.
    """
    journal.note("one")
    with journal.path.open("ab") as file:
        file.write(b'{"entry"')

    assert [2] == _broken(journal)


def test_a_long_journal_costs_no_more_a_line(journal: Journal) -> None:
    """
    The last line is not looked for in the whole file: the second 2,000 lines take about as long as the first.
    """
    times = []
    for _ in range(2):
        began = time.monotonic()
        for _ in range(2000):
            journal.call({"method": "GET", "url": "/x" * 50})
        times.append(time.monotonic() - began)

    assert times[1] < 5 * times[0] + 1
