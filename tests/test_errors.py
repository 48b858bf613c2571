"""
Errors say what is wrong and what to do about it, and survive the way between processes.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from support import templates

import runbook_lib
from runbook_lib import errors, text
from runbook_lib.errors import (
    BrokenEvidence,
    Drift,
    InvalidParameters,
    PlanRefused,
    ReadFailed,
    ReadOnlyViolation,
    RunbookError,
    SignInError,
    WriteFailed,
)

_ALL = (
    BrokenEvidence,
    Drift,
    InvalidParameters,
    PlanRefused,
    ReadFailed,
    ReadOnlyViolation,
    RunbookError,
    SignInError,
    WriteFailed,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RunbookError, 1),
        (InvalidParameters, 2),
        (SignInError, 1),
        (ReadOnlyViolation, 1),
        (WriteFailed, 5),
        (Drift, 4),
        (PlanRefused, 4),
        (BrokenEvidence, 1),
    ],
)
def test_each_error_has_the_exit_code_of_the_design(kind: type[RunbookError], code: int) -> None:
    """
    A pipeline tells errors apart by the exit code.
    """
    assert code == kind.exit_code


def test_the_tree_in_the_docstring_is_the_tree_of_the_module() -> None:
    """
    Every error is drawn with the exit code that it has, and nothing else is.
    """
    drawn = dict(re.findall(r"(\w+) +exit (\d)", errors.__doc__ or ""))

    assert {kind.__name__: str(kind.exit_code) for kind in _ALL} == drawn
    assert sorted(drawn) == [each for each in errors.__all__ if each[0].isupper()]


def test_an_error_says_what_is_wrong_then_the_remedy() -> None:
    """
    Both sentences name the facts that the error carries.
    """
    error = InvalidParameters("out_of_range", name="proxy_port", value=0, low=1, high=65535)

    assert "Parameter 'proxy_port' is 0, but must be from 1 to 65535. Give a value in that range." == str(error)


def test_an_error_speaks_the_language_of_the_run() -> None:
    """
    Whoever serves a run says which: a kernel's errors and those at a command's end are then in its language.
    """
    error = InvalidParameters(problems=(InvalidParameters("out_of_range", name="proxy_port", value=0, low=1, high=9),))
    errors.speak("es")
    try:
        spoken = str(error)
    finally:
        errors.speak(text.DEFAULT_LANGUAGE)

    assert "El parámetro 'proxy_port' es 0, pero debe estar entre 1 y 9. Indique un valor de ese intervalo." == spoken
    assert str(error).startswith("Parameter 'proxy_port' is 0")
    assert "El parámetro" in error.describe("es")


@pytest.mark.parametrize("odd", ["", "EN", "xx", None, 5, ["es"], {"es": 1}])
def test_what_is_no_language_leaves_english(odd: object) -> None:
    """
    The error that says so must be readable.
    """
    errors.speak(odd)

    assert "Some parameters are wrong; nothing was sent." == str(InvalidParameters())


def test_an_error_without_a_remedy_says_what_is_wrong() -> None:
    """
    Where nothing can be advised, nothing is.
    """
    assert "/x/a.json cannot be read: not JSON" == str(
        BrokenEvidence("evidence_unreadable", resource="/x/a.json", problem="not JSON")
    )


def test_the_resource_is_a_fact_of_the_sentence() -> None:
    """
    A sentence may name the resource and the section that the error carries as fields.
    """
    error = PlanRefused("unread", resource="/subscriptions/a", section="vault")

    assert "/subscriptions/a" in str(error)
    assert "vault" == error.section


def test_invalid_parameters_say_every_problem_on_a_line_of_its_own() -> None:
    """
    Whoever mends parameters sees all that is wrong at once.
    """
    error = InvalidParameters(
        problems=(
            InvalidParameters("proxy_host_missing", name="proxy_host"),
            InvalidParameters("vm_selector", name="vm_selector", value="?"),
        )
    )
    lines = str(error).splitlines()

    assert 2 == len(lines)
    assert "proxy_host" in lines[0]
    assert "'?' is not a selector" in lines[1]


def test_invalid_parameters_without_problems_say_that_nothing_was_sent() -> None:
    """
    The error has a sentence of its own.
    """
    assert "Some parameters are wrong; nothing was sent." == str(InvalidParameters())


@pytest.mark.parametrize("kind", _ALL)
def test_an_error_crosses_processes_with_all_its_fields(kind: type[RunbookError]) -> None:
    """
    A kernel and the runner pickle errors: kind, sentence, resource, section and facts arrive.
    """
    sent = kind("vault_name", resource="/subscriptions/a", section="vault", name="vault_name", value="{0}")
    got = pickle.loads(pickle.dumps(sent))

    assert kind is type(got)
    assert (sent.message, sent.resource, sent.section, sent.facts) == (
        got.message,
        got.resource,
        got.section,
        got.facts,
    )
    assert str(sent) == str(got)


def test_invalid_parameters_cross_processes_with_their_problems() -> None:
    """
    Each problem arrives as the error that it was.
    """
    sent = InvalidParameters(problems=(InvalidParameters("vm_selector", name="vm_selector", value="?"),))
    got = pickle.loads(pickle.dumps(sent))

    assert ["vm_selector"] == [problem.message for problem in got.problems]
    assert str(sent) == str(got)


@pytest.mark.parametrize("hostile", ["{0}", "{name.__class__}", "{", "}", "{{", "{problem}", "%s", "\\N{BULLET}"])
def test_braces_in_a_fact_are_text(hostile: str) -> None:
    """
    Names and messages from Azure are never read as a template.
    """
    assert f"/x cannot be read: {hostile}" == str(BrokenEvidence("evidence_unreadable", resource="/x", problem=hostile))


def test_a_fact_cannot_command_a_terminal_or_forge_a_line() -> None:
    """
    An error is one line of text, whatever a message of Azure or of a parser holds; in a notebook as well.
    """
    error = BrokenEvidence("evidence_unreadable", resource="/x", problem="a\n  b\t\x1b[2J\u202ec\x00\ud800")

    assert "/x cannot be read: a b \\u001b[2J\\u202ec\\u0000\\ud800" == str(error)
    assert [f"BrokenEvidence: {error}"] == error._render_traceback_()


def test_a_fact_that_the_sentence_needs_is_never_left_out_silently() -> None:
    """
    An error raised without a fact of its sentence is a defect, and is seen as one.
    """
    with pytest.raises(KeyError, match="value"):
        InvalidParameters("vault_name", name="vault_name").describe()


def test_every_error_raised_by_the_package_is_one_of_the_tree() -> None:
    """
    `raise` with the name of an error takes an id that has a sentence.
    """
    raised = set()
    for source in Path(runbook_lib.__file__).parent.rglob("*.py"):
        if "sandbox" not in source.parts:
            names = "|".join(kind.__name__ for kind in _ALL)
            raised |= set(re.findall(rf"\b(?:{names})\(\s*\"(\w+)\"", source.read_text(encoding="utf-8")))

    assert set() == {each for each in raised if not text.exists(f"error.{each}")}
    assert "vault_region" in raised


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_no_command_that_is_named_deletes_other_credentials(language: str) -> None:
    """
    Making a secret deletes all others of an application, unless it is told not to; docs included.
    """
    page = Path(runbook_lib.__file__).parents[1] / "docs" / "azure.md"
    said = [*templates(language).values(), page.read_text(encoding="utf-8")]
    commands = re.findall(r"credential reset[^`]*", " ".join(said))

    assert len(commands) == 4
    assert {'credential reset --id "$AZURE_CLIENT_ID" --append'} == set(commands)
