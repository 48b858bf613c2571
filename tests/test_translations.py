"""
The translated notebooks: made of the English ones, code untouched, and nothing of them forgotten.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from runbook_lib.errors import RunbookError
from runbook_lib.folder import GIVEN, NOTEBOOKS
from runbook_lib.run import open_run
from runbook_lib.sandbox import Sandbox
from runbook_lib.text import DEFAULT_LANGUAGE, LANGUAGES

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "notebooks"
PAIRS = [
    pytest.param(FOLDER / f"{name}.ipynb", FOLDER / language / f"{name}.ipynb", id=f"{language}-{name}")
    for language in LANGUAGES
    if language != DEFAULT_LANGUAGE
    for name in NOTEBOOKS
]

every_pair = pytest.mark.parametrize(("english", "other"), PAIRS)


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _prose(path: Path) -> dict[str, str]:
    """
    Return the Markdown of a notebook by cell.
    """
    return {cell["id"]: "".join(cell["source"]) for cell in _cells(path) if cell["cell_type"] == "markdown"}


def _found(pattern: str, path: Path) -> dict[str, list[str]]:
    return {name: re.findall(pattern, source, flags=re.MULTILINE) for name, source in _prose(path).items()}


@every_pair
def test_a_translated_notebook_differs_in_its_prose_alone(english: Path, other: Path) -> None:
    """
    The same cells with the same ids; code, parameters among it, byte for byte.
    """
    whole, translated = (json.loads(path.read_text(encoding="utf-8")) for path in (english, other))
    for notebook in (whole, translated):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = []

    assert whole == translated
    assert [] == [name for name, source in _prose(english).items() if source == _prose(other)[name]]


@every_pair
def test_a_translated_notebook_is_as_jupyter_writes_it(english: Path, other: Path) -> None:
    """
    Saving it untouched changes nothing.
    """
    notebook = nbformat.reads(other.read_text(encoding="utf-8"), as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)

    assert nbformat.writes(notebook) + "\n" == other.read_text(encoding="utf-8")  # type: ignore[no-untyped-call]


@every_pair
@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"^#+ ", id="headings"),
        pytest.param(r"\]\(([^)]*)\)", id="links"),
        pytest.param(r"^\| --- .*", id="tables"),
        pytest.param(r"^(?:\||\d\.|-) ?", id="rows"),
        pytest.param(r"^```", id="blocks"),
    ],
)
def test_a_translated_cell_has_the_shape_of_the_english_one(english: Path, other: Path, pattern: str) -> None:
    """
    Headings of the same levels, links to the same places, tables and lists of as many rows.
    """
    assert _found(pattern, english) == _found(pattern, other)


@every_pair
def test_names_and_verdicts_stand_in_the_translation(english: Path, other: Path) -> None:
    """
    What is code, and the words of verdicts and states, are the same in every language.
    """
    pattern = r"(?<!`)`[^`\n]+`(?!`)|\b(?:[A-Z]{4,}|UNKNOWN|NOT NEEDED|GeoRedundant|Standard|Enhanced)\b"
    kept = _found(pattern, other)

    assert {} == {
        name: lost for name, words in _found(pattern, english).items() if (lost := set(words) - set(kept[name]))
    }


@every_pair
def test_a_translated_notebook_names_the_guide_in_its_own_words(english: Path, other: Path) -> None:
    """
    The title of the guide stands there as its Spanish original has it, with the section.
    """
    reference = next(iter(_prose(other).values())).splitlines()[2]

    assert reference.startswith(
        "*Guía: «Preparación del entorno para la copia de seguridad de máquinas virtuales implementadas según el "
        "modelo de Resource Manager» (21 de agosto de 2016), "
    )
    assert re.search(r", (sección «.+»|introducción, requisitos previos y limitaciones)", reference)


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != DEFAULT_LANGUAGE])
def test_a_language_has_no_notebook_of_its_own(language: str) -> None:
    """
    Its folder holds what people open, and nothing that the English one has not.
    """
    kept = {path.name for path in (FOLDER / language).iterdir() if not path.name.startswith(".")}

    assert {f"{name}.ipynb" for name in NOTEBOOKS} == kept


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "docs" / "translations.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """
    The notebooks, the texts and their translations, to be edited.
    """
    for name in ("docs", "notebooks", "runbook_lib/text"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    return tmp_path


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


def test_translations_are_current() -> None:
    """
    Every cell and every sentence was translated as the English one stands now, and the notebooks are made of that.
    """
    made = _run(REPOSITORY, "--check")

    assert (0, "") == (made.returncode, made.stderr)


def test_a_changed_cell_is_named_with_its_english(copy: Path) -> None:
    """
    Whoever changes an English cell learns that its translation says something else now.
    """
    _edit(copy / "notebooks" / "00_start.ipynb", "This first notebook only reads.", "This first notebook reads only.")
    made = _run(copy, "--check")

    assert 1 == made.returncode
    assert made.stderr.startswith("docs/translations.es/00_start.toml: changed: 00-title: # Start: where do we")
    assert "This first notebook reads only." in made.stderr
    assert "[00-title]" in _run(copy, "--skeleton").stdout


def test_a_changed_sentence_is_named_until_it_is_accepted(copy: Path) -> None:
    """
    The same for a sentence that code shows.
    """
    _edit(copy / "runbook_lib" / "text" / "en.toml", 'guide = "The guide says nothing of locks."', 'guide = "No word."')
    made = _run(copy, "--check")
    shown = _run(copy, "--skeleton").stdout
    _run(copy, "--accept", "check.vault-locks.guide")

    assert "No word." in shown
    assert (1, "runbook_lib/text/es.toml: changed: check.vault-locks.guide: No word.\n") == (
        made.returncode,
        made.stderr,
    )
    assert 0 == _run(copy, "--check").returncode


def test_what_is_missing_and_what_is_left_over_is_named(copy: Path) -> None:
    """
    A cell or a sentence without a translation, and a translation of nothing.
    """
    _edit(copy / "docs" / "translations.es" / "07_evidence.toml", "[07-seal-text]", "[07-sealed-text]")
    _edit(copy / "runbook_lib" / "text" / "es.toml", "read_at = ", "read_on = ")
    said = _run(copy, "--check").stderr.splitlines()

    assert "docs/translations.es/07_evidence.toml: missing: 07-seal-text: ## Seal" in said
    assert "docs/translations.es/07_evidence.toml: left over: 07-sealed-text" in said
    assert "runbook_lib/text/es.toml: missing: say.read_at: Read at {when} (the service's clock)." in said
    assert "runbook_lib/text/es.toml: left over: say.read_on" in said


def test_only_sentences_that_there_are_can_be_accepted(copy: Path) -> None:
    """
    A slip of the pen is named; nothing is written.
    """
    noted = (copy / "docs" / "translations.es" / "texts.toml").read_bytes()
    made = _run(copy, "--accept", "say.read_at", "say.nonsense")

    assert 2 == made.returncode
    assert "no sentence has the id say.nonsense" in made.stderr
    assert noted == (copy / "docs" / "translations.es" / "texts.toml").read_bytes()


def test_a_notebook_that_was_edited_by_hand_is_found_and_made_anew(copy: Path) -> None:
    """
    The Markdown of a translated notebook is kept in its TOML file.
    """
    path = copy / "notebooks" / "es" / "05_vm_agent.ipynb"
    before = path.read_bytes()
    _edit(path, "extensión", "extension")
    made = _run(copy, "--check")
    _run(copy)

    assert (1, "stale: notebooks/es/05_vm_agent.ipynb. Run `make notebooks`.\n") == (made.returncode, made.stderr)
    assert before == path.read_bytes()


@pytest.fixture(autouse=True)
def _own_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A kernel's errors speak the language of its run; this process goes on with other tests.
    """
    monkeypatch.setattr(RunbookError, "language", DEFAULT_LANGUAGE)


def _opened(tmp_path: Path, **given: Any) -> str:
    """
    Open a run as the first cell of notebook 00 does, and return what it shows.
    """
    return open_run("00_start", {"language": "en", "run_dir": str(tmp_path / "r")} | given).mark.text()


def test_a_translated_notebook_that_is_open_speaks_its_language(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    JupyterLab tells its kernel which notebook it is for; the parameter's default stays as it is, and so do reruns. A
    language that was chosen in a parameters cell goes on.
    """
    plain = _opened(tmp_path / "a")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notebooks" / "es" / "00_start.ipynb"))
    spoken = _opened(tmp_path / "b")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notebooks" / "01_create_vault.ipynb"))
    english = _opened(tmp_path / "c")
    goes_on = _opened(tmp_path / "b")
    _opened(tmp_path / "d", language="es")
    chosen = open_run("01_create_vault", {"language": "en", "run_dir": str(tmp_path / "d" / "r")}).mark.text()

    assert ["Read at", "Leído el", "Read at", "Read at", "Leído el"] == [
        said.splitlines()[1][:8].strip() for said in (plain, spoken, english, goes_on, chosen)
    ]


def test_what_a_rerun_was_given_counts_before_the_notebook(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A job that is started out of an open notebook has that one's environment, and parameters of its own.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notebooks" / "es" / "00_start.ipynb"))
    monkeypatch.setenv(GIVEN, "language,run_dir")

    assert "Read at" in _opened(tmp_path)


def test_without_jupyterlab_the_parameter_says_the_language(contoso: Sandbox, tmp_path: Path) -> None:
    """
    As in any other editor: the cell of parameters is the place.
    """
    assert "Leído el" in _opened(tmp_path, language="es")
