"""
What opens something is taken out of texts before they are kept or shown. Imports the standard library only.

Texts from Azure may quote a signed URL, a key, a token or a connection string, and people put passwords into tags. Ids
and names are no secrets; `redaction` makes evidence without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["REDACTED", "public_members", "redacted"]

REDACTED = "REDACTED"
_KEYS = ("access", "account", "api", "function", "host", "master", "private", "shared", "storage", "subscription")
# Ends of names whose value opens something: `AccountKey`, `adminPassword`, `CLIENT_SECRET`, `x-api-key`.
_NAMES = (
    *("credential", "passphrase", "passwd", "password", "pwd", "secret", "sharedaccesssignature", "token"),
    *(rf"{kind}{between}key" for kind in _KEYS for between in ("", "-", "_", " ")),
    r"\bsas",
    r"\bsig",
)
# A `$skiptoken` only says where a list goes on.
_NAMED = re.compile(rf"(?<!skip)(?:{'|'.join(_NAMES)})$", re.IGNORECASE)


def _behind(end: str) -> str:
    """
    Make a pattern for what stands before a place: a name that ends in one of ours, then *end*.
    """
    # From the place backwards: asking at each character for all names takes a hundred times as long (measured).
    return f"(?<!skiptoken{end})(?:{'|'.join(f'(?<={name}{end})' for name in _NAMES)})"


_QUOTE = "[\"']:"
# One of these is in each of the names: most texts have none, and asking is cheap.
_SIGNS = ("credential", "key", "pass", "pwd", "sas", "secret", "sig", "token")
_BY_NAME = (
    # name=value
    ("=", re.compile(rf"={_behind('=')}[^\s\"'&;,\\<>]+", re.IGNORECASE), f"={REDACTED}"),
    # "name": "value"; the same where it is JSON inside JSON, and in that once more.
    *(
        (":", re.compile(rf":{_behind(escape + _QUOTE)}(\s*\\*[\"'])[^\"'\\]+", re.IGNORECASE), rf":\1{REDACTED}")
        for escape in ("", r"\\", r"\\\\\\")
    ),
)
# By what has to be in a text for the rule to find anything.
_BY_FORM = (
    ("bearer ", re.compile(r"\b(bearer\s+)[-\w.~+/]{6,}=*", re.IGNORECASE), rf"\1{REDACTED}"),
    ("basic ", re.compile(r"(authorization\W{1,4}basic\s+)[\w+/]{6,}=*", re.IGNORECASE), rf"\1{REDACTED}"),
    # A JSON Web Token.
    ("eyj", re.compile(r"eyJ[-\w]{6,}\.[-\w]{6,}(?:\.[-\w]*)?"), REDACTED),
    # The key of a storage account and its like: 64 bytes in base64.
    ("==", re.compile(r"(?<![\w+/])[\w+/]{86}==(?!=)", re.ASCII), REDACTED),
    # The secret of an application in Entra ID.
    ("q~", re.compile(r"(?<![-\w~.])[-\w~.]{3}[0-9]Q~[-\w~.]{31,34}", re.ASCII), REDACTED),
    ("://", re.compile(r"(://[^\s/:@\"'\\]+:)[^\s/@\"'\\]+@"), rf"\1{REDACTED}@"),
    (
        "private key-----",
        re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|(?=\\*\")|$)", re.DOTALL),
        rf"\1{REDACTED}\2",
    ),
)


def redacted(text: str) -> str:
    """
    Take out of *text* what opens something; whatever the service says goes through here before it is kept or shown.
    """
    lowered = text.lower()
    named = _BY_NAME if any(each in lowered for each in _SIGNS) else ()
    for sign, rule, instead in (*named, *_BY_FORM):
        if sign in lowered:
            text = rule.sub(instead, text)
    return text


def public_members(members: Mapping[str, str]) -> dict[str, str]:
    """
    Return *members*, such as tags, without the values that their names or they themselves show to be secret.
    """
    return {
        name: REDACTED if value and _NAMED.search(name.strip()) else redacted(value) for name, value in members.items()
    }
