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
_PASSWORDS = (
    *("passphrase", "passwd", "password", "pwd", "secret"),
    # In JSON, and in JSON inside it, the letter may be escaped.
    *("contraseña", "contrasena", r"contrase\\u00f1a", r"contrase\\\\u00f1a"),
)
_NAMES = (
    *("credential", "sharedaccesssignature", "token", *_PASSWORDS),
    *(rf"{kind}{between}key" for kind in _KEYS for between in ("", "-", "_", " ")),
    *(rf"\b{short}" for short in ("clave", "pass", "pw", "sas", "sig")),
    # In a URL inside a URL.
    *("26sig", "3fsig"),
)
# A tag's name says it wherever it stands in it. A `$skiptoken` only says where a list goes on.
_NAMED = re.compile(
    rf"(?<!skip)(?:{'|'.join(name for name in _NAMES if name[:2] != chr(92) + 'b')})"
    r"|(?<![^\W\d_])(?:clave|pass|pw|sas|sig)(?![^\W\d_])",
    re.IGNORECASE,
)
# Where a secret lies is no secret: `secretUrl` of an encrypted disk names its Key Vault.
_PLACE = re.compile(r"(?:uri|url|id)$", re.IGNORECASE)


def _behind(end: str, names: tuple[str, ...] = _NAMES) -> str:
    """
    Make a pattern for what stands behind one of our names: `password1` and `client-secret-value` too, then *end*.
    """
    # From the place backwards: asking at each character for all names takes a hundred times as long (measured).
    rest = rf"(?:[-_]?value|[-_]?\d{{1,3}})?{end}"
    return f"(?={rest})(?<!skiptoken)(?:{'|'.join(f'(?<={name})' for name in names)})({rest})"


# What is a value: without quotes up to what ends it, where a `&` that no other name follows is a part of it.
_BARE = r"(?:[^\s\"'&;,\\<>]|&(?!amp;|[-\w.%]{1,40}=))+"
# In quotes, which are not those that the text itself ends with.
_QUOTED = r"(\\*[\"'])(?!\s*[,}\]:])[^\"'\\]+(?=\\*[\"'])"
_EQUALS = r"(?:=|[ \t]{1,3}=[ \t]{0,3})"
_COLON = r"[ \t]{0,3}:[ \t]{1,3}"
_QUOTE = "\\\\{0,3}[\"'][ \\t]{0,3}:"
# One of these is in each of the names: most texts have none, and asking is cheap.
_SIGNS = ("clave", "contrase", "credential", "key", "pass", "pw", "sas", "secret", "sig", "token")
# Of the texts that have one, most name nothing: asking for all names at once, in small letters, is five times as fast.
_SAYS = re.compile(
    rf"(?:{'|'.join(_NAMES)})(?:[-_]?value|[-_]?\d{{1,3}})?(?:\\{{0,3}}[\"']?[ \t]{{0,3}}[=:>]|%(?:25)?3d|[ \t])"
)
_BY_NAME = (
    # name=value, name = value, name="a value"
    ("=", re.compile(_behind(_EQUALS) + _BARE, re.IGNORECASE), rf"\1{REDACTED}"),
    ("=", re.compile(_behind(_EQUALS) + _QUOTED, re.IGNORECASE), rf"\1\2{REDACTED}"),
    # The same where it is escaped in a URL.
    (
        "3d",
        re.compile(_behind("%(?:25)?3d") + r"(?:(?!%(?:25)?26)[^\s\"'&;,\\<>])+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # "name": "value"; the same where it is JSON inside JSON, and in that once more.
    (":", re.compile(_behind(_QUOTE) + r"(\s*\\*[\"'])[^\"'\\]+", re.IGNORECASE), rf"\1\2{REDACTED}"),
    # name: value
    (":", re.compile(_behind(_COLON, _PASSWORDS) + r"(?!{)" + _BARE, re.IGNORECASE), rf"\1{REDACTED}"),
    (":", re.compile(_behind(_COLON, _PASSWORDS) + _QUOTED, re.IGNORECASE), rf"\1\2{REDACTED}"),
    # --name value
    (
        "--",
        re.compile(
            rf"(--[-\w]{{0,40}}?(?:{'|'.join((*_PASSWORDS, 'token'))})[ \t]+)(\\*[\"']?)(?![-{{]){_BARE}", re.IGNORECASE
        ),
        rf"\1\2{REDACTED}",
    ),
    # <name>value</name>
    ("</", re.compile(_behind(">") + "[^<]+(?=</)", re.IGNORECASE), rf"\1{REDACTED}"),
)
# By what has to be in a text for the rule to find anything.
_BY_FORM = (
    ("bearer ", re.compile(r"\b(bearer\s+)[-\w.~+/]{6,}=*", re.IGNORECASE), rf"\1{REDACTED}"),
    ("basic ", re.compile(r"(authorization\W{1,4}basic\s+)[\w+/]{6,}=*", re.IGNORECASE), rf"\1{REDACTED}"),
    # A JSON Web Token.
    ("eyj", re.compile(r"eyJ[-\w]{6,}\.[-\w]{6,}(?:\.[-\w]*)?"), REDACTED),
    # A token of GitHub.
    ("gh", re.compile(r"(?<![^\W_])gh[oprsu]_[a-z0-9]{16,}", re.IGNORECASE), REDACTED),
    ("github_pat_", re.compile(r"github_pat_\w{16,}", re.IGNORECASE), REDACTED),
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
    named = _BY_NAME if any(each in lowered for each in _SIGNS) and _SAYS.search(lowered) else ()
    for sign, rule, instead in (*named, *_BY_FORM):
        if sign in lowered:
            text = rule.sub(instead, text)
    return text


def public_members(members: Mapping[str, str]) -> dict[str, str]:
    """
    Return *members*, such as tags, without the values that their names or they themselves show to be secret.
    """
    return {
        name: REDACTED if value and _is_secret(name.strip()) else redacted(value) for name, value in members.items()
    }


def _is_secret(name: str) -> bool:
    return bool(_NAMED.search(name)) and not _PLACE.search(name)
