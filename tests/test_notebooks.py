"""
Hygiene of the notebooks: input only, thin, of one shape, and one with the schema of parameters.

Reads the notebooks as files; that they run is shown where the chain is tested.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

import runbook_lib
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.parameters import schema
from runbook_lib.run import Run

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
GUIDE = "“Prepare your environment to back up Resource Manager virtual machines” (21 August 2016)"
TODAYS_PAGE = "https://learn.microsoft.com/azure/backup/backup-azure-arm-vms-prepare"
LONGEST_CELL = 8
SECRET = re.compile(r"secret|password|passwd|pwd|token|credential|connection_string|sas|(^|_)key(_|$)", re.IGNORECASE)
STATEMENTS = (ast.ImportFrom, ast.Assign, ast.Expr)
EXPRESSIONS = (ast.Call, ast.Attribute, ast.Name, ast.Constant, ast.expr_context, ast.keyword)

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def _read(path: Path) -> Any:
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]


def _code(path: Path) -> list[Any]:
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


def _is_parameters(cell: Any) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def _parameters(path: Path) -> str:
    return next(str(cell.source) for cell in _code(path) if _is_parameters(cell))


def _declared(path: Path) -> list[str]:
    return [line.partition(":")[0] for line in _parameters(path).splitlines()]


def _calls(path: Path) -> list[ast.Module]:
    return [ast.parse(cell.source) for cell in _code(path) if not _is_parameters(cell)]


def _markdown(path: Path) -> list[str]:
    return [str(cell.source) for cell in _read(path).cells if cell.cell_type == "markdown"]


def _headings(path: Path) -> list[str]:
    """
    List the headings, leaving out what only looks like one in a fenced block.
    """
    prose = (re.sub(r"```.*?```", "", source, flags=re.DOTALL) for source in _markdown(path))
    return [line for source in prose for line in source.splitlines() if re.match(r"#+ ", line)]


def test_the_notebooks_are_those_of_the_chain() -> None:
    """
    What the chain runs is what the folder holds, in the order of the numbers.
    """
    assert list(NOTEBOOKS) == [path.stem for path in PATHS]


@every_notebook
def test_a_notebook_is_valid_and_as_jupyter_writes_it(path: Path) -> None:
    """
    A notebook follows its format, and saving it untouched changes nothing.
    """
    notebook = _read(path)
    nbformat.validate(notebook)
    written = nbformat.writes(notebook)  # type: ignore[no-untyped-call]

    assert written + "\n" == path.read_text(encoding="utf-8")


@every_notebook
def test_a_notebook_holds_no_results(path: Path) -> None:
    """
    Notebooks in git are input only: no output, no execution count, no widget state.
    """
    assert [] == [cell.id for cell in _code(path) if cell.outputs or cell.execution_count is not None]
    assert {"kernelspec", "language_info"} == set(_read(path).metadata)


@every_notebook
def test_a_notebook_runs_on_the_plain_python_kernel(path: Path) -> None:
    """
    The kernel is `python3`, whatever machine the notebook was last saved on; no version of Python is noted.
    """
    metadata = _read(path).metadata

    assert ("python3", "python") == (metadata.kernelspec.name, metadata.kernelspec.language)
    assert {"name": "python"} == metadata.language_info


def test_cells_have_ids_that_stay() -> None:
    """
    A cell is known by the number of its notebook and a word or two: no id is made by chance, none occurs twice.
    """
    found = [(path.stem[:2], cell.id) for path in PATHS for cell in _read(path).cells]

    assert [] == [name for number, name in found if not re.fullmatch(number + r"-[a-z]+(-[a-z]+|-\d)*", name)]
    assert len(found) == len({name for _, name in found})


@every_notebook
def test_a_notebook_has_one_parameters_cell(path: Path) -> None:
    """
    papermill writes parameters after the one cell with that tag; no other cell has a tag, or anything but its source.
    """
    cells = _read(path).cells
    number = path.stem[:2]

    assert [(f"{number}-parameters", {"tags": ["parameters"]})] == [(c.id, c.metadata) for c in cells if c.metadata]
    assert [] == [cell.id for cell in cells if cell.get("attachments")]


@every_notebook
def test_parameters_are_those_of_the_schema(path: Path) -> None:
    """
    Name, type, default and meaning of a parameter are written once, in the schema; the cell repeats them exactly.
    """
    written = {"str": json.dumps, "int": repr, "bool": repr, "list[str]": json.dumps, "dict[str, str]": json.dumps}
    lines = {row.name: f"{row.name}: {row.type} = {written[row.type](row.default)}  # {row.help()}" for row in schema()}

    assert [lines.get(name, "") for name in _declared(path)] == _parameters(path).splitlines()


@every_notebook
def test_papermill_finds_every_parameter(path: Path) -> None:
    """
    `papermill --help-notebook` shows each parameter with its type and its meaning.
    """
    rows = {row.name: (row.type, row.help()) for row in schema()}
    found = papermill.inspect_notebook(str(path))

    assert {name: rows[name] for name in _declared(path)} == {
        name: (each["inferred_type_name"], each["help"]) for name, each in found.items()
    }


def test_every_parameter_is_in_a_notebook() -> None:
    """
    What a run can be asked can be asked in the notebook that deals with it.
    """
    assert {row.name for row in schema()} == {name for path in PATHS for name in _declared(path)}


def test_no_parameter_is_a_secret() -> None:
    """
    Parameters are kept in the evidence, so none is made for a secret.
    """
    assert [] == [row.name for row in schema() if SECRET.search(row.name)]


@every_notebook
def test_a_code_cell_only_calls_the_library(path: Path) -> None:
    """
    A cell imports what `runbook_lib` exports, assigns names and calls; magics, functions and loops are not there.
    """
    for module in _calls(path):
        imports = [each for each in ast.walk(module) if isinstance(each, ast.ImportFrom)]
        inner = [
            each
            for statement in module.body
            if not isinstance(statement, ast.ImportFrom)
            for each in ast.walk(statement)
        ]

        assert [] == [each for each in module.body if not isinstance(each, STATEMENTS)]
        assert [] == [ast.dump(each) for each in inner if not isinstance(each, STATEMENTS + EXPRESSIONS)]
        assert [] == [each.module for each in imports if (each.module, each.level) != ("runbook_lib", 0)]
        assert set() == {name.name for each in imports for name in each.names} - set(runbook_lib.__all__)
        assert set() == {name.asname for each in imports for name in each.names} - {None}


@every_notebook
def test_a_code_cell_is_short(path: Path) -> None:
    """
    A cell is read at a glance: what is longer belongs into the library.
    """
    assert [] == [
        cell.id for cell in _code(path) if not _is_parameters(cell) and len(cell.source.splitlines()) > LONGEST_CELL
    ]


@every_notebook
def test_cells_use_what_a_run_has(path: Path) -> None:
    """
    Whatever a cell takes from the run is a public member of it, and is given arguments that it takes.
    """
    for module in _calls(path):
        for each in ast.walk(module):
            if isinstance(each, ast.Attribute):
                assert isinstance(each.value, ast.Name)
                assert each.value.id == "run"
                assert not each.attr.startswith("_")
                assert hasattr(Run, each.attr)
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
                assert each.func.id in (*runbook_lib.__all__, "globals")
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
                places = [object()] * (1 + len(each.args))
                inspect.signature(getattr(Run, each.func.attr)).bind(
                    *places, **{str(k.arg): None for k in each.keywords}
                )


@every_notebook
def test_a_notebook_opens_the_run_under_its_own_name(path: Path) -> None:
    """
    The first cell after the parameters opens the run and shows its target, so that no output stands without its mark.
    """
    first, second = _code(path)[:2]

    assert (f"{path.stem[:2]}-parameters", f"{path.stem[:2]}-open") == (first.id, second.id)
    assert [
        "from runbook_lib import open_run",
        "",
        f'run = open_run("{path.stem}", globals())',
        "run.mark",
    ] == second.source.splitlines()


@every_notebook
def test_forms_offer_parameters_of_their_notebook(path: Path) -> None:
    """
    What a form changes can be given headlessly in the same notebook.
    """
    offered = [
        argument.value
        for module in _calls(path)
        for each in ast.walk(module)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "form"
        for argument in each.args
        if isinstance(argument, ast.Constant)
    ]

    assert [] == [name for name in offered if name not in _declared(path)]


@every_notebook
def test_nothing_is_applied_before_it_was_shown_and_approved(path: Path) -> None:
    """
    Plan, approval and apply are cells of their own, in this order, where `apply` is a parameter; else there are none.
    """
    steps = [cell.id for cell in _code(path) if re.search(r"run\.(show_plan|approval|apply)\(", cell.source)]
    number = path.stem[:2]
    expected = [f"{number}-plan", f"{number}-approve", f"{number}-apply"] if "apply" in _declared(path) else []

    assert expected == steps


@every_notebook
def test_a_notebook_begins_with_its_section_of_the_guide(path: Path) -> None:
    """
    The title cell names the guide and the section, and links today's page.
    """
    first = _read(path).cells[0]
    title, _, reference = first.source.splitlines()[:3]

    assert ("markdown", f"{path.stem[:2]}-title") == (first.cell_type, first.id)
    assert title.startswith("# ")
    assert reference.startswith(f"*Guide: {GUIDE}, ")
    assert reference.endswith(f"[Today's page]({TODAYS_PAGE}).*")
    assert re.search(r", (section “.+”|introduction, prerequisites and limitations)", reference)


@every_notebook
def test_headings_do_not_skip_levels(path: Path) -> None:
    """
    One title, and below it headings that go down one level at a time, so that they can be walked by ear.
    """
    levels = [len(heading.partition(" ")[0]) for heading in _headings(path)]

    assert [0] == [place for place, level in enumerate(levels) if level == 1]
    assert [] == [(above, below) for above, below in pairwise(levels) if below > above + 1]


@every_notebook
def test_a_notebook_ends_with_what_is_next(path: Path) -> None:
    """
    The last cell leads on to the next notebook, the last notebook to the first backup.
    """
    last = _read(path).cells[-1]
    place = NOTEBOOKS.index(path.stem)
    expected = f"]({NOTEBOOKS[place + 1]}.ipynb)" if place + 1 < len(NOTEBOOKS) else "## Next steps"

    assert ("markdown", f"{path.stem[:2]}-next") == (last.cell_type, last.id)
    assert expected in last.source


@every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    """
    A link goes to a notebook of the folder, or to an https address.
    """
    links = [link for source in _markdown(path) for link in re.findall(r"\]\(([^)]*)\)", source)]

    assert [] == [link for link in links if not link.startswith("https://") and not (FOLDER / link).is_file()]


@every_notebook
def test_markdown_is_plain(path: Path) -> None:
    """
    Prose holds no HTML and no picture, and no backslash is doubled: in code spans both would be shown.
    """
    assert [] == [source for source in _markdown(path) if re.search(r"</?[a-zA-Z]|!\[|\\\\", source)]
