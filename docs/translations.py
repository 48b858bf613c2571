"""
Make the notebooks of other languages, and find what of the English originals is not translated.

`python docs/translations.py` writes `notebooks/es/`: the English notebooks with the Markdown of
`docs/translations.es/`, and code cells as they are. Each translated cell says of which English text it was made; for
the sentences of `runbook_lib` the file `texts.toml` there does.

- `--check` writes nothing; the exit code is 1 where something is missing, changed, left over or stale, and it is named
  with its English.
- `--skeleton` prints what is missing or changed as TOML to fill in.
- `--accept ID …` notes that these sentences were translated as the English ones stand now.

Imports `text` of the package, nothing that talks to Azure or Jupyter.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.text import DEFAULT_LANGUAGE, LANGUAGES

__all__ = ["Gap", "digest", "gaps", "main", "notebooks", "sentences", "translated"]

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
TEXTS = HERE.parent / "runbook_lib" / "text"
# What the names of the files with sentences begin with, and the ids of those sentences here.
FILES = ("", "service_errors.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """
    Something of a translation that is not as the English original has it.

    Attributes:
        why: `missing`, `changed` or `left over`.
        file: the TOML file that it belongs into.
        name: id of the cell or sentence.
        english: what is to be translated; empty for what is left over.
    """

    why: str
    file: str
    name: str
    english: str = ""


def digest(english: str) -> str:
    """
    Return what names an English text in its translation.
    """
    return hashlib.sha256(english.encode()).hexdigest()[:12]


def sentences(language: str) -> dict[str, str]:
    """
    Read the sentences that code shows, by id.
    """
    found: dict[str, str] = {}

    def walk(prefix: str, node: Mapping[str, Any]) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            else:
                found[f"{prefix}{name}"] = str(value)

    for prefix in FILES:
        walk(prefix, _toml(TEXTS / f"{prefix}{language}.toml"))
    # Which notebook mends an error, and whether its code is the sandbox's own, are no sentences.
    return {name: said for name, said in found.items() if not name.endswith((".notebook", ".simulated"))}


def gaps(language: str) -> Iterator[Gap]:
    """
    List what of a language is not translated: first the notebooks' cells, then the sentences.
    """
    for path in _originals():
        there = _cells(language, path.stem)
        wanted = {cell["id"]: _source(cell) for cell in _read(path)["cells"] if cell["cell_type"] == "markdown"}
        made_of = {name: entry["of"] for name, entry in there.items()}
        yield from _compared(_home(language).joinpath(f"{path.stem}.toml"), wanted, there, made_of)
    own = sentences(language)
    yield from _compared(TEXTS / f"{language}.toml", sentences(DEFAULT_LANGUAGE), own, _noted(language))


def _compared(
    path: Path, wanted: Mapping[str, str], there: Mapping[str, Any], made_of: Mapping[str, str]
) -> Iterator[Gap]:
    file = path.relative_to(HERE.parent).as_posix()
    for name, english in wanted.items():
        if name not in there:
            yield Gap(why="missing", file=file, name=name, english=english)
        elif made_of.get(name) != digest(english):
            yield Gap(why="changed", file=file, name=name, english=english)
    yield from (Gap(why="left over", file=file, name=name) for name in there if name not in wanted)


def translated(language: str, path: Path) -> str:
    """
    Return an English notebook with the Markdown of *language*, as Jupyter writes it; a cell without one stays English.
    """
    notebook = copy.deepcopy(_read(path))
    there = _cells(language, path.stem)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and cell["id"] in there:
            cell["source"] = there[cell["id"]]["text"].strip("\n").splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def notebooks() -> dict[Path, str]:
    """
    Return all translated notebooks, by where they belong.
    """
    return {
        NOTEBOOKS / language / path.name: translated(language, path) for language in _others() for path in _originals()
    }


def skeleton(found: Sequence[Gap]) -> str:
    """
    Write gaps as TOML with the English text, by file: what a translator fills in.
    """
    lines: list[str] = []
    for file in dict.fromkeys(gap.file for gap in found if gap.english):
        lines += [f"# {file}", ""]
        for gap in (each for each in found if each.file == file and each.english):
            if file.startswith("docs/"):
                lines += [f"[{gap.name}]", f'of = "{digest(gap.english)}"', "text = '''", gap.english, "'''", ""]
            else:
                table, _, key = gap.name.partition(".")
                lines += [f"# {gap.why}: [{table}] {key}", json.dumps(gap.english, ensure_ascii=False), ""]
    return "\n".join(lines)


def accept(language: str, names: Sequence[str]) -> None:
    """
    Note of which English sentences those of *language* with these ids were made.
    """
    english, own = sentences(DEFAULT_LANGUAGE), sentences(language)
    noted = _noted(language) | {name: digest(english[name]) for name in names}
    lines = [
        "# Of which English sentence each one of runbook_lib/text was made: the beginning of its sha256, by id.",
        "# Kept by `python docs/translations.py --accept ID …`.",
        *(f'"{name}" = "{noted[name]}"' for name in english if name in noted and name in own),
    ]
    _write(_home(language) / "texts.toml", "\n".join(lines) + "\n")


def _others() -> list[str]:
    return [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]


def _originals() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def _home(language: str) -> Path:
    return HERE / f"translations.{language}"


def _cells(language: str, notebook: str) -> dict[str, Any]:
    return _toml(_home(language) / f"{notebook}.toml")


def _noted(language: str) -> dict[str, Any]:
    return _toml(_home(language) / "texts.toml")


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="\n")


def main() -> None:
    """
    Write the notebooks, or check, print or note what is translated.

    Raises:
        SystemExit: something is not translated, or a notebook is not what would be written now.
    """
    parser = argparse.ArgumentParser(description="Make the notebooks of other languages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something is amiss")
    parser.add_argument("--skeleton", action="store_true", help="print what is not translated as TOML to fill in")
    parser.add_argument("--accept", nargs="+", metavar="ID", help="note these sentences as translated; all: every one")
    asked = parser.parse_args()
    if unknown := set(asked.accept or ()) - {"all", *sentences(DEFAULT_LANGUAGE)}:
        parser.error(f"no sentence has the id {', '.join(sorted(unknown))}: --check and --skeleton name them")
    for language in _others() if asked.accept else ():
        accept(language, list(sentences(language)) if asked.accept == ["all"] else asked.accept)
    found = [gap for language in _others() for gap in gaps(language)]
    if asked.skeleton:
        print(skeleton(found))
        return
    pages = notebooks()
    stale = [path for path, page in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != page]
    for path in () if asked.check else stale:
        _write(path, pages[path])
    told = [f"{gap.file}: {gap.why}: {gap.name}: {gap.english}".rstrip(": ") for gap in found]
    told += [f"stale: {path.relative_to(HERE.parent)}. Run `make notebooks`." for path in stale if asked.check]
    if told:
        raise SystemExit("\n".join(told))


if __name__ == "__main__":
    main()
