"""
What must hold in every cell: the rules of the matrix over what a job left in the sandbox, its log and its run folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from faults.bodies import SECRET
from faults.job import Ended, Watch
from support import QUESTIONS

from runbook_lib import evidence
from runbook_lib.records import key
from runbook_lib.selection import VMS

__all__ = ["effective", "honest", "leaks", "once", "silent", "whole"]

Log = list[dict[str, Any]]
_HOST = "management.azure.com"
# Looking for VMs once more adds nothing to what is there.
_REPEATABLE = "/refreshcontainers"
_THERE = ("ENABLED", "PROTECTED")


def effective(log: Log) -> list[str]:
    """
    List the changes that the service accepted, as `METHOD path`; those too whose answer a fault took away, or made an
    error of the gateway's.
    """
    return [
        f"{each['method']} {each['path'].lower()}"
        for each in log
        if each["writes"]
        and not each["path"].lower().endswith(QUESTIONS)
        and (each["status"] is None or each["status"] < 400 or (each["fault"] and each["status"] >= 500))
    ]


def once(log: Log, known: Iterable[str], *, void: bool, gone: str) -> Iterator[str]:
    """
    Find changes that were made twice, or that a run without faults does not make at all.

    Args:
        known: the changes of a run without faults.
        void: whether one change came to nothing, and was rightly made once more.
        gone: what was taken away, so that all of it was rightly made once more.
    """
    made = Counter(effective(log))
    # A vault whose update came to nothing has failed as a whole for the service, so that it is made anew too.
    spare = 2 if void else 0
    for change, count in made.items():
        if change.endswith(_REPEATABLE):
            continue
        again = gone and f"{change.split(' ', 1)[1]}/".startswith(f"{gone.lower()}/")
        if count > 1 and not again:
            if count == 2 and spare:
                spare -= 1
            else:
                yield f"twice: {count} times {change}"
    for change in sorted(set(made) - set(known)):
        if not gone:
            yield f"strange: {change}"


def silent(log: Log) -> Iterator[str]:
    """
    Find changes of a run that had nothing to do.
    """
    yield from (f"third: {each['method']} {each['path']}" for each in log if each["writes"])


def whole(ended: Ended, vms: set[str], gone: str) -> Iterator[str]:
    """
    Find what a run that had no faults lacks: it is done, sealed and verified, and each VM has its verdict.

    Args:
        gone: what was taken away: a VM that the run had selected by then is named, and keeps it from being whole.
    """
    missing = [(key(each["vm"]), each["case"]) for each in (ended.outcome or {}).get("missing", ())]
    wanted = (3, [(gone.lower(), "gone")]) if missing else (0, [])
    if wanted != (ended.code, missing):
        yield f"rerun: exit {ended.code} {ended.error or _counts(ended)}"
    if ended.code in (0, 3) and not evidence.verify(ended.folder).accepted:
        yield "rerun: its evidence is not accepted"
    found = Counter(key(each["vm"]) for each in (ended.outcome or {}).get("verdicts", ()))
    if found != Counter(vms):
        yield f"rerun: verdicts of {sorted(vm.rsplit('/', 1)[-1] for vm in found)}"


def honest(ended: Ended, watch: Watch, log: Log, vms: set[str], ends: frozenset[int]) -> Iterator[str]:
    """
    Find what a run with a fault says wrongly of itself.

    Args:
        ends: the exit codes that the fault allows.
    """
    outcome = ended.outcome
    if ended.code is None and ended.error:
        yield f"crash: {ended.error[:200]}"
    elif ended.code is not None and ended.code not in ends:
        yield f"exit: {ended.code}, not {sorted(ends)}: {ended.error[:200] or _counts(ended)}"
    if ended.code in (1, 2) and effective(log):
        yield f"exit: {ended.code}, and something was sent: {ended.error[:200]}"
    if ended.sealed and ended.code not in (0, 3):
        yield f"seal: sealed with exit {ended.code}"
    if ended.code == 0 and not ended.sealed:
        yield "seal: exit 0 without a seal"
    if outcome is not None and ended.code is not None:
        yield from _verdicts(ended, outcome, vms)
    if watch.hosts - {_HOST}:
        yield f"host: {sorted(watch.hosts)}"


def _verdicts(ended: Ended, outcome: dict[str, Any], vms: set[str]) -> Iterator[str]:
    found = Counter(key(each["vm"]) for each in outcome["verdicts"])
    if doubled := [vm for vm, count in found.items() if count > 1]:
        yield f"verdicts: more than one on {doubled}"
    if strange := set(found) - vms:
        yield f"verdicts: on {sorted(strange)}, which was not selected"
    unread = [key(each["scope"]) for each in outcome["unread"] if each["what"] == VMS]
    missing = {key(each["vm"]) for each in outcome["missing"]}
    lost = [vm for vm in vms - set(found) - missing if not any(vm.startswith(scope) for scope in unread)]
    if lost:
        yield f"verdicts: none on {sorted(lost)}, and nothing says what became of it"
    if both := missing & set(found):
        yield f"verdicts: on {sorted(both)}, which are said to be missing"
    short = lost or unread or missing or any(each["verdict"] not in _THERE for each in outcome["verdicts"])
    if ended.code == 0 and short:
        yield f"exit: 0, and not all are there: {_counts(ended)}"


def _counts(ended: Ended) -> str:
    outcome = ended.outcome
    if outcome is None:
        return "no outcome"
    failed = [
        (each["kind"], each["code"])
        for each in _journal(ended.folder)
        if each["entry"] == "result" and each["outcome"] not in ("done", "adopted")
    ]
    return f"{outcome['counts']} {outcome['changes']} {failed}"


def _journal(folder: Path) -> Iterator[dict[str, Any]]:
    from runbook_lib.journal import Journal

    yield from Journal(folder / "journal.jsonl").entries()


def leaks(home: Path, watch: Watch) -> Iterator[str]:
    """
    Find tokens in what runs left behind: the caller's own, and what the service repeated of it.
    """
    words = [each.encode() for each in {SECRET, *watch.tokens}]
    for path in sorted(home.rglob("*")):
        # The sandbox's own file holds the rules that have the words.
        if path.is_file() and ".sqlite" not in path.name and any(word in path.read_bytes() for word in words):
            yield f"token: in {path.relative_to(home)}"
