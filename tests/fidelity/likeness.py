"""
The gate "recordings": how far the sandbox's answers look like recorded ones, in bodies, headers and ids.

Imports `recordings` only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from fidelity.recordings import Exchange, Shape, by_answer, kind_of, shape, walk

__all__ = ["UNRECORDED_HEADERS", "Likeness"]

# Headers that the sandbox sends and no recording has.
UNRECORDED_HEADERS = {
    "allow": "No call with a wrong method was recorded.",
    "cache-control": "The recordings keep meaningful headers only.",
    "content-length": "The recordings keep meaningful headers only.",
    "expires": "The recordings keep meaningful headers only.",
    "pragma": "The recordings keep meaningful headers only.",
    "strict-transport-security": "The recordings keep meaningful headers only.",
    "www-authenticate": "No call without a token was recorded.",
    "x-content-type-options": "The recordings keep meaningful headers only.",
    "x-ms-client-request-id": "No recorded client asked for it.",
}
# Bodies that the sandbox shows as an estate holds them: what they lack, the estate lacks.
_HELD = ("Microsoft.Compute", "Microsoft.Network")
_COUNTER = "x-ms-ratelimit-remaining-subscription-"
_POLLED = ("azure-asyncoperation", "location")
# Fewer recorders than these may all have changed a header in one way.
_RECORDERS = 3
# From this year on the recordings show today's service, if there are enough of them.
_RECENT, _ENOUGH = "2023", 3
# An enumeration is told at least so often, in at most so many words.
_OFTEN, _FEW = 10, 8
_WORD = re.compile(r"[A-Za-z*][A-Za-z./]*")
_CHOSEN = re.compile(r"(?:name|location|region|publisher|offer|id|timezone|/\*)$", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(Z|[+-]\d{2}:\d{2}|)")
# What stands at a place in a kind of body, or in a header of an operation: a text, or how an id is spelled.
_Text = tuple[str, str, str]


class Likeness:
    """
    What recordings show, to hold traffic of the sandbox against.
    """

    def __init__(self, recorded: Iterable[Exchange]) -> None:
        recorded = list(recorded)
        self._shapes = _shapes(recorded)
        self._answers = by_answer(recorded)
        texts = _texts(recorded)
        self._words = {place: words for place, words in texts.items() if _are_closed(place[1], words)}
        zones = {place: {_zone(text) for text in found} for place, found in texts.items()}
        self._zones = {place: found for place, found in zones.items() if None not in found}
        self._operations = {operation for operation, _ in self._answers}
        self._headers: dict[str, set[str]] = {}
        self._spellings: dict[tuple[str, str], set[str]] = {}
        recorders: dict[str, set[str]] = {}
        for one in recorded:
            names = _names(one)
            self._headers.setdefault(_provider(one), set()).update(names)
            recorder = one["source"].partition(":")[0]
            recorders[recorder] = recorders.get(recorder, names) & names
            for kind, place, spelling in _spellings(one):
                self._spellings.setdefault((kind, place), set()).add(spelling)
        # The front door counts for all providers.
        self._counters = {name for names in self._headers.values() for name in names if name.startswith(_COUNTER)}
        kept = [name for names in recorders.values() for name in names]
        self._kept = {name for name in kept if kept.count(name) >= _RECORDERS}

    def invented(self, traffic: Iterable[Exchange]) -> dict[str, Shape]:
        """
        Return what bodies of a kind show in *traffic* and no recorded body of that kind does.
        """
        return {kind: shown - self._shapes[kind] for kind, shown in _shapes(traffic).items() if kind in self._shapes}

    def always(
        self, traffic: Iterable[Exchange], *, held: bool = False
    ) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """
        Return each place, by operation, that all its recorded successes show, and those that *traffic* never shows.

        Args:
            held: whether bodies count that the sandbox shows as an estate holds them.
        """
        always, missing = set(), set()
        for (operation, status), answers in by_answer(traffic).items():
            theirs = [one for one in self._answers.get((operation, status), ()) if _has_rows(one["response"]["body"])]
            # What the service showed of old is of no account where there are newer answers.
            recent = [one for one in theirs if _year(one) >= _RECENT]
            theirs = recent if len(recent) >= _ENOUGH else theirs
            ours = [one for one in answers if _has_rows(one["response"]["body"])]
            passed_over = not held and any(provider in operation for provider in _HELD)
            if status >= 300 or passed_over or not theirs or not ours:
                continue
            places = frozenset.intersection(*map(_places, theirs))
            always |= {(operation, place) for place in places}
            missing |= {(operation, place) for place in places.difference(*map(_places, ours))}
        return frozenset(always), frozenset(missing)

    def wrongly_polled(self, traffic: Iterable[Exchange]) -> set[tuple[str, int, frozenset[str]]]:
        """
        Return the polling headers that accepted requests are answered with and none of their recordings has together.
        """
        found = set()
        for (operation, status), answers in by_answer(traffic).items():
            if status in (201, 202) and (operation, status) in self._answers:
                known, shown = map(_polling, self._answers[operation, status]), map(_polling, answers)
                found |= {(operation, status, headers) for headers in set(shown) - set(known)}
        return found

    def strange_headers(self, traffic: Iterable[Exchange]) -> set[tuple[str, int, str]]:
        """
        Return the headers that no recorded answer of the same provider has.
        """
        return {
            (one["operation"], one["response"]["status"], name)
            for one in traffic
            if one["operation"] in self._operations
            for name in _names(one) - self._headers[_provider(one)] - self._counters - set(UNRECORDED_HEADERS)
        }

    def lacking_headers(self, traffic: Iterable[Exchange]) -> set[tuple[str, int, str]]:
        """
        Return the headers that answers lack, though every answer has them whose headers the recorder kept.
        """
        return {
            (one["operation"], one["response"]["status"], name) for one in traffic for name in self._kept - _names(one)
        }

    def strange_spellings(self, traffic: Iterable[Exchange]) -> set[_Text]:
        """
        Return how ids are spelled, apart from names, where it is neither recorded at that place nor the request's way.
        """
        found = set()
        for one in traffic:
            asked = _spelled(urlsplit(one["request"]["uri"]).path)
            for kind, place, spelling in _spellings(one) if one["operation"] is not None else ():
                known = self._spellings.get((kind, place))
                if known and spelling not in known and not f"{asked}/".startswith(f"{spelling}/"):
                    found.add((kind, place, spelling))
        return found

    def strange_texts(self, traffic: Iterable[Exchange]) -> tuple[set[_Text], set[_Text]]:
        """
        Return the texts, by kind of body and place, that no recorded body has where all recorded ones are a few words;
        and those that are no moments, or name their zone otherwise, where all recorded ones are moments.
        """
        words, moments = set(), set()
        for (kind, place), texts in _texts(traffic).items():
            words |= {(kind, place, text) for text in texts.keys() - self._words.get((kind, place), texts).keys()}
            zones = self._zones.get((kind, place))
            moments |= {(kind, place, text) for text in texts if zones is not None and _zone(text) not in zones}
        return words, moments


def _texts(exchanges: Iterable[Exchange]) -> dict[tuple[str, str], Counter[str]]:
    """
    Count the texts at each place of each kind of body, those of errors apart.
    """
    found: dict[tuple[str, str], Counter[str]] = {}
    for (operation, status), answers in by_answer(exchanges).items():
        kind = kind_of(operation, status)
        for one in answers if status < 300 else ():
            for place, text in _strings(one["response"]["body"]):
                found.setdefault((kind, place.removeprefix("/value/*")), Counter())[text] += 1
    return found


def _are_closed(place: str, texts: Counter[str]) -> bool:
    """
    Tell whether the texts at a place are the words of an enumeration: often told, few, and nobody's own choice.
    """
    few = texts.total() >= _OFTEN and len(texts) <= _FEW
    return few and _CHOSEN.search(place) is None and all(map(_WORD.fullmatch, texts))


def _zone(text: str) -> str | None:
    found = _MOMENT.fullmatch(text)
    # Which of the numbers it is does not matter.
    return None if found is None else found[1] if found[1] in ("", "Z") else "+00:00"


def _shapes(exchanges: Iterable[Exchange]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for (operation, status), answers in by_answer(exchanges).items():
        kind = kind_of(operation, status)
        shapes[kind] = shapes.get(kind, frozenset()).union(*(shape(each["response"]["body"]) for each in answers))
    return {kind: found for kind, found in shapes.items() if found}


def _places(exchange: Exchange) -> frozenset[str]:
    return frozenset(path for path, _ in shape(exchange["response"]["body"]))


def _has_rows(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("value", body))


def _names(exchange: Exchange) -> set[str]:
    return {name.lower() for name in exchange["response"]["headers"]}


def _polling(exchange: Exchange) -> frozenset[str]:
    return frozenset(_names(exchange).intersection(_POLLED))


def _provider(exchange: Exchange) -> str:
    words = exchange["operation"].split("/")
    return next((word for word in words if word.startswith("Microsoft.")), "Microsoft.Resources")


def _spellings(exchange: Exchange) -> Iterator[_Text]:
    status = exchange["response"]["status"]
    kind = kind_of(exchange["operation"], status) if exchange["operation"] is not None else ""
    for place, text in _strings(exchange["response"]["body"]):
        if text.lower().startswith("/subscriptions/"):
            yield kind, place.removeprefix("/value/*"), _spelled(text)
    for name, url in exchange["response"]["headers"].items():
        if name.lower() in _POLLED:
            yield f"{exchange['operation']} {status}", name.lower(), _spelled(urlsplit(str(url)).path)


def _strings(body: Any) -> Iterator[tuple[str, str]]:
    return ((place, value) for place, value in walk(body) if isinstance(value, str))


def _year(exchange: Exchange) -> str:
    dates = [text for name, text in exchange["response"]["headers"].items() if name.lower() == "date"]
    return str(parsedate_to_datetime(dates[0]).year) if dates else ""


def _spelled(resource_id: str) -> str:
    """
    Return an id with `*` for all names in it; what stands before the last semicolons of a name is fixed.
    """
    parts = unquote(resource_id).strip("/").split("/")
    words = []
    for place, part in enumerate(parts):
        if place == 0:
            # Both ways of writing the first word are recorded in the same places.
            words.append(part.lower())
        elif place % 2 == 0 or parts[place - 1].lower() == "providers":
            words.append(part)
        else:
            words.append(";".join([*part.split(";")[:-2], "*"]))
    return "/" + "/".join(words)
