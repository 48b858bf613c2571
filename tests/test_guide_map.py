"""
The guide map: every statement of the guide has its place, and the place says it.

Imports the check catalogue and the texts; the guide itself is read only where the reference data is at hand.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.checks import CATALOGUE
from runbook_lib.text import ids

REPOSITORY = Path(__file__).parents[1]
MAP = tomllib.loads((REPOSITORY / "docs" / "guide-map.toml").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = MAP["row"]
PLACES = frozenset({"cell", "check", "text"})
REQUIRED = frozenset({"id", "kind", "line", "label"})
KINDS = frozenset(
    {"heading", "step", "row", "note", "limitation", "prerequisite", "option", "command", "picture", "text"}
)
# What the guide's own form tells of a statement's kind; a bullet or a paragraph may be of any kind but these.
FREE = KINDS - {"heading", "row", "note", "command", "picture"}


def _cells() -> dict[str, str]:
    notebooks = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
    read = (json.loads(path.read_text(encoding="utf-8")) for path in notebooks)
    return {cell["id"]: "".join(cell["source"]) for notebook in read for cell in notebook["cells"]}


CELLS = _cells()
NAMED_CELLS = [
    pytest.param(row["id"], cell, words, id=f"{row['id']}-{cell}")
    for row in ROWS
    for cell, words in row.get("cell", {}).items()
]


def _tests(path: str) -> Iterator[str]:
    """
    List the node ids of a test file, without parameters.
    """
    if not (REPOSITORY / path).is_file():
        return
    for node in ast.parse((REPOSITORY / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield f"{path}::{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield from (f"{path}::{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))


def test_rows_have_the_fields_of_the_map() -> None:
    """
    A row has an id of a known section, a kind, a line and a label, and no field that the map does not know.
    """
    known = REQUIRED | PLACES | {"test", "open"}
    odd = [
        row["id"]
        for row in ROWS
        if not REQUIRED <= row.keys() <= known
        or row["kind"] not in KINDS
        or row["id"].partition(".")[0] not in MAP["section"]
        or not row["label"]
    ]

    assert [] == odd


def test_ids_are_unique() -> None:
    """
    A row is found by its id.
    """
    assert [] == [name for name, count in Counter(row["id"] for row in ROWS).items() if count > 1]


def test_rows_stand_in_the_guides_order() -> None:
    """
    The map is read beside the guide: by line, and each section in one piece.
    """
    sections = [row["id"].partition(".")[0] for row in ROWS]

    assert sorted(row["line"] for row in ROWS) == [row["line"] for row in ROWS]
    assert list(MAP["section"]) == [name for name, _ in groupby(sections)]


def test_every_row_is_mapped_or_open() -> None:
    """
    A statement of the guide lives in a cell, a check or a text, or is named as still to come.
    """
    assert [] == [row["id"] for row in ROWS if not (PLACES | {"open"}) & row.keys()]


def test_what_is_open_names_its_issue_and_the_reason() -> None:
    """
    Whoever reads that something is to come learns when and why.
    """
    todo = [(row["id"], row["open"]) for row in ROWS if "open" in row]

    assert [] == [
        name for name, each in todo if {"issue", "why"} != each.keys() or not each["issue"] or not each["why"]
    ]


@pytest.mark.parametrize(("row", "cell", "words"), NAMED_CELLS)
def test_a_cell_holds_its_statement(row: str, cell: str, words: list[str]) -> None:
    """
    A cell that a row names exists, and the words that the row promises stand in it.
    """
    assert words, f"{row} promises nothing of {cell}"
    assert [] == [each for each in words if each not in CELLS.get(cell, "")]


def test_named_checks_are_in_the_catalogue_and_all_are_named() -> None:
    """
    Every check comes from a statement of the guide, and no row names a check that is not there.
    """
    assert {check.id for check in CATALOGUE} == {name for row in ROWS for name in row.get("check", [])}


def test_named_texts_exist() -> None:
    """
    A row names a text by its id in the catalogue of sentences.
    """
    assert [] == sorted({name for row in ROWS for name in row.get("text", [])} - ids())


def test_named_tests_exist() -> None:
    """
    A row names a test as pytest does, without parameters.
    """
    named = {node for row in ROWS for node in row.get("test", [])}
    there = {node for path in {node.partition("::")[0] for node in named} for node in _tests(path)}

    assert [] == sorted(named - there)


def test_every_notebook_is_a_place_of_the_guide() -> None:
    """
    No notebook is there that the guide has no statement for.
    """
    named = {cell for row in ROWS for cell in row.get("cell", {})}

    assert {cell[:2] for cell in CELLS} == {cell[:2] for cell in named}


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "docs" / "build.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_generated_pages_are_current() -> None:
    """
    The pages in `docs/` are what `docs/build.py` would write now.
    """
    made = _build(REPOSITORY)

    assert (0, "") == (made.returncode, made.stderr)


@pytest.mark.parametrize(("edited", "stale"), [("guide-map.toml", "guide-map.md"), ("checks.md", "checks.md")])
def test_a_stale_page_is_found(tmp_path: Path, edited: str, stale: str) -> None:
    """
    An edit of the map, or of a page by hand, makes `--check` fail and name the page; nothing is written.
    """
    for name in ("docs", "notebooks"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    target = tmp_path / "docs" / edited
    target.write_text(target.read_text(encoding="utf-8").replace("VM", "machine"), encoding="utf-8")
    before = (tmp_path / "docs" / stale).read_bytes()

    made = _build(tmp_path)

    assert (1, f"stale: {stale}. Run `python docs/build.py`.\n") == (made.returncode, made.stderr)
    assert before == (tmp_path / "docs" / stale).read_bytes()


# --- The guide itself ---------------------------------------------------------------------------------------------


# The kinds that a line's form allows, first match first; none for what states nothing by itself: the rest of a note,
# screenshots (indented: they repeat their step), the line under a table's header, comments and blank lines.
FORMS: tuple[tuple[str, frozenset[str]], ...] = (
    (r"\s*> \[!(NOTE|IMPORTANT)\]", frozenset({"note"})),
    (r"\s*> \* ", FREE),
    (r"\s*>|\s+!\[|\s*<!--|\s*$", frozenset()),
    (r"!\[", frozenset({"picture"})),
    (r"\|", frozenset({"row"})),
    (r"#+ ", frozenset({"heading"})),
    (r"\s*\d+\. ", frozenset({"step"})),
    (r"", FREE),
)


def _statements(guide: str) -> dict[int, tuple[frozenset[str], int]]:
    """
    Find what a guide states: for each line, the kinds that its form allows and how many rows it takes at least.
    """
    found: dict[int, tuple[frozenset[str], int]] = {}
    lines = guide.split("\n")
    front_matter = lines.index("---", 1) + 1
    fenced = False
    for number, line in enumerate(lines[front_matter:], front_matter + 1):
        if line.strip().startswith("```"):
            fenced = not fenced
            if fenced:
                found[number] = frozenset({"command"}), 1
        elif re.match(r"\|[-| ]+$", line):
            del found[number - 1]
        elif not fenced and (kinds := next(kinds for form, kinds in FORMS if re.match(form, line))):
            # A row of a table states something in each column but the first, which heads it.
            found[number] = kinds, line.count("|") - 2 if kinds == {"row"} else 1
    return found


SAMPLE = """---
title: left out
---
# Heading
> [!NOTE]
> Its words belong to the note.
>

Prose.

1. Step

    ![screenshot](of-the-step.png)

    More of the step.
   * Bullet
   > [!IMPORTANT]
   > A note of the step.

| Header | Left | Out |
| --- | --- | --- |
| Row |this |that |

![diagram](on-its-own.png)

```
command
```
<!-- comment -->"""


def test_statements_of_a_guide_are_found() -> None:
    """
    Headings, notes, prose, steps, bullets, rows, diagrams and commands count, each on its line.
    """
    expected = {
        4: (frozenset({"heading"}), 1),
        5: (frozenset({"note"}), 1),
        9: (FREE, 1),
        11: (frozenset({"step"}), 1),
        15: (FREE, 1),
        16: (FREE, 1),
        17: (frozenset({"note"}), 1),
        22: (frozenset({"row"}), 2),
        24: (frozenset({"picture"}), 1),
        26: (frozenset({"command"}), 1),
    }

    assert expected == _statements(SAMPLE)


@pytest.fixture(scope="module")
def guide() -> str:
    """
    The guide's source, in the reference data.
    """
    if not (reference := os.environ.get("RUNBOOK_REFERENCE")):
        pytest.skip("RUNBOOK_REFERENCE is not set: the guide is not part of the repository")
    return (Path(reference) / "guide-2016-es.md").read_text(encoding="utf-8")


def test_the_guide_is_the_one_that_was_mapped(guide: str) -> None:
    """
    Line numbers mean something in one version of the guide only.
    """
    assert MAP["guide"]["sha256"] == hashlib.sha256(guide.encode()).hexdigest()


def test_every_statement_of_the_guide_has_its_rows(guide: str) -> None:
    """
    No statement of the guide is left out: a row for each line that says something, one for each column of a table.
    """
    rows = Counter(row["line"] for row in ROWS)
    statements = _statements(guide)

    assert len(statements) > 100
    assert [] == [line for line, (_, least) in statements.items() if rows[line] < least]


def test_every_row_is_a_statement_of_the_guide(guide: str) -> None:
    """
    No row points at a line that says nothing, or calls it what it is not.
    """
    statements = _statements(guide)

    assert [] == [row["id"] for row in ROWS if row["kind"] not in statements.get(row["line"], (frozenset(), 0))[0]]
