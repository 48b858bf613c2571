"""
What a run leaves behind: its outcome, the attestation over its files, and their verification, offline.

Needs the base dependencies only. Imports `checks`, `errors`, `records` and `text`.

The attestation is an in-toto Statement v1 with a test-result predicate in a DSSE envelope, here without a signature: it
shows that nothing was changed after sealing by whoever did not rebuild it, not who made it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import checks
from runbook_lib.errors import BrokenEvidence
from runbook_lib.records import Finding, Verdict, VmVerdict, decode, encode, key, opened
from runbook_lib.text import inert, plain, say

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = [
    "ATTESTATION",
    "UNFINISHED",
    "Problem",
    "Verification",
    "exit_code",
    "read_json",
    "seal",
    "unfinished",
    "verify",
    "write_findings",
    "write_json",
]

ATTESTATION = "attestation.dsse.json"
# How changes end that can still be made; those whose VM or NSG is gone cannot.
UNFINISHED = frozenset({"failed", "in_doubt", "pending"})
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
OUTCOME = "outcome.json"
FINDINGS = "findings.json"
# What reading a document that is not what it should be can end in.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class _Inert(json.JSONEncoder):
    """
    JSON that a terminal may show: letters stay as they are, what commands is escaped.
    """

    def encode(self, o: Any) -> str:
        return inert(super().encode(o))


_JSON = _Inert(ensure_ascii=False).encode
_THERE = (Verdict.ENABLED, Verdict.PROTECTED)
_NOT_THERE = (Verdict.BLOCKED, Verdict.UNDETERMINED)


def write_json(path: Path, value: Any, *, depth: int = 2) -> None:
    """
    Write *value* (records allowed) as JSON, whole or not at all.

    Args:
        depth: how many levels have a line for each of their elements; what is below stands in its element's line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        # Texts from Azure can hold half a surrogate pair: its escape is valid JSON, its bytes would be no UTF-8.
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            # Piece by piece: what is said of 50,000 VMs is never in memory as one text.
            file.writelines(_pieces(value, depth, "\n"))
            file.write("\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _pieces(value: Any, depth: int, line: str) -> Iterator[str]:
    taken = opened(value)
    if not depth or not taken or not isinstance(taken, dict | list | tuple):
        yield _JSON(encode(value))
        return
    below = f"{line} "
    if isinstance(taken, dict):
        between = "{"
        for name, here in taken.items():
            yield f"{between}{below}{_JSON(str(name))}: "
            yield from _pieces(here, depth - 1, below)
            between = ","
        yield f"{line}}}"
        return
    between = "["
    for here in taken:
        yield f"{between}{below}"
        yield from _pieces(here, depth - 1, below)
        between = ","
    yield f"{line}]"


def read_json(path: Path) -> Any:
    """
    Read a JSON file of a run folder.

    Raises:
        BrokenEvidence: it is missing, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BrokenEvidence("evidence_missing", resource=str(path.parent), file=path.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(path), problem=str(error)) from error


def unfinished(changes: Mapping[str, int]) -> int:
    """
    Count the changes that did not come to be, by how changes ended: a run that has some can be resumed.
    """
    return sum(changes.get(outcome, 0) for outcome in UNFINISHED)


def write_findings(folder: Path, target: str, before: Sequence[Finding], after: Sequence[Finding]) -> None:
    """
    Write what was found before and after, for each VM as the numbers of what is said of it: the same is said of many.
    """
    said: dict[str, int] = {}
    texts: dict[int, str] = {}

    def numbers(found: Sequence[Finding]) -> dict[str, list[int]]:
        by_vm: dict[str, list[int]] = {}
        for each in found:
            # Findings share their facts (see `checks.result`), so that these are written once.
            facts = texts.get(id(each.facts)) or texts.setdefault(id(each.facts), _JSON(each.facts))
            about = f"{each.check} {each.status} {each.guide} {each.case} {facts}"
            if (number := said.get(about)) is None:
                number = said[about] = len(kinds)
                kinds.append({name: value for name, value in opened(each).items() if name != "resource"})
            by_vm.setdefault(each.resource, []).append(number)
        return by_vm

    kinds: list[dict[str, Any]] = []
    document = {"target": target, "before": numbers(before), "after": numbers(after), "said": kinds}
    write_json(folder / FINDINGS, document)


def exit_code(verdicts: Iterable[VmVerdict], *, applied: bool, unfinished: int, lacking: bool) -> int:
    """
    Return the exit code of a run that ended: 0 all are there, 3 some are not, 5 changes failed and can be resumed.

    Args:
        lacking: whether there are VMs without a verdict: gone since the run began, or unread.
    """
    if unfinished:
        return 5
    own = [each.verdict for each in verdicts]
    short = any(each not in _THERE for each in own) if applied else any(each in _NOT_THERE for each in own)
    return 3 if short or lacking else 0


def _files(folder: Path) -> dict[str, Path]:
    """
    Return everything in a run folder but its folders and its attestation, by relative name.
    """
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: path for name, path in found.items() if name != ATTESTATION and (path.is_symlink() or not path.is_dir())
    }


def _is_content(path: Path) -> bool:
    # What a link or a pipe leads to is not in the folder, so it cannot be part of the evidence.
    return path.is_file() and not path.is_symlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def seal(folder: Path) -> str:
    """
    Write the attestation over every file of a run folder.

    Returns:
        The attestation's own sha256, to be kept elsewhere.
    """
    statement = {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": _sha256(path)}}
            for name, path in _files(folder).items()
            if _is_content(path)
        ],
        "predicateType": PREDICATE,
        "predicate": _predicate(read_json(folder / OUTCOME)),
    }
    envelope = _envelope()(json.dumps(statement, sort_keys=True).encode(), PAYLOAD_TYPE, {})
    write_json(folder / ATTESTATION, envelope.to_dict())
    return _sha256(folder / ATTESTATION)


def _envelope() -> type[Envelope]:
    # Imported where it is used: its package brings the clients of every key service along, 0.2 s at each start.
    from securesystemslib.dsse import Envelope

    return Envelope


def _predicate(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """
    Sum an outcome up as in-toto's test-result predicate, with what is the runbook's own beside it.
    """
    by_verdict: dict[str, list[str]] = {}
    for each in outcome["verdicts"]:
        by_verdict.setdefault(each["verdict"], []).append(each["vm"])
    failed = by_verdict.get(Verdict.BLOCKED, [])
    warned = by_verdict.get(Verdict.UNDETERMINED, [])
    return {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [{"name": "parameters.json"}, {"name": "plan.json"}],
        "passedTests": sorted(vm for name in (*_THERE, Verdict.READY) for vm in by_verdict.get(name, [])),
        "warnedTests": sorted(warned),
        "failedTests": sorted(failed),
        "runbook": {name: outcome[name] for name in ("target", "complete", "supervised", "applied", "plan_digest")},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One thing that does not agree: id of its sentence (`say.…`), and the file.
    """

    kind: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """
    What a run folder's evidence is worth.

    Attributes:
        target: mark of the target, from the attestation.
        complete: whether the run came to its end.
        problems: what does not agree; none means that every file is as it was sealed.
    """

    target: str
    complete: bool
    supervised: bool
    digest: str
    problems: tuple[Problem, ...] = ()

    @property
    def accepted(self) -> bool:
        """
        Whether the evidence is complete and consistent.
        """
        return self.complete and not self.problems

    def lines(self, language: str) -> list[str]:
        """
        Say the result, the target first.
        """
        said = [say("mark.target", language, mark=self.target)]
        if self.problems:
            said.append(say("say.verify_broken", language, count=len(self.problems)))
            said += [say(f"say.{each.kind}", language, file=each.file) for each in self.problems]
        elif not self.complete:
            said.append(say("say.verify_incomplete", language, why=say("say.not_complete", language)))
        else:
            said.append(say("say.verify_consistent", language))
        if not self.supervised:
            said.append(say("say.verify_unsupervised", language))
        # File names and the mark are as hostile as whoever handed the folder over.
        return [plain(each) for each in (*said, f"sha256:{self.digest}")]


def verify(folder: Path) -> Verification:
    """
    Check a run folder against its attestation, and its outcome against its findings; nothing is executed.

    Raises:
        BrokenEvidence: there is no such folder, no attestation, or it is none: the run is INCOMPLETE.
    """
    if not folder.is_dir():
        raise BrokenEvidence("no_folder", resource=str(folder))
    path = folder / ATTESTATION
    envelope = read_json(path)
    try:
        held = _envelope().from_dict(envelope)
        statement = json.loads(held.payload)
        kinds = (held.payload_type, statement["_type"], statement["predicateType"])
        if kinds != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
            raise ValueError(f"not an attestation of a run: {kinds}")
        sealed = {str(each["name"]): each["digest"]["sha256"] for each in statement["subject"]}
        predicate = statement["predicate"]
        claims = predicate["runbook"]
        target, complete, supervised = str(claims["target"]), claims["complete"], claims["supervised"]
    except _MALFORMED as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(path), problem=repr(error)) from error
    problems = [*_file_problems(folder, sealed)]
    problems += _claim_problems(folder, predicate) if not problems else []
    return Verification(
        target=target,
        complete=complete is True,
        supervised=supervised is True,
        digest=_sha256(path),
        problems=tuple(problems),
    )


def _file_problems(folder: Path, sealed: Mapping[str, str]) -> Iterable[Problem]:
    there = _files(folder)
    for name in sorted({*sealed, *there}):
        if name not in sealed:
            yield Problem(kind="added_file", file=name)
        elif name not in there:
            yield Problem(kind="missing_file", file=name)
        elif not _is_content(there[name]) or _sha256(there[name]) != sealed[name]:
            yield Problem(kind="changed_file", file=name)


def _claim_problems(folder: Path, attested: Mapping[str, Any]) -> list[Problem]:
    """
    Recompute the verdicts from the findings: what papermill's metadata says is never asked.
    """
    outcome, found = read_json(folder / OUTCOME), read_json(folder / FINDINGS)
    try:
        summed = _predicate(outcome)
        before, after = (_recomputed(found[moment], found["said"]) for moment in ("before", "after"))
        claimed = {key(each["vm"]): (each["verdict"], tuple(each.get("decisive", ()))) for each in outcome["verdicts"]}
        claimed_before = {key(each["vm"]): each["before"] for each in outcome["verdicts"]}
        counts = dict(outcome["counts"])
        same_target = found["target"] == outcome["target"]
    except _MALFORMED as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(folder), problem=repr(error)) from error
    problems = []
    if summed != attested:
        problems.append(Problem(kind="claim_attested", file=OUTCOME))
    if not same_target:
        problems.append(Problem(kind="claim_target", file=FINDINGS))
    agrees = (
        claimed == after
        and counts == Counter(verdict for verdict, _ in after.values())
        and claimed_before == {vm: before[vm][0] if vm in before else "" for vm in after}
    )
    return problems if agrees else [*problems, Problem(kind="claim_outcome", file=OUTCOME)]


def _recomputed(found: Mapping[str, Sequence[int]], said: Sequence[Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    kinds = {number: decode(Finding, {**each, "resource": ""}) for number, each in enumerate(said)}
    drawn = {key(vm): checks.verdict(kinds[number] for number in numbers) for vm, numbers in found.items()}
    return {vm: (verdict.value, decisive) for vm, (verdict, decisive) in drawn.items()}
