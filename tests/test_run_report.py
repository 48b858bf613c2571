"""
The report: one page of valid HTML that loads and runs nothing, says what was asked of it, and obeys no name.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sealed import edit, made

from runbook_lib.conclusion import close
from runbook_lib.evidence import ATTESTATION, read_json, verify
from runbook_lib.folder import RunFolder
from runbook_lib.render import MOST_ROWS

VOID = {"meta", "link", "br", "hr", "img", "input"}
# What could load something, lead somewhere or run.
ACTIVE = {"a", "applet", "audio", "base", "embed", "form", "iframe", "img", "input", "link", "object", "script", "svg"}
ACTIVE |= {"video", "button", "math", "portal", "frame", "source", "track"}
EVIL = "<script>alert(1)</script>\"'&\x1b[2J\u202e{x}"


class Page(HTMLParser):
    """
    What a browser would make of the page: elements with their attributes, headings, captions, text.
    """

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.unbalanced: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Open an element.
        """
        self.elements.append((tag, dict(attrs)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag: str) -> None:
        """
        Close the element that was opened last, and no other.
        """
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        """
        Take in text.
        """
        if "style" not in self.open:
            self.text += data
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)

    def said(self) -> str:
        """
        The text, in one line.
        """
        return " ".join(self.text.split())


@pytest.fixture
def reported(tmp_path: Path) -> Path:
    """
    The folder of a run with its report, sealed.
    """
    folder = made(tmp_path / "run")
    close(RunFolder(folder))
    return folder


def page(folder: Path) -> Page:
    """
    Open a folder's report.
    """
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def again(folder: Path, change: Any) -> Page:
    """
    Make the report once more, of a changed outcome.
    """
    edit(folder / "outcome.json", change)
    (folder / ATTESTATION).unlink()
    close(RunFolder(folder))
    return page(folder)


def test_the_report_is_part_of_what_is_sealed(reported: Path) -> None:
    """
    It is written before sealing, and the table of changes beside it.
    """
    assert verify(reported).accepted
    (reported / "report.html").write_text("<p>PROTECTED</p>", encoding="utf-8")

    assert [("changed_file", "report.html")] == [(each.kind, each.file) for each in verify(reported).problems]
    assert (reported / "tables" / "changes.csv").exists()


def test_nothing_is_loaded_and_nothing_runs(reported: Path) -> None:
    """
    No address of anything outside, no script, no event, no link; a policy forbids them, should one get in.
    """
    content = (reported / "report.html").read_text(encoding="utf-8")
    elements = page(reported).elements
    attributes = {name for _, attrs in elements for name in attrs}
    policy = next(attrs["content"] for tag, attrs in elements if tag == "meta" and "http-equiv" in attrs)

    assert "default-src 'none'; style-src 'unsafe-inline'" == policy
    assert set() == {tag for tag, _ in elements} & ACTIVE
    assert set() == attributes & {"src", "href", "srcset", "action", "data", "background", "poster", "ping"}
    assert set() == {name for name in attributes if name.startswith("on")}
    assert [] == re.findall(r"https?:|//[a-z]|url\(|@import|expression\(", content)


def test_the_page_is_well_formed(reported: Path) -> None:
    """
    Language, one h1, headings in order, all elements closed, tables with captions and scopes.
    """
    found = page(reported)
    levels = [level for level, _ in found.headings]
    tables = [attrs for tag, attrs in found.elements if tag == "table"]
    heads = [attrs for tag, attrs in found.elements if tag == "th"]
    captions = [tag for tag, _ in found.elements if tag == "caption"]

    assert (reported / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [{"lang": "en"}] == [attrs for tag, attrs in found.elements if tag == "html"]
    assert [1, *[2] * 8] == levels
    assert ([], []) == (found.open, found.unbalanced)
    assert len([each for each in tables if each.get("role") != "presentation"]) == len(captions)
    assert {"col", "row"} == {each.get("scope") for each in heads}


def test_it_answers_what_an_auditor_asks(reported: Path) -> None:
    """
    Who, when, on what, with which version; verdicts, changes with Azure's ids, what is final, what it does not prove.
    """
    said = page(reported).said()
    outcome = read_json(reported / "outcome.json")
    version = read_json(reported / "environment.json")["packages"]["azure-vm-backup-runbook"]

    for part in (
        "target: SANDBOX (simulated)",
        f"{outcome['caller']} (as the token claims; nothing here proves it)",
        "(this machine's clock)",
        "(the service's clock)",
        f"Version of the runbook {version}",
        f"sha256:{outcome['plan_digest']}",
        "create Recovery Services vault",
        "Cannot be undone",
        "No risk was accepted.",
        "Everything that was asked for was read.",
        "it comes from the sandbox, a simulator",
        "that a backup can be restored",
    ):
        assert part in said
    assert all(f"{row['before']} {row['verdict']}" in re.sub(r"\s+", " ", said) for row in outcome["verdicts"])


def test_the_mark_heads_every_printed_page(reported: Path) -> None:
    """
    It stands in the head of the table that the page is, which browsers repeat.
    """
    content = (reported / "report.html").read_text(encoding="utf-8")

    assert '<thead><tr><td class="mark">target: SANDBOX (simulated)</td></tr></thead>' in content
    assert "thead { display: table-header-group; }" in content
    assert "@page { size: A4;" in content


def test_each_change_has_the_ids_of_its_request(tmp_path: Path) -> None:
    """
    Of the last one that was sent for it; so that the Activity Log tells of each.
    """
    folder = made(tmp_path / "run")
    run = RunFolder(folder)
    plan = run.plan()
    assert plan is not None
    for number, change in enumerate(plan.changes):
        for attempt in ("first", "last"):
            ids = {"request_id": f"request-{number}-{attempt}", "correlation_id": f"correlation-{number}-{attempt}"}
            run.journal.call({"method": "PUT", "url": "/x", "status": 201, "change_sha256": change.sha256, **ids})
    close(run)
    said, table = page(folder).said(), (folder / "tables" / "changes.csv").read_text(encoding="utf-8")

    for number in range(len(plan.changes)):
        assert f"correlation-{number}-last; request-{number}-last" in said
        assert f'"request-{number}-last","correlation-{number}-last"' in table
    assert "-first" not in said


def test_accepted_risks_and_gaps_are_told(reported: Path) -> None:
    """
    With the reason, and with the service's words.
    """
    gap = {"scope": "/subscriptions/s", "what": "Microsoft.Network/natGateways", "status": 403}
    gap |= {"code": "AuthorizationFailed", "message": "no Reader"}
    found = again(
        reported,
        lambda outcome: (
            outcome["verdicts"][0].update(accepted_risk="ticket 4711"),
            outcome.update(unread=[gap], rights={"missing": [], "unknown": 2}),
        ),
    ).said()

    assert "ticket 4711" in found
    assert "Microsoft.Network/natGateways /subscriptions/s 403 AuthorizationFailed: no Reader" in found
    assert "Whether the caller has 2 of the rights" in found


def test_no_name_is_obeyed(reported: Path) -> None:
    """
    Whatever Azure, an operator or a caller is called.
    """

    def rename(outcome: Any) -> None:
        for row in outcome["verdicts"]:
            row.update(why=EVIL, remedy=EVIL, accepted_risk=EVIL)
            row["machine"].update(vm=EVIL, resource_group=EVIL, region=EVIL)
        gap = {"scope": EVIL, "what": EVIL, "status": 0, "code": EVIL, "message": EVIL}
        outcome.update(target=EVIL, caller=EVIL, unread=[gap], missing=[{"why": EVIL}])
        outcome.update(differences=[{"resource": EVIL, "field": EVIL, "expected": EVIL, "found": EVIL}])

    usual = page(reported).elements
    found = again(reported, rename)
    known = {(tag, name) for tag, attrs in usual for name in attrs}

    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in usual}
    assert {(tag, name) for tag, attrs in found.elements for name in attrs} <= known
    assert ([], []) == (found.open, found.unbalanced)
    assert "<script>alert(1)</script>" in found.text
    assert not re.search("[\x00-\x08\x1b\u202e]", found.text)


@pytest.mark.parametrize("count", [MOST_ROWS, 1500])
def test_a_fleet_is_cut_with_a_sentence(reported: Path, count: int) -> None:
    """
    The worst stand first; the whole table is named. What fits is not cut.
    """

    def multiply(outcome: Any) -> None:
        good = next(row for row in outcome["verdicts"] if row["verdict"] != "BLOCKED")
        bad = next(row for row in outcome["verdicts"] if row["verdict"] == "BLOCKED")
        outcome.update(verdicts=[good] * (count - 1) + [bad])

    found = again(reported, multiply).said()
    cut = f"(the worst {MOST_ROWS} of {count} rows; all of them: tables/comparison.csv)"

    assert (count > MOST_ROWS) == (cut in found)
    assert (reported / "report.html").stat().st_size < 1_000_000
