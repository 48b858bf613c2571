"""
The texts: every id that code uses is there, none is there for nothing, and each is given the facts that it names.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support import templates

import runbook_lib
from runbook_lib import errors, text
from runbook_lib.checks import CATALOGUE
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.parameters import NAMES, WEEKDAYS, schema
from runbook_lib.plan import EFFECTS

ROOT = Path(runbook_lib.__file__).parent
ERRORS = set(errors.__all__) - {"speak"}
# Given by `RunbookError.describe` to every error's sentence.
ALWAYS = {"resource", "section"}

every_language = pytest.mark.parametrize("language", text.LANGUAGES)
every_translation = pytest.mark.parametrize(
    "language", [each for each in text.LANGUAGES if each != text.DEFAULT_LANGUAGE]
)


@cache
def _trees() -> dict[str, ast.Module]:
    paths = [path for path in sorted(ROOT.rglob("*.py")) if "sandbox" not in path.relative_to(ROOT).parts]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def _sandbox() -> tuple[ast.AST, ...]:
    """
    List the nodes of the sandbox, whose only sentences are those of its refusals.
    """
    paths = sorted((ROOT / "sandbox").rglob("*.py"))
    return tuple(node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _refusals() -> list[ast.Call]:
    calls = (node for node in _sandbox() if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func) == "SandboxError" and _message(call)]


def _nodes(under: str = "") -> Iterator[ast.AST]:
    for name, tree in _trees().items():
        if name.startswith(under):
            yield from ast.walk(tree)


def _constants(under: str = "") -> set[str]:
    return {node.value for node in _nodes(under) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _calls(*names: str) -> list[ast.Call]:
    """
    List the calls of functions or methods with these names.
    """
    calls = (node for node in _nodes() if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func).split(".")[-1] in names]


def _message(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _keywords(call: ast.Call) -> set[str] | None:
    """
    List the keywords of a call; None where it passes a mapping on, which only running it can tell.
    """
    names = [each.arg for each in call.keywords]
    return None if None in names else {name for name in names if name is not None}


def _holes(message: str, language: str = text.DEFAULT_LANGUAGE) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(templates(language)[message]) if name is not None}


def _raised() -> set[str]:
    """
    List the ids of the errors that the package raises.
    """
    found = {_message(call) for call in _calls(*ERRORS, "kind")} - {None}
    # A bad name is reported under the name of its parameter.
    return {str(each) for each in found} | {"parameters", "vault_name", "resource_group", "policy_name"}


def _columns() -> set[str]:
    """
    List the columns of all tables: the tuples of names that stand in calls or are called `columns`.
    """
    found: set[str] = set()
    for node in _nodes():
        if isinstance(node, ast.Tuple) and all(isinstance(each, ast.Constant) for each in node.elts):
            names = {each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)}
            found |= names if all(text.exists(f"column.{name}") for name in names) else set()
    return found


def _cases(check: str) -> set[str]:
    """
    List the sentences of a check, less those that every check has.
    """
    own = {each.split(".")[2] for each in text.ids() if each.startswith(f"check.{check}.")}
    return own - {"title", "guide", "today", "source"}


def _offered() -> set[str]:
    """
    List the parameters that notebooks offer controls for, and the one that goes with the table of VMs.
    """
    found = {"accept_risk"}
    for path in (ROOT.parent / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and "run.form(" in source:
                tree = ast.parse(source)
                found |= {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return found


def _needed() -> set[str]:
    """
    List every id that code can ask for.
    """
    constants = _constants()
    facts = {name for message in templates() for name in _holes(message)}
    needed = {each for each in text.ids() if each in constants}
    needed |= {f"error.{each}" for each in _raised()}
    needed |= {f"parameter.{name}" for name in NAMES}
    needed |= {f"change.{kind}" for kind in EFFECTS}
    needed |= {f"column.{name}" for name in _columns()}
    options = next(row.choices for row in schema() if row.name == "network_option")
    needed |= {f"option.{option}.{part}" for option in options for part in ("for", "against")}
    # Those that `plan.options` may find lacking something.
    needed |= {f"option.{option}.lacking" for option in ("ip_ranges", "http_proxy")}
    needed |= {f"effect.{check.effect}" for check in CATALOGUE}
    needed |= {f"section.{check.section}" for check in CATALOGUE}
    needed |= {f"check.{check.id}.{part}" for check in CATALOGUE for part in ("title", "guide", "today", "source")}
    needed |= {f"check.{check.id}.{case}" for check in CATALOGUE for case in _cases(check.id)}
    needed |= {f"outcome.{each}" for each in constants if text.exists(f"outcome.{each}")}
    needed |= {each for each in text.ids() if each.startswith("note.") and each[5:] in _constants("plan/")}
    needed |= {each for each in text.ids() if each.startswith("irreversible.") and each[13:] in _constants("plan/")}
    # A unit of Azure's is said in small letters.
    constants |= {node.value for node in _sandbox() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    needed |= {f"sandbox.{_message(call)}" for call in _refusals()}
    known = constants | {each.lower() for each in constants} | facts
    needed |= {each for each in text.ids() if each.startswith("word.") and set(each.split(".")[1:]) <= known}
    kept = (name.rsplit("_", 1)[-1] for name in NAMES if "_retention_" in name)
    needed |= {f"retention.{unit}" for unit in kept}
    families = [each for each in constants if each.startswith("prerequisite_")]
    needed |= {f"say.{each}" for each in families if text.exists(f"say.{each}")}
    looks = {each for each in _constants("choosing.py") if text.exists(f"label.{each}")}
    needed |= {f"label.{name}" for name in _offered() | looks}
    needed |= {f"choice.{row.name}.{each}" for row in schema() for each in row.choices if row.name in _offered()}
    needed = {each for each in needed if not each.startswith("choice.") or text.exists(each)}
    needed |= {f"{where}.{words}" for where in ("say", "caption") for words in ("approval", "sealing")}
    needed |= {f"weekday.{day}" for day in WEEKDAYS}
    numbers = [name[:2] for name in NOTEBOOKS]
    needed |= {f"column.step_{number}" for number in numbers} | {f"next.{number}" for number in numbers}
    # Steps 01 to 06 can be met already.
    needed |= {f"met.{number}" for number in numbers[1:-1]}
    needed |= {f"board.{case}" for case in ("made", "left", "planned")}
    needed |= {f"ending.{case}" for case in ("made", "left", "planned", "later", "decided", "changed", "next")}
    needed |= {f"standing.{case}" for case in _cases("protection") if "." not in case}
    report = {f"report.{each}" for each in _constants("render/report.py")} | {
        f"report.exit_{code}" for code in (0, 3, 5)
    }
    needed |= {each for each in report if text.exists(each)}
    evidence = {f"evidence.{each}{end}" for each in _constants("evidence/") for end in ("", "_broken")}
    needed |= {each for each in evidence if text.exists(each)}
    parts = {f"{each}.{part}" for each in needed for part in ("remedy", "one", "none")}
    return needed | {each for each in parts if text.exists(each)}


def test_every_id_that_code_asks_for_is_there() -> None:
    """
    No sentence is missing when it is needed.
    """
    asked = {_message(call) for call in _calls("say", "_say", "exists")} - {None}

    assert set() == {str(each) for each in asked} - text.ids()
    assert set() == _needed() - text.ids()


def test_no_id_is_there_for_nothing() -> None:
    """
    What nothing shows is taken out, before somebody translates it.
    """
    assert set() == text.ids() - _needed()


def test_every_case_of_a_check_is_named_by_its_code() -> None:
    """
    `test_checks` makes each of them; here none is left over.
    """
    cases = {case for check in CATALOGUE for case in _cases(check.id)}

    assert set() == cases - _constants("checks/")


@pytest.mark.parametrize("call", _calls(*ERRORS, "kind"), ids=lambda call: f"{_message(call)}-{call.lineno}")
def test_an_error_is_raised_with_the_facts_of_its_sentence(call: ast.Call) -> None:
    """
    What the sentence and its remedy name, whoever raises it gives.
    """
    message, given = _message(call), _keywords(call)
    if message is None or given is None:
        return
    wanted = _holes(f"error.{message}")
    if text.exists(f"error.{message}.remedy"):
        wanted |= _holes(f"error.{message}.remedy")

    assert set() == wanted - given - ALWAYS
    # A fact that no sentence names is dead weight; `name` says which parameter it is about.
    assert set() == given - wanted - ALWAYS - {"problems", "name"}


@pytest.mark.parametrize("call", _refusals(), ids=lambda call: f"{_message(call)}-{call.lineno}")
def test_a_refusal_of_the_sandbox_has_the_facts_of_its_sentence(call: ast.Call) -> None:
    """
    All of them and no others; where it lies is said before it.
    """
    assert _holes(f"sandbox.{_message(call)}") == (_keywords(call) or set()) - {"place"}


@pytest.mark.parametrize("call", _calls("say", "_say"), ids=lambda call: f"{_message(call)}-{call.lineno}")
def test_a_sentence_is_said_with_its_facts(call: ast.Call) -> None:
    """
    A call that names its sentence gives all facts of it, and no others.
    """
    message, given = _message(call), _keywords(call)
    if message is not None and given is not None:
        assert _holes(message) == given


@every_language
def test_every_template_names_its_facts_plainly(language: str) -> None:
    """
    No positions, attributes, indexes or formats: a fact's name in braces is all a translator has to keep.
    """
    parts = {
        (message, name, spec or "", conversion)
        for message, template in templates(language).items()
        for _, name, spec, conversion in string.Formatter().parse(template)
        if name is not None
    }

    assert set() == {part for part in parts if not part[1].isidentifier() or part[2] or part[3]}


@every_language
def test_no_text_is_blank_or_ends_in_white_space(language: str) -> None:
    """
    Sentences are put together with one space.
    """
    assert {} == {message: said for message, said in templates(language).items() if not said or said.rstrip() != said}


@pytest.mark.parametrize("hostile", ["{0}", "{vault}", "{", "}}", "{{", "{mark.__class__}", "%(mark)s", "$mark"])
def test_a_fact_is_never_read_as_a_template(hostile: str) -> None:
    """
    Braces in a name from Azure are shown as they are.
    """
    assert f"target: {hostile}" == text.say("mark.target", mark=hostile)


def test_one_of_a_thing_has_a_form_of_its_own() -> None:
    """
    By fact `count`; a sentence without such a form is said as it is.
    """
    assert "Readiness of the selected VM" == text.say("caption.readiness", count=1)
    assert "Readiness of 2 selected VMs" == text.say("caption.readiness", count=2)
    assert "1 VMs" == text.say("say.many_vms", count=1)


@every_language
@pytest.mark.parametrize("message", ["drift", "plan_moved"])
def test_no_more_differences_are_not_counted(message: str, language: str) -> None:
    """
    A sentence may have a form for none, by the same fact.
    """
    facts = {"field": "f", "resource": "r", "found": 2, "expected": 1, "differences": "d"}
    none, one, two = (text.say(f"error.{message}", language, count=count, **facts) for count in (0, 1, 2))

    assert "0" not in none
    assert none.rstrip(".") in one
    assert "2 " in two.removeprefix(none.rstrip("."))


def test_a_missing_sentence_or_fact_is_a_defect_and_no_blank() -> None:
    """
    Nothing is shown rather than half of something.
    """
    with pytest.raises(KeyError):
        text.say("say.nonsense")
    with pytest.raises(KeyError):
        text.say("mark.target")


def test_the_indentation_of_a_text_is_kept() -> None:
    """
    Progress lines of changes stand under that of their step.
    """
    assert "  done: x" == text.say("say.progress_change", outcome="done", what="x")


@every_language
def test_every_language_has_every_id(language: str) -> None:
    """
    A translation is whole, in the order of the original, so that the two can be read side by side.
    """
    assert list(templates()) == list(templates(language))
    assert all(text.exists(each, language) for each in text.ids())
    assert not text.exists("say.nonsense", language)


@every_language
def test_every_language_names_the_facts_of_the_original(language: str) -> None:
    """
    No fact is lost on the way into another language, and none is asked for that nobody gives.
    """
    assert {} == {
        message: _holes(message, language) ^ _holes(message)
        for message in templates()
        if _holes(message, language) != _holes(message)
    }


@every_translation
def test_words_that_are_the_same_everywhere_are_not_translated(language: str) -> None:
    """
    Verdicts and states in capitals, ARM's own terms, parameters, commands and files stand in the translation of each
    sentence that has them.
    """
    names = {each for each in NAMES if "_" in each}
    choices = {choice for row in schema() for choice in row.choices}
    values = {choice for choice in choices if re.search("[a-z][A-Z]|Enhanced|Standard", choice)}
    named = "|".join(names | values)
    word = re.compile(rf"\b[A-Z]{{5,}}\b|`[^`]+`|[\w/-]+\.(?:json|csv)\b|--[a-z]+|\b(?:{named})\b")

    def found(message: str, spoken: str) -> set[str]:
        # What stands in braces is checked as a fact.
        return set(word.findall(re.sub(r"\{\w+\}", "", templates(spoken)[message])))

    assert {} == {
        message: found(message, text.DEFAULT_LANGUAGE) ^ found(message, language)
        for message in templates()
        if found(message, text.DEFAULT_LANGUAGE) != found(message, language)
    }


@every_translation
def test_a_translation_is_one(language: str) -> None:
    """
    A sentence that is the same in both languages was forgotten; words, names and what is put together may be.
    """
    same = {message for message, said in templates().items() if said == templates(language)[message]}

    assert set() == {each for each in same if len(re.sub(r"\{\w+\}", "", templates()[each]).split()) > 4}


def test_a_fact_that_is_a_word_of_ours_is_said_in_the_language() -> None:
    """
    Facts are kept in the evidence as they are; under another name the same letters are Azure's, and stay.
    """
    assert "está unmanaged" not in text.say("check.data-disks.within", "es", count=2, kind="unmanaged", limit=16)
    assert "2 discos de datos (no administrados)" in text.say(
        "check.data-disks.within", "es", count=2, kind="unmanaged", limit=16
    )
    assert "almacén none" in text.say("check.vault-in-region.unread", "es", vault="none")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "\\u001b[2J"),
        ("a\nb\rc\td", "a\\u000ab\\u000dc\\u0009d"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\x00", "\\u0000"),
        ("\x9b31m", "\\u009b31m"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\u0085d"),
        ("\ufeff\u200b", "\\ufeff\\u200b"),
        ("\ud800", "\\ud800"),
        ("Ñandú 日本 עברית", "Ñandú 日本 עברית"),
        (5, "5"),
        (None, "None"),
    ],
)
def test_plain_text_shows_what_commands_and_keeps_what_reads(hostile: object, shown: str) -> None:
    """
    A terminal gets no control, no line break and no override from a value; letters of all scripts stay.
    """
    assert shown == text.plain(hostile)
