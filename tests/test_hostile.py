"""
Hostile input through the whole job: whatever an estate, the service or a folder calls things, it is shown as text and
does nothing, in every file of a finished run and on the terminal.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import papermill
import pytest
from click.testing import CliRunner, Result
from hostile import GROUP, SENT, Page, acting, commanding, estate_of, formulas, shown_in
from papermill.cli import papermill as command

from runbook_lib.cli import main
from runbook_lib.evidence import ATTESTATION
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.sandbox import Sandbox
from runbook_lib.text import inert, plain

pytestmark = pytest.mark.commands

NOTEBOOK_FOLDER = Path(__file__).parents[1] / "notebooks"
OPTIONS = ("-p", "vm_selector", f"group:{GROUP}", "-p", "max_errors", "1000", "-p", "network_option", "service_tags")


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[str]]:
    """
    Two sealed runs and all that they said on the terminal: one that plans on hostile names, and one in which the
    service refused every VM in hostile words before it was gone on with.
    """
    place = tmp_path_factory.mktemp("hostile")
    planned, applied = place / "planned", place / "applied"
    names, words = estate_of(place / "names.json", failing=False), estate_of(place / "words.json", failing=True)
    said = [_runbook("run", "--estate", str(names), "--json", "--log", "json", "--out", str(planned), *OPTIONS)]
    said.append(_runbook("run", "--estate", str(words), "--apply", "--out", str(applied), *OPTIONS))
    sandbox = Sandbox(place / "applied.sandbox.sqlite")
    sandbox.clear_faults()
    sandbox.close()
    said.append(_runbook("resume", str(applied)))
    said.append(_runbook("compare", str(planned), str(applied)))
    said.append(_runbook("compare", "--json", str(planned), str(applied)))

    assert [3, 5, 3, 0, 0] == [each.exit_code for each in said], [each.stderr[-1000:] for each in said]
    assert all((folder / ATTESTATION).exists() for folder in (planned, applied))
    return [planned, applied], [told for each in said for told in (each.stdout, each.stderr)]


def _shown(folders: list[Path]) -> Iterator[tuple[Path, str, str]]:
    for folder in folders:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            for kind, content in shown_in(path):
                yield path.relative_to(folder), kind, content


def test_no_file_of_a_finished_run_holds_anything_that_acts(finished: tuple[list[Path], list[str]]) -> None:
    """
    Known elements and attributes only in what a notebook shows, no script in a page, no formula, and nothing that a
    terminal obeys.
    """
    bad: list[str] = []
    kinds: set[str] = set()
    for name, kind, content in _shown(finished[0]):
        kinds.add(kind)
        if kind.startswith("strange"):
            bad.append(f"{name}: {kind}")
        if kind == "html" and ((page := Page(content)).strange or page.open):
            bad.append(f"{name}: {page.strange[:3]} {page.open[:3]}")
        if kind == "page":
            bad += [f"{name}: {each}" for each in acting(content)]
        if kind == "csv":
            bad += [f"{name}: formula {cell[:40]!r}" for cell in formulas(content)]
        bad += [f"{name}: {kind} commands {each!r}" for each in sorted(commanding(content))]

    assert [] == bad
    assert {"csv", "html", "json", "text"} <= kinds


def test_every_hostile_string_came_through_every_kind_of_file(finished: tuple[list[Path], list[str]]) -> None:
    """
    The rule above is about something: each string is met in notebooks as HTML and as text, in tables, in JSON and on
    the terminal.
    """
    folders, terminal = finished
    sinks: dict[str, list[str]] = {"terminal": terminal}
    for name, kind, content in _shown(folders):
        read = "\n".join(Page(content).cells) if kind == "html" else content
        sinks.setdefault(f"{name} {kind}", []).append(read)
        sinks.setdefault(f"any {name.suffix} {kind}", []).append(read)
    met = Counter(
        sink
        for sink, contents in sinks.items()
        for hostile in SENT
        if any(_part(hostile, sink) in content for content in contents)
    )
    through = sum(count for sink, count in met.items() if not sink.startswith("any"))
    print(
        f"{len(SENT)} hostile strings, {sum(not each.startswith('any') for each in sinks)} sinks, {through} met in them"
    )
    least = ("any .ipynb html", "any .ipynb text", "any .csv csv", "any .json json", "any .jsonl json", "terminal")

    assert dict.fromkeys(least, len(SENT)) == {sink: met[sink] for sink in least}
    assert through >= 20 * len(SENT)


def _part(hostile: str, sink: str) -> str:
    """
    Return how a string reads in a sink; of a long one the beginning, for cells are cut.
    """
    if "json" in sink:
        return inert(json.dumps(hostile, ensure_ascii=False))[1:-1][:40]
    shown = plain(hostile)[:20].strip()
    return shown.replace('"', '""') if "csv" in sink else shown


def test_the_terminal_obeys_nothing(finished: tuple[list[Path], list[str]]) -> None:
    """
    Neither what is told as it happens, nor the end of a run, its JSON or its log, nor what changed between two runs.
    """
    _, terminal = finished

    assert [set()] * len(terminal) == [commanding(said) for said in terminal]
    assert all("PROTECTED" not in line[:9] for said in terminal for line in said.splitlines())


def test_shared_notebooks_hold_no_widget_state(finished: tuple[list[Path], list[str]]) -> None:
    """
    Saved state is JavaScript's to run; the static twin is what is left.
    """
    for folder in finished[0]:
        for name in NOTEBOOKS:
            assert "widgets" not in json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]


# --- parameters are no code ---------------------------------------------------------------------------------------


CODE = "x=open('PWNED','w'); y"


@pytest.mark.parametrize("way", ["-p", "-f", "-y", "-b", "-r"])
def test_a_parameters_name_is_no_code_for_papermill(
    way: str, contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    papermill would put it into a cell as it is (measured); our engine refuses it before there is a kernel.
    """
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "evil.yaml"
    file.write_text(json.dumps({CODE: 1}), encoding="utf-8")
    encoded = "eyJ4PW9wZW4oJ1BXTkVEJywndycpOyB5IjogMX0="
    given = {"-p": [CODE, "1"], "-r": [CODE, "1"], "-f": [str(file)], "-y": [file.read_text()], "-b": [encoded]}[way]
    source = NOTEBOOK_FOLDER / "00_start.ipynb"
    done = CliRunner().invoke(command, ["--engine", "runbook", str(source), "out.ipynb", way, *given])

    assert done.exit_code != 0
    assert "There is no parameter" in str(done.exception)
    assert set() == {"PWNED", "out.ipynb"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("given", [("-p", CODE, "1"), ("-f", "{folder}/evil.yaml")])
def test_a_parameters_name_is_no_code_for_the_runner(
    given: tuple[str, ...], contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Refused with exit code 2; nothing is written.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.yaml").write_text(json.dumps({CODE: 1}), encoding="utf-8")
    result = _runbook("run", "--out", "r", *(each.format(folder=tmp_path) for each in given))

    assert (2, True) == (result.exit_code, "There is no parameter" in result.stderr)
    assert not (tmp_path / "PWNED").exists()
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "value",
    [
        "name:x\"; open('PWNED', 'w'); \"",
        "name:x'); open('PWNED', 'w'); ('",
        "name:x\nopen('PWNED', 'w')",
        'name:x\\"; open("PWNED", "w") #',
        "name:{open('PWNED', 'w')}",
        'name:"""\nopen("PWNED", "w")\n"""',
        "name:\u202eopen('PWNED', 'w')",
    ],
)
def test_a_parameters_value_is_no_code(
    value: str, contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Plain papermill and our engine write it as a literal: it selects no VM, and that is all that comes of it.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(papermill.PapermillExecutionError) as stopped:
        papermill.execute_notebook(
            str(NOTEBOOK_FOLDER / "00_start.ipynb"),
            "out.ipynb",
            parameters={"vm_selector": value, "run_dir": "r"},
            engine_name="runbook",
            progress_bar=False,
        )

    assert "InvalidParameters" == stopped.value.ename
    assert not (tmp_path / "PWNED").exists()


# --- files that are too much --------------------------------------------------------------------------------------


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "-f", "{deep}"), 2),
        (("run", "-p", "accept_risk", '{{"a": ' + "[" * 50_000), 2),
        (("run", "-p", "subscription_ids", "[" * 50_000), 2),
        (("run", "--estate", "{deep}"), 2),
        (("apply", "{deep}"), 1),
        (("resume", "{folder}"), 1),
        (("verify", "{folder}"), 1),
        (("compare", "{folder}", "{folder}"), 1),
        (("fleet", "{deep}"), 2),
        (("sandbox", "load", "{deep}"), 2),
    ],
    ids=lambda each: " ".join(each)[:24] if isinstance(each, tuple) else str(each),
)
def test_deep_documents_are_refused(arguments: tuple[str, ...], code: int, contoso: Sandbox, tmp_path: Path) -> None:
    """
    Whoever reads them says so in one message, with the exit code of bad input or of broken evidence.
    """
    deep, folder = tmp_path / "deep.json", tmp_path / "prepared"
    deep.write_text(DEEP, encoding="utf-8")
    folder.mkdir()
    for name in ("parameters.json", "run.json", "outcome.json", "attestation.dsse.json"):
        (folder / name).write_text(DEEP, encoding="utf-8")
    filled = [each.replace("{deep}", str(deep)).replace("{folder}", str(folder)) for each in arguments]
    out = ["--out", str(tmp_path / "r")] if arguments[0] in ("run", "apply", "fleet") else []
    result = _runbook(*filled, *out)

    assert code == result.exit_code, result.output[:2000]
    assert result.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("content", ["[]", "1", "null", '{"apply": 1}', '{"visited": 5}'])
def test_a_prepared_run_folder_is_refused(content: str, contoso: Sandbox, tmp_path: Path) -> None:
    """
    Documents of another form are no run, and nobody is shown the inside of the program.
    """
    folder = tmp_path / "prepared"
    folder.mkdir()
    for name in ("parameters.json", "run.json", "outcome.json", "inventory-after.json"):
        (folder / name).write_text(content, encoding="utf-8")
    for arguments in (("resume", str(folder)), ("compare", str(folder), str(folder))):
        result = _runbook(*arguments)

        assert result.exit_code in (1, 2)
        assert 1 <= len(result.stderr.splitlines()) <= 2


def test_the_command_itself_obeys_nothing(tmp_path: Path) -> None:
    """
    What is given on the command line comes back as text as well.
    """
    done = subprocess.run(
        [sys.executable, "-m", "runbook_lib", "run", "--out", str(tmp_path / "r"), "-p", "vault_name", "\x1b[2J\u202e"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert (2, set()) == (done.returncode, commanding(done.stderr))
