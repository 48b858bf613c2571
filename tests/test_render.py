"""
What people see: whatever Azure, an estate file or an attacker calls things, it is shown as text and does nothing.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import (
    EVERYTHING,
    everything,
    gap,
    group,
    inventory,
    item,
    listed,
    networked,
    planned,
    policies_of,
    provider,
    rule,
    subscription,
    vault,
)
from hostile import HOSTILE, Page, commanding
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib import checks, render, text
from runbook_lib.checks.network import SERVICES, Comparison, Decision, Hop, Tracer
from runbook_lib.comparison import Changed
from runbook_lib.parameters import Parameters
from runbook_lib.plan import Difference, diff, project, ranges
from runbook_lib.records import Agent, Extension, Inventory, Verdict, VmVerdict, encode, key
from runbook_lib.render import Lines, Table, csv_cell, escape, plain
from runbook_lib.render.sinks import MOST_CHARACTERS, MOST_ROWS
from runbook_lib.rights import Right
from runbook_lib.scripts import File

LANGUAGE = "en"


def assert_harmless(shown: render.Shown) -> Page:
    """
    Parse what is shown: known elements and attributes only, properly nested, and nothing for a terminal to obey.
    """
    page = Page(shown.html())

    assert [] == page.strange
    assert [] == page.open
    assert set() == commanding(shown.html())
    assert set() == commanding(shown.text())
    return page


# --- the sinks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_table_shows_a_hostile_value_as_text(hostile: str) -> None:
    """
    As a cell, as a row's head, in the caption and in a note; the value can be read off again.
    """
    table = Table(hostile, ("vm", "why"), [{"vm": hostile, "why": hostile}], LANGUAGE, notes=[hostile])
    page = assert_harmless(table)
    shown = plain(hostile)

    assert [shown, "VM", "Why", shown, shown, shown] == page.cells


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_text_keeps_a_value_in_its_line(hostile: str) -> None:
    """
    No value makes a row of its own.
    """
    rows = [{"vm": hostile, "why": "first"}, {"vm": "second", "why": hostile}]
    lines = Table(hostile, ("vm", "why"), rows, LANGUAGE, notes=[hostile]).text().split("\n")

    assert 6 == len(lines)
    assert ["first", "second"] == [lines[3].split()[-1], lines[4].split()[0]]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_lines_show_a_hostile_line_as_one(hostile: str) -> None:
    """
    A paragraph, and a line of text.
    """
    lines = Lines([hostile, "next"])

    assert [plain(hostile), "next"] == assert_harmless(lines).cells
    assert [plain(hostile), "next"] == lines.text().split("\n")


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_spreadsheet_gets_text_and_no_formula(hostile: str, tmp_path: Path) -> None:
    """
    As many rows and cells as were written, none of them to be computed, all of them readable.
    """
    table = Table("", ("vm", "why"), [{"vm": hostile, "why": hostile}], LANGUAGE)
    table.write_csv(tmp_path / "t.csv")
    raw = (tmp_path / "t.csv").read_bytes().decode("utf-8")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        csv.field_size_limit(1 << 20)
        head, row = csv.reader(file)

    assert ["vm", "why"] == head
    assert [plain(hostile)] * 2 == [cell.removeprefix("'") if plain(hostile) != cell else cell for cell in row]
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert raw.startswith('"vm","why"\n"')
    assert set() == commanding(raw)


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_sentence_takes_a_hostile_fact_as_it_is(hostile: str) -> None:
    """
    Braces in it are no template.
    """
    assert f"Vaults are offered in {hostile}." == text.say("check.region.offered", location=hostile)


@given(st.text(st.characters(exclude_categories=())))
def test_escaping_leaves_no_markup_in_any_text(value: str) -> None:
    """
    Whatever Unicode there is: what is parsed back is the plain form, and it stays so when written as UTF-8.
    """
    page = Page(f'<p>{escape(value)}</p><td style="{escape(value)}">')

    assert plain(value) == page.cells[0]
    assert set() == set(escape(value)) & set("<>\"'")
    assert len(value) <= len(escape(value).encode())
    assert set() == commanding(plain(value)) | ({"\n"} & set(plain(value)))


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_is_a_formula(value: str) -> None:
    """
    And what is none is left as it is.
    """
    cell = csv_cell(value)

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (plain(value), f"'{plain(value)}")


def test_numbers_and_nothings_stay_what_they_are() -> None:
    """
    A column of whole numbers does not become one of fractions because a cell has none.
    """
    table = Table("", ("field", "expected"), [{"field": 1, "expected": None}, {"field": True, "expected": 200}])

    assert [["1", "None"], ["True", "200"]] == [Page(table.html()).cells[start : start + 2] for start in (3, 5)]


def test_a_cell_that_is_not_given_is_empty() -> None:
    """
    A row need not have every column.
    """
    assert ["", "VM", "Why", "web", ""] == Page(Table("", ("vm", "why"), [{"vm": "web"}]).html()).cells


def test_text_stands_in_columns() -> None:
    """
    Caption, heads, a rule, rows, notes; no trailing blanks.
    """
    table = Table("Title", ("vm", "why"), [{"vm": "web", "why": "x"}, {"vm": "db-01", "why": "y"}], notes=["end"])

    assert "Title\nVM     Why\n-----  ---\nweb    x\ndb-01  y\nend" == table.text()
    assert table.text() == repr(table)


def test_a_table_without_rows_is_still_one() -> None:
    """
    Without its heads: a note can say why nothing is there.
    """
    table = Table("None", ("vm",), [], notes=["nothing"])

    assert ["None", "nothing"] == assert_harmless(table).cells
    assert "None\nnothing" == table.text()


def test_a_notebook_gets_html_and_text() -> None:
    """
    Whoever cannot show the one shows the other.
    """
    bundle = Lines(["<b>"])._repr_mimebundle_()

    assert {"text/html": '<p class="tex2jax_ignore mathjax_ignore">&lt;b&gt;</p>', "text/plain": "<b>"} == bundle


# --- the tables ---------------------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\x1b[2J\u202e{0}\n=1+1"


def evil_estate() -> Inventory:
    """
    An estate in which everything that somebody can name has a hostile name.
    """
    machine, own, shut = networked(rule(EVIL, 200))
    extension = Extension(name=EVIL, type="Microsoft.Azure.RecoveryServices.VMSnapshot", status=EVIL)
    machine = replace(
        machine,
        name=EVIL,
        os_type="Linux",
        tags={EVIL: EVIL},
        power_state="running",
        agent=Agent(status=EVIL, version=f"{EVIL}2.2.1", message=EVIL),
        extensions=(extension,),
    )
    held = vault(soft_delete=EVIL, redundancy=EVIL)
    named = replace(held, name=EVIL)
    strange = replace(policies_of(held)[0], name=EVIL, terms={"schedule": EVIL, "daily_retention_days": EVIL})
    world = inventory(
        replace(subscription(), name=EVIL),
        provider(state="NotRegistered", locations=("westeurope", EVIL)),
        replace(group(), name=EVIL),
        machine,
        replace(own, name=EVIL),
        replace(shut, name=EVIL),
        named,
        strange,
        item(machine, held, protection=EVIL, protection_state=EVIL, health_status=EVIL, last_backup_status=EVIL),
    )
    return replace(world, unread=(replace(gap(EVIL, EVIL), code=EVIL, message=EVIL),))


def tables(world: Inventory, **asked: Any) -> dict[str, render.Shown]:
    """
    Every table that there is, of one estate.
    """
    machines = list(world.vms.values())
    found = checks.judge(world, machines)
    made = planned(world, **asked)
    verdicts = [VmVerdict(vm=each, verdict=v, decisive=d) for each, (v, d) in checks.verdicts(found).items()]
    after = {key(each.id): Verdict.READY for each in machines}
    changes = [(each, "failed", EVIL) for each in made.changes]
    apart = [Difference(resource=EVIL, field=EVIL, expected={EVIL: [EVIL]}, found=None)]
    strange = listed(EVIL)
    strange = replace(strange, cloud=EVIL, tags=tuple(replace(each, change_number=EVIL) for each in strange.tags))
    with_list = replace(world, service_tags={key(strange.id): strange})
    whom, does = "file.for_linux", "file.agent_linux"
    handed_out = [File(name=EVIL, whom=whom, count=1, does=does, command=EVIL, content=EVIL)]
    failed = {each.sha256: {"outcome": "failed", "code": EVIL, "message": EVIL} for each in made.changes}
    told = [
        {"entry": "result", "change_sha256": each.sha256, "outcome": "failed", "code": EVIL, "message": EVIL}
        for each in made.changes
    ]
    told += [
        {"entry": "call", "change_sha256": each.sha256, "at": EVIL, "request_id": EVIL, "correlation_id": EVIL}
        for each in made.changes
    ]
    outcome = {
        "target": EVIL,
        "counts": {"BLOCKED": 1},
        "verdicts": [
            {
                "machine": {"vm": EVIL, "resource_group": EVIL},
                "before": "READY",
                "verdict": "BLOCKED",
                "why": EVIL,
                "remedy": EVIL,
                "vm": EVIL,
                "held_back": True,
            }
        ],
        "applied": True,
        "changes": {},
        "failures": render.failures(made, failed, LANGUAGE),
        "irreversible": made.irreversible,
        "notes": [EVIL],
        "rights": {"missing": [{"step": EVIL, "action": EVIL, "scope": EVIL}], "unknown": 1},
        "missing": [{"vm": EVIL, "case": "gone", "before": EVIL, "why": EVIL}],
        "unread": [{"what": EVIL, "scope": EVIL, "code": EVIL}],
    }
    steps = encode(made)["steps"]
    tracer = Tracer(world)
    paths = [path for each in machines for path in tracer.paths(each, SERVICES)]
    decision, hop = Decision(access="Deny", rule=EVIL, priority=100), Hop(type=EVIL, route=EVIL)
    paths += [replace(path, nsgs_read=True, nsg=EVIL, decision=decision, hop=hop) for path in paths]
    compared = [Comparison(path=each, outcome="differs", nsg=EVIL, decision=decision, hop=hop) for each in paths]
    compared += [Comparison(path=each, outcome="refused", why=EVIL) for each in paths]
    return {
        "readiness": render.readiness(world, verdicts, after, found, LANGUAGE),
        "findings": render.findings(world, found, LANGUAGE),
        "agent": render.findings(world, found, LANGUAGE, only=("agent",)),
        "plan": render.plan(made.steps, EVIL, LANGUAGE),
        "ended": render.plan(made.steps, EVIL, LANGUAGE, failed),
        "diff": render.diff([*diff(made.steps), *apart], EVIL, LANGUAGE),
        "whole diff": render.diff([*diff(made.steps), *apart], EVIL, LANGUAGE, whole=True),
        "notes": Lines(render.notes(made, LANGUAGE)),
        "results": render.results("04", changes, LANGUAGE),
        "vaults": render.vaults(world, project(world, made.changes), ["westeurope"], LANGUAGE),
        "policies": render.policies(world, project(world, made.changes), ["westeurope"], LANGUAGE),
        "machines": render.machines(world, machines, LANGUAGE),
        "network": render.network(world, found, LANGUAGE),
        "truth_table": render.truth_table(world, paths, LANGUAGE),
        "effective": render.effective(world, compared, LANGUAGE),
        "options": render.options({"none": (0, 2), "ip_ranges": (None, 2)}, LANGUAGE),
        "ranges": render.ranges(with_list, ranges(with_list, machines), LANGUAGE),
        "files": render.files(handed_out, LANGUAGE),
        "rights": render.rights(
            [
                Right(step="04", action=EVIL, scope=f"/subscriptions/{EVIL}", granted=each)
                for each in (True, False, None)
            ],
            [{"properties": {"roleName": EVIL, "permissions": [{"actions": ["*"]}]}}],
            world.unread,
            world,
            LANGUAGE,
        ),
        "precheck": render.precheck(
            [(vm.id, "Failed", EVIL, EVIL, EVIL, f"/vaults/{EVIL}") for vm in machines], {}, world, LANGUAGE
        ),
        "prerequisites": render.prerequisites(found, machines, world, LANGUAGE),
        "unread": render.unread(world, LANGUAGE),
        "comparison": render.comparison(world, after, verdicts, found, LANGUAGE, [EVIL]),
        "held_back": render.held_back(world, verdicts, found, LANGUAGE),
        "differences": render.differences(apart, [(each, "failed") for each in made.changes], LANGUAGE),
        "board": render.board({"00": EVIL, "01": EVIL}, "01", LANGUAGE),
        "candidates": render.candidates(world, verdicts, found, LANGUAGE),
        "identity": render.identity(world, LANGUAGE),
        "placed": render.placed(world, machines, replace(Parameters(), vault_name=EVIL)),
        "summary": render.summary([("decided", EVIL)], LANGUAGE),
        "planned": Lines(render.planned(steps, LANGUAGE)),
        "ending": Lines(render.ending(outcome, steps, 80, LANGUAGE)),
        "promised": Lines(render.ending(outcome | {"applied": False}, steps, 80, LANGUAGE)),
        "changes": render.changes(made, told, LANGUAGE),
        "compared": render.compared(
            [Changed(what="rule", resource=EVIL, field=EVIL, before=EVIL, after=[EVIL])], LANGUAGE
        ),
        "fleet": render.fleet(
            [{"name": EVIL, "mark": EVIL, "state": "sealed", "ran": True, "exit_code": 0, "counts": {}, "error": EVIL}],
            LANGUAGE,
        ),
        "parameter_values": render.parameter_values({"vault_name": EVIL, "accept_risk": {EVIL: EVIL}}, LANGUAGE),
    }


def test_there_is_a_table_here_for_every_function() -> None:
    """
    A new table must be tried with hostile names as well.
    """
    functions = {name for name in render.__all__ if name[0].islower()}
    tried = {"ended": "plan", "promised": "ending", "agent": "findings", "whole diff": "diff"}

    sinks, words = {"csv_cell", "escape", "plain"}, {"failure", "failures", "machine", "remedies", "sentence", "why"}

    # The report is a page, not a table: see test_run_report.
    assert functions - sinks - words - {"check_lines", "report", "worse"} == {
        tried.get(name, name) for name in tables(everything(), **EVERYTHING)
    }


@pytest.mark.parametrize("name", sorted(tables(everything(), **EVERYTHING)))
@pytest.mark.parametrize("world", [everything(), evil_estate()], ids=["plain", "evil"])
def test_no_table_obeys_a_name(name: str, world: Inventory, tmp_path: Path) -> None:
    """
    All names of an estate go through all tables, into HTML, text and CSV.
    """
    shown = tables(world, **EVERYTHING, accept_risk={each.id: "known" for each in world.vms.values()})[name]
    assert_harmless(shown)
    if isinstance(shown, Table):
        shown.write_csv(tmp_path / "t.csv")
        assert set() == commanding((tmp_path / "t.csv").read_text(encoding="utf-8"))


# --- long tables --------------------------------------------------------------------------------------------------


def _long(rows: int = MOST_ROWS + 50) -> Table:
    values = [{"vm": f"vm-{number:04}", "why": "w"} for number in range(rows)]
    return Table(
        "Readiness", ("vm", "why"), values, LANGUAGE, ranks=[int(number < rows - 10) for number in range(rows)]
    )


def test_a_long_table_shows_its_worst_rows_and_says_where_all_are() -> None:
    """
    In HTML as in text, and the file that it names has every row in its own order.
    """
    table = _long()
    table.whole = "tables/04-readiness.csv"
    said = f"Readiness (the worst {MOST_ROWS} of {MOST_ROWS + 50} rows; all of them: tables/04-readiness.csv)"
    lines = table.text().splitlines()

    assert table.is_long
    assert said == lines[0]
    assert said in table.html()
    assert MOST_ROWS == len(lines) - 3 == table.html().count('<tr><th scope="row"')
    assert [f"vm-{MOST_ROWS + 40 + place:04}  w" for place in range(10)] == lines[3:13]
    assert "vm-0000  w" == lines[13]


def test_a_long_table_without_a_file_is_shown_whole() -> None:
    """
    Nothing is cut silently.
    """
    table = _long()

    assert "Readiness" == table.text().splitlines()[0]
    assert MOST_ROWS + 50 == len(table.text().splitlines()) - 3


def test_a_table_that_fits_is_shown_whole_in_its_own_order() -> None:
    """
    Whether or not a file has it too.
    """
    table = _long(MOST_ROWS)
    table.whole = "tables/x.csv"

    assert not table.is_long
    assert "Readiness" == table.text().splitlines()[0]
    assert "vm-0000  w" == table.text().splitlines()[3]


def test_rows_of_long_texts_count_for_more() -> None:
    """
    What is shown of a table stays below a few hundred kilobytes, whatever Azure's texts hold; one row is always there.
    """
    long = Table("t", ("vm", "why"), [{"vm": "v", "why": "x" * (MOST_CHARACTERS // 3)}] * 50, LANGUAGE)
    longer = Table("t", ("vm", "why"), [{"vm": "v", "why": "x" * (2 * MOST_CHARACTERS)}] * 2, LANGUAGE)
    for table in (long, longer):
        table.whole = "tables/x.csv"

    assert "(first 2 of 50 rows; all of them: tables/x.csv)" in long.text()
    assert "(first 1 of 2 rows; all of them: tables/x.csv)" in longer.text()
    assert len(long.html()) < 3 * MOST_CHARACTERS


def test_one_long_cell_does_not_widen_every_row() -> None:
    """
    Cells are aligned up to a width; what is longer stands out alone.
    """
    table = Table("t", ("vm", "why"), [{"vm": "v" * 50_000, "why": "w"}, *[{"vm": "v", "why": "w"}] * 100], LANGUAGE)

    assert len(table.text()) < 50_000 + 100 * 500
