"""
Values in scripts: one escaping function per language, and the only place where a template meets a value.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from runbook_lib.errors import RunbookError

__all__ = ["LANGUAGES", "fill", "posix", "powershell"]

_HOLE = re.compile("%%([a-z_]+)%%")
# PowerShell takes the typographic single quotes for the plain one (about_Quoting_Rules; its own escaping doubles them).
_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")


def posix(value: object) -> str:
    """
    Write *value* as one word of a POSIX shell.
    """
    return shlex.quote(_checked(value))


def powershell(value: object) -> str:
    """
    Write *value* as a literal string of PowerShell.
    """
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, _checked(value)) + "'"


# By the ending of a file's name.
LANGUAGES: Mapping[str, Callable[[object], str]] = {"sh": posix, "ps1": powershell}


def fill(template: str, language: str, values: Mapping[str, object], blocks: Mapping[str, Iterable[str]]) -> str:
    """
    Put quoted values, and blocks of code, where a template has `%%name%%`.

    Args:
        blocks: lines of code whose own values are quoted already.

    Raises:
        KeyError: the template names what is not given: a defect of the caller.
        RunbookError: a value holds a control character.
    """
    quote = LANGUAGES[language]
    ready = {name: quote(value) for name, value in values.items()}
    ready |= {name: "\n".join(f"    {line}" for line in lines) for name, lines in blocks.items()}
    # In one pass, so that a value that looks like a hole stays what it is.
    return _HOLE.sub(lambda hole: ready[hole[1]], template)


def _checked(value: object) -> str:
    said = str(value)
    # A quoted line break is still a line break: nobody who reads the script would see where the value ends.
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in said):
        raise RunbookError("script_value", value=repr(said))
    return said
