"""
Recorded calls in their order: asynchronous chains, the stories that cassettes tell of vaults, single calls of other
providers; and what came of playing them, which `player` does.

Imports `recordings` and `specs`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import groupby

from fidelity.recordings import Exchange
from fidelity.specs import HERE

__all__ = ["Deviation", "Known", "Played", "Sequence", "read_known", "read_sequences"]

# How many of an operation's newest calls are played that are no part of a story.
_SAMPLES = 3
_BACKUP = "/providers/Microsoft.RecoveryServices/"
_ASKED = ("location", "properties", "sku", "tags")
_CANCELLED = re.compile(r"(?P<vault>.*)/backupJobs/(?P<job>[^/]+)/cancel$", re.IGNORECASE)
_JSON = re.compile(r"\{.*\}", re.DOTALL)
_VAULT = "Microsoft.RecoveryServices/vaults"
_ITEM = f"{_VAULT}/backupFabrics/protectionContainers/protectedItems"
_DEFERRED = "2026-11-15T12:00:00.0000000Z"
# What Azure Backup protects beside virtual machines; the sandbox does not offer it.
_OTHER_WORKLOADS = re.compile(
    r"backupFabrics/(?!Azure/)|protectionContainers/(?!iaasvmcontainer;iaasvmcontainerv2)|protectedItems/(?!vm;)"
    r"|['\"](?:AzureSql|AzureStorage|AzureWorkload|DPM|MAB|Microsoft\.ClassicCompute/virtualMachines)['\"]",
    re.IGNORECASE,
)
_JSON = re.compile(r"\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """
    Recorded exchanges in their order.

    Args:
        whole: whether they are an asynchronous operation from its start to its end, of which nothing but repeated polls
            was left out; else they are a story with gaps.
    """

    name: str
    whole: bool
    calls: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Deviation:
    """
    What an answer of the sandbox has otherwise than the recorded one.

    Args:
        what: `status`, `code`, `headers`, or the member that tells a state.
    """

    operation: str
    what: str
    recorded: str
    ours: str
    source: str
    commit: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    A deviation that is there on purpose, and the recording that shows it best.

    Args:
        call: the place of the exchange in the recorded file.
    """

    operation: str
    what: str
    recorded: str
    ours: str
    why: str
    repository: str
    file: str
    commit: str
    call: int

    def covers(self, found: Deviation) -> bool:
        """
        Tell whether *found* is the deviation.
        """
        known = (self.operation, self.what, self.recorded, self.ours)
        return known == (found.operation, found.what, found.recorded, found.ours)

    def is_shown_by(self, found: Deviation) -> bool:
        """
        Tell whether *found* is the deviation at the call that this entry names.
        """
        named = (f"{self.repository}:{self.file}", self.commit, self.call)
        return self.covers(found) and named == (found.source, found.commit, found.seq)


@dataclass(slots=True)
class Played:
    """
    What came of the sequences that were played.

    Args:
        calls: how many calls were played, by operation.
        left_out: how many were not, by the reason.
        prepared: how many resources had to be put or taken away, because a call is missing.
    """

    deviations: list[Deviation] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    prepared: int = 0


@cache
def read_known() -> tuple[Known, ...]:
    """
    Read the deviations that are there on purpose.
    """
    entries = tomllib.loads((HERE / "sequences.toml").read_text(encoding="utf-8"))["deviation"]
    return tuple(Known(**entry) for entry in entries)


def read_sequences(recorded: Iterable[Exchange]) -> list[Sequence]:
    """
    Return the chains among *recorded* exchanges, the stories that they tell about vaults, and single calls of others:
    all that were refused, and the newest that were not.
    """
    exchanges = [_with_body(one) for one in recorded]
    chains = [list(group) for chain, group in groupby(exchanges, key=lambda one: one["chain"]) if chain is not None]
    found = [Sequence(name=_name(chain[0]), whole=True, calls=tuple(chain)) for chain in chains]
    stories: dict[str, dict[int, Exchange]] = {}
    others: dict[tuple[str, int], dict[tuple[str, str], Exchange]] = {}
    for one in exchanges:
        status = one["response"]["status"]
        # What other providers were asked is no story: its calls are too far apart.
        if _BACKUP in one["operation"]:
            stories.setdefault(_name(one), {}).setdefault(one["seq"], one)
        elif one["chain"] is None and status < 500 and status != 429:
            others.setdefault((one["operation"], status), {})[_date(one), f"{_name(one)}#{one['seq']}"] = one
    for (_, status), calls in others.items():
        newest = sorted(calls)[-_SAMPLES:] if status < 400 else sorted(calls)
        found += [Sequence(name=key[1], whole=False, calls=(calls[key],)) for key in newest]
    for name, told in sorted(stories.items()):
        if len(told) > 1 or any(400 <= one["response"]["status"] < 500 for one in told.values()):
            found.append(Sequence(name=name, whole=False, calls=tuple(told[seq] for seq in sorted(told))))
    return found


def _with_body(call: Exchange) -> Exchange:
    """
    Return a call with the JSON of its request, which some recorders kept as text of text of bytes, and some not at all:
    then the answer shows what was asked for.
    """
    body, shown = call["request"]["body"], call["response"]["body"]
    found = _JSON.search(body) if isinstance(body, str) else None
    if found is not None:
        body = json.loads(found[0])
    elif not body and call["request"]["method"] == "PUT" and isinstance(shown, dict) and "properties" in shown:
        body = {name: value for name, value in shown.items() if name in _ASKED}
    return {**call, "request": {**call["request"], "body": body}}


def _date(call: Exchange) -> str:
    dates = [text for name, text in call["response"]["headers"].items() if name.lower() == "date"]
    return parsedate_to_datetime(dates[0]).isoformat() if dates else ""


def _name(call: Exchange) -> str:
    return f"{call['source']}@{call['commit']}"
