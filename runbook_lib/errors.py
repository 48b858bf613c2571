"""
The errors that users meet. Imports only `text`, for the sentences, and `secrets`.

    RunbookError                 exit 1
    ├── InvalidParameters        exit 2: nothing was sent
    ├── SignInError              exit 1: no usable credential, or the target refused it or did not answer
    ├── ReadOnlyViolation        exit 1: a write was attempted outside apply
    ├── ReadFailed               exit 5: a copy was not read to its end; it can go on where it stopped
    ├── WriteFailed              exit 5: a change did not complete; the run can go on where it stopped
    ├── Drift                    exit 4: the world moved under the plan
    ├── PlanRefused              exit 4: the plan cannot be applied as it stands
    └── BrokenEvidence           exit 1: a run folder or a file of it cannot be read

Each carries fields, not prose: the id of its sentence in `text`, the facts of it, the resource it is about and the
section of the guide that has the rule.
"""

from __future__ import annotations

from typing import Any, ClassVar

from runbook_lib import text
from runbook_lib.secrets import redacted

__all__ = [
    "BrokenEvidence",
    "Drift",
    "InvalidParameters",
    "PlanRefused",
    "ReadFailed",
    "ReadOnlyViolation",
    "RunbookError",
    "SignInError",
    "WriteFailed",
    "speak",
]


class RunbookError(Exception):
    """
    Something a user can understand and act on.

    Args:
        message: id of the sentence in `text`; its `remedy` entry, if there is one, follows it.
        resource: ARM id, file or field that it is about.
        section: section of the guide that the rule comes from.
        facts: what the sentence names.
    """

    exit_code: ClassVar[int] = 1
    language: ClassVar[str] = text.DEFAULT_LANGUAGE

    def __init__(self, message: str, /, *, resource: str = "", section: str = "", **facts: Any) -> None:
        self.message = message
        self.resource = resource
        self.section = section
        self.facts = facts
        super().__init__(message)

    def describe(self, language: str = "") -> str:
        """
        Say what is wrong and what to do about it, in *language*; without one in that of the run (see `speak`).
        """
        language = language or self.language
        # What was typed may be a password in the wrong place.
        facts = {
            name: redacted(value) if isinstance(value, str) else value
            for name, value in {"resource": self.resource, "section": self.section, **self.facts}.items()
        }
        said = text.say(f"error.{self.message}", language, **facts)
        remedy = f"error.{self.message}.remedy"
        if text.exists(remedy, language):
            said = f"{said} {text.say(remedy, language, **facts)}"
        # Facts come from Azure and from files: they are shown in one line, and no terminal obeys them.
        return text.plain(" ".join(said.split()))

    def __str__(self) -> str:
        return self.describe()

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: where the library raised it helps nobody, and names this machine's folders.
        return [f"{type(self).__name__}: {self.describe()}"]

    def __reduce__(self) -> tuple[Any, ...]:
        # A kernel and the runner pickle errors across processes; keyword-only fields need a hand.
        return (_rebuild, (type(self), self.message, self.resource, self.section, self.facts))


def _rebuild(
    kind: type[RunbookError], message: str, resource: str, section: str, facts: dict[str, Any]
) -> RunbookError:
    return kind(message, resource=resource, section=section, **facts)


def speak(language: object) -> None:
    """
    Let the errors of this process speak *language*: that of the run which it serves, a kernel or a command only one.

    What is no language leaves English: whether it may be asked for is for the parameters to say.
    """
    RunbookError.language = str(language) if language in text.LANGUAGES else text.DEFAULT_LANGUAGE


class InvalidParameters(RunbookError):
    """
    One or more parameters break a rule; nothing was sent.
    """

    exit_code = 2

    def __init__(self, message: str = "parameters", /, *, problems: tuple[RunbookError, ...] = (), **rest: Any) -> None:
        self.problems = problems
        super().__init__(message, **rest)

    def describe(self, language: str = "") -> str:
        """
        Say every problem, one to a line.
        """
        if not self.problems:
            return super().describe(language)
        return "\n".join(problem.describe(language) for problem in self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_invalid, (self.message, self.problems, self.resource, self.section, self.facts))


def _rebuild_invalid(
    message: str, problems: tuple[RunbookError, ...], resource: str, section: str, facts: dict[str, Any]
) -> InvalidParameters:
    return InvalidParameters(message, problems=problems, resource=resource, section=section, **facts)


class SignInError(RunbookError):
    """
    There is no usable credential, or the target refused it or did not answer.
    """


class ReadOnlyViolation(RunbookError):
    """
    A call that is not a known read was attempted while nothing may be written.
    """


class ReadFailed(RunbookError):
    """
    A copy of an estate was not read to its end; what was read is kept.
    """

    exit_code = 5


class WriteFailed(RunbookError):
    """
    A change did not complete; what is done stays done and the run can be resumed.
    """

    exit_code = 5


class Drift(RunbookError):
    """
    The world is neither what the plan was made on nor what the plan leads to.
    """

    exit_code = 4


class PlanRefused(RunbookError):
    """
    The plan cannot be applied as it stands: not approved, made for another target, or edited.
    """

    exit_code = 4


class BrokenEvidence(RunbookError):
    """
    A run folder, or a file of it, is missing or cannot be read as what it should be.
    """
