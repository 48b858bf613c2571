"""
Every sentence that code shows, by id and language. Imports nothing of the package.

A language is one TOML file beside this module; key `title` of table `[check.agent]` has the id `check.agent.title`.
Templates are `str.format` strings over the facts given; values stay plain text: whoever puts a sentence into HTML
escapes it there (see `render.escape`). A fact that is a word of ours and not Azure's, such as `unknown`, is said by its
entry of table `[word.FACT]`: facts are kept in the evidence, and are the same in every language.
"""

from __future__ import annotations

import json
import tomllib
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "exists", "ids", "inert", "plain", "say"]

DEFAULT_LANGUAGE = "en"
LANGUAGES = ("en", "es")
_FORMS: dict[Any, str] = {0: "none", 1: "one"}


@cache
def _catalogue(language: str) -> dict[str, str]:
    flat: dict[str, str] = {}

    def walk(prefix: str, node: dict[str, Any]) -> None:
        for name, value in node.items():
            here = f"{prefix}.{name}" if prefix else name
            if isinstance(value, dict):
                walk(here, value)
            else:
                flat[here] = value.strip("\n")

    walk("", tomllib.loads((files(__package__) / f"{language}.toml").read_text(encoding="utf-8")))
    return flat


def ids(language: str = DEFAULT_LANGUAGE) -> frozenset[str]:
    """
    List the ids that *language* has.
    """
    return frozenset(_catalogue(language))


def exists(message: str, language: str = DEFAULT_LANGUAGE) -> bool:
    """
    Tell whether *language* has the sentence *message*.
    """
    return message in _catalogue(language)


def say(message: str, language: str = DEFAULT_LANGUAGE, /, **facts: Any) -> str:
    """
    Render the sentence *message*; where it has a form for one or for none (`<message>.one`, `<message>.none`) and fact
    `count` is 1 or 0, that form.

    Raises:
        KeyError: the id, or a fact that the template names, is missing: a defect of the caller.
    """
    known = _catalogue(language)
    form = f"{message}.{_FORMS.get(facts.get('count'), '')}"
    template = known[form if form in known else message]
    words = _words(language)
    if not words.keys().isdisjoint(facts):
        facts |= {name: words[name].get(str(facts[name]), facts[name]) for name in words.keys() & facts.keys()}
    return template.format(**facts)


@cache
def _words(language: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for message, said in _catalogue(language).items():
        table, _, entry = message.partition(".")
        if table == "word":
            fact, _, word = entry.partition(".")
            found.setdefault(fact, {})[word] = said
    return found


def plain(value: object) -> str:
    """
    Make *value* safe for a terminal or a log: control and bidirectional-override characters are shown, not obeyed.

    A line break in a value would let it forge a line of its own, so it is shown too.
    """
    said = str(value)
    # Of all that is printable nothing commands, and nearly everything is.
    if said.isprintable():
        return said
    return "".join(f"\\u{ord(each):04x}" if _commands(each) else each for each in said)


def inert(written: str) -> str:
    """
    Make JSON safe for a terminal or a log: what commands stands in it as JSON's own escape, and reads back as it was.
    """
    if written.isprintable():
        return written
    return "".join(json.dumps(each)[1:-1] if _commands(each) and each != "\n" else each for each in written)


def _commands(character: str) -> bool:
    # Cc: controls (ANSI escapes, line breaks); Cf: formats, among them every bidirectional override and isolate;
    # Cs: half a surrogate pair, which JSON can carry and UTF-8 cannot.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
