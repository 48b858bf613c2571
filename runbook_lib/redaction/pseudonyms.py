"""
Pseudonyms for names and ids: the same for the same name, whatever its case, as long as the salt is the same.

A pseudonym is an HMAC of the name: whoever lacks the salt cannot find out by guessing. Imports the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["Pseudonyms", "names_in"]

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = re.compile(rf"(?<![\w.]){_BYTE}(?:\.{_BYTE}){{3}}(?![\d]|\.\d)")
_IPV6 = re.compile(r"(?<![\w.:])(?=[0-9a-f]*:[0-9a-f]*:)[0-9a-f:]{3,39}(?:\.\d+){0,3}(?!\w)", re.IGNORECASE)
# Addresses that mean the same everywhere: any, this machine, and Azure's own for its VMs.
_EVERYWHERE = frozenset({"0.0.0.0", "127.0.0.1", "168.63.129.16", "169.254.169.254", "::1"})
# What this module makes of names.
_MADE = re.compile(r"(?:n-[0-9a-f]{12}|ip-[0-9a-f]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
# What a name that stands in a sentence is made of; longer names begin with one of these.
_WORD = re.compile(r"[^\s\"'(),;:=/<>\[\]{}|?&]+")
# Names that Azure gives, the same for everybody.
_PUBLIC = frozenset(
    {
        *("azure", "defaultpolicy", "enhancedpolicy", "hourlylogbackup", "iaasvmcontainer", "iaasvmcontainerv2"),
        *("microsoft.recoveryservices", "vaultconfig", "vaultstorageconfig", "vm", "vmsnapshot", "vmsnapshotlinux"),
    }
)
# What follows these in an id is no name of anybody's.
_NOT_NAMED = frozenset({"locations", "providers"})
# Shorter names are replaced where they stand alone: inside sentences they are words as well.
_SHORTEST = 3


def names_in(value: Any) -> Iterator[str]:
    """
    List the names in a JSON document: those of resources, and those in the ids.
    """
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for name, here in value.items():
            yield from _names_of(name)
            yield from names_in(here)
    elif isinstance(value, list):
        for here in value:
            yield from names_in(here)
    elif isinstance(value, str):
        yield from _names_of(value)


def _names_of(value: str) -> Iterator[str]:
    if _is_id(value):
        for kind, segment in _segments(value):
            if kind:
                yield from segment.split(";")


def _is_id(value: str) -> bool:
    return value[:15].lower() == "/subscriptions/"


def _segments(arm_id: str) -> Iterator[tuple[str, str]]:
    """
    Take an ARM id apart: each segment, with the type that it is the name of, or none.
    """
    kind, provider = "", False
    for segment in arm_id.split("/"):
        if provider:
            # The namespace; types and names take turns after it.
            provider, named = False, ""
            yield "", segment
            kind = ""
            continue
        named = kind if kind.lower() not in _NOT_NAMED else ""
        yield named, segment
        if segment.lower() == "providers" and not named:
            provider, kind = True, ""
        else:
            kind = "" if kind else segment


class Pseudonyms:
    """
    Turns names and ids into pseudonyms, in ids and in sentences.
    """

    def __init__(self, salt: bytes, names: Iterable[str]) -> None:
        """
        Args:
            salt: the secret that the pseudonyms depend on.
            names: what has to be found in sentences.
        """
        self._salt = salt
        self._by_word: dict[str, list[str]] = {}
        for name in {each.lower() for each in names}:
            first = _WORD.search(name)
            if first is not None and first.start() == 0 and len(name) >= _SHORTEST and name not in _PUBLIC:
                self._by_word.setdefault(first[0].rstrip("."), []).append(name)
        for known in self._by_word.values():
            known.sort(key=len, reverse=True)

    def name(self, original: str) -> str:
        """
        Return the pseudonym of a name; Azure's own names, GUIDs and the parts of a backup item's keep their form.
        """
        if not original or original.lower() in _PUBLIC:
            return original
        if ";" in original:
            return ";".join(self.name(part) for part in original.split(";"))
        if _GUID.fullmatch(original):
            return self._guid(original)
        return f"n-{self._hash('name', original)[:12]}"

    def id(self, original: str) -> str:
        """
        Return an ARM id with the names in it replaced.
        """
        return "/".join(self.name(segment) if kind else segment for kind, segment in _segments(original))

    def url(self, original: str) -> str:
        """
        Return path and API version of a request; the rest of its query may hold anything.
        """
        path, _, query = original.partition("?")
        version = next((each for each in query.split("&") if each.startswith("api-version=")), "")
        shown = quote(self.text(unquote(path)), safe="/")
        return f"{shown}?{version}" if version else shown

    def text(self, original: str) -> str:
        """
        Return a sentence, or an id, with the names in it replaced.
        """
        if _is_id(original) and " " not in original:
            return self.id(original)
        said = _IPV6.sub(self._address, _IPV4.sub(self._address, original))
        said = _GUID.sub(lambda found: self._guid(found[0]), said)
        parts, end = [], 0
        for word in _WORD.finditer(said):
            if word.start() < end:
                continue
            for name in self._by_word.get(word[0].rstrip(".").lower(), ()):
                after = word.start() + len(name)
                if said[word.start() : after].lower() == name and not said[after : after + 1].isalnum():
                    parts += [said[end : word.start()], self.name(name)]
                    end = after
                    break
        return "".join([*parts, said[end:]])

    def words(self, original: str) -> str:
        """
        Return a list of names, or an id, of which not all are known: whatever is not Azure's own is replaced.
        """
        said = self.text(original)
        if _is_id(original) and " " not in original:
            return said
        return _WORD.sub(lambda word: word[0] if _MADE.fullmatch(word[0]) else self.name(word[0]), said)

    def value(self, original: Any) -> Any:
        """
        Return a JSON value with the names in its texts replaced.
        """
        if isinstance(original, str):
            return self.text(original)
        if isinstance(original, dict):
            return {self.text(name): self.value(here) for name, here in original.items()}
        return [self.value(here) for here in original] if isinstance(original, list) else original

    def digest(self, original: str) -> str:
        """
        Return what stands for a digest: of what has few possible values, it would tell which one it is.
        """
        return self._hash("digest", original) if original else ""

    def _address(self, found: re.Match[str]) -> str:
        """
        Return what stands for an address; times and their like are none.
        """
        try:
            shown = str(ip_address(found[0]))
        except ValueError:
            return found[0]
        return found[0] if shown in _EVERYWHERE else f"ip-{self._hash('ip', shown)[:8]}"

    def _guid(self, original: str) -> str:
        hashed = self._hash("guid", original)
        return "-".join((hashed[:8], hashed[8:12], hashed[12:16], hashed[16:20], hashed[20:32]))

    def _hash(self, kind: str, original: str) -> str:
        text = f"{kind}\n{original.lower()}".encode(errors="backslashreplace")
        return hmac.new(self._salt, text, hashlib.sha256).hexdigest()
