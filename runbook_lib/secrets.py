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
# Ends of names whose value opens something: `sig`, `AccountKey`, `adminPassword`, `CLIENT_SECRET`, `x-api-key`.
# A `$skiptoken` only says where a list goes on.
_NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|(?<!skip)token|credential|(?:account|access|api|master|private|shared|"
    r"storage|subscription|function|host)[-_ ]?key|sharedaccesssignature|\bsas|\bsig)"
)
_NAMED = re.compile(_NAME + r"$", re.IGNORECASE)
_WORD = r"[^\s\"'&;,\\<>]+"
_RULES = (
    # name=value and "name": "value", also with the quotes escaped, as JSON inside JSON has them.
    (re.compile(rf"({_NAME}=){_WORD}", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(rf"({_NAME}\\*[\"']\s*:\s*\\*[\"'])[^\"'\\]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\b((?:bearer|authorization\W{1,4}basic)\s+)[-\w.~+/]{6,}=*", re.IGNORECASE), rf"\1{REDACTED}"),
    # A JSON Web Token.
    (re.compile(r"\beyJ[-\w]{6,}\.[-\w]{6,}(?:\.[-\w]*)?"), REDACTED),
    # The key of a storage account and its like: 64 bytes in base64.
    (re.compile(r"(?<![\w+/])[\w+/]{86}==(?!=)", re.ASCII), REDACTED),
    # The secret of an application in Entra ID.
    (re.compile(r"(?<![-\w~.])[-\w~.]{3}[0-9]Q~[-\w~.]{31,34}", re.ASCII), REDACTED),
    (re.compile(r"(://[^\s/:@\"'\\]+:)[^\s/@\"'\\]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|(?=\\*\")|$)", re.DOTALL), rf"\1{REDACTED}\2"),
)
# One of these stands in whatever a rule finds: most texts have none, and asking is cheap.
_SIGNS = ("=", ":", "bearer ", "eyj", "q~", "private key")


def redacted(text: str) -> str:
    """
    Take out of *text* what opens something; whatever the service says goes through here before it is kept or shown.
    """
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS):
        return text
    for rule, instead in _RULES:
        text = rule.sub(instead, text)
    return text


def public_members(members: Mapping[str, str]) -> dict[str, str]:
    """
    Return *members*, such as tags, without the values that their names or they themselves show to be secret.
    """
    return {
        name: REDACTED if value and _NAMED.search(name.strip()) else redacted(value) for name, value in members.items()
    }
