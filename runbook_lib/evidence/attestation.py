"""
The attestation: an in-toto Statement v1, with a test-result predicate, over every file of a run folder; in a DSSE
envelope.

Signed, it shows who sealed the folder; unsigned, only that nothing was changed since by whoever did not rebuild it.
Imports `documents`, `errors`, `journal` and `records`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import BrokenEvidence
from runbook_lib.evidence.documents import MALFORMED, check_file, read_json, write_json
from runbook_lib.evidence.outcome import OUTCOME, THERE
from runbook_lib.journal import FIRST
from runbook_lib.records import Verdict
from runbook_lib.text import say

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Key, Signer

__all__ = [
    "ATTESTATION",
    "JOURNAL",
    "Attestation",
    "attestation",
    "contents",
    "is_content",
    "seal",
    "sealed",
    "sha256",
    "summary",
]

ATTESTATION = "attestation.dsse.json"
JOURNAL = "journal.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
_CLAIMS = ("target", "complete", "supervised", "applied", "plan_digest", "changes")
# What only a redacted copy says.
_REDACTED = ("redacted_from",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """
    The attestation of a run folder, opened.

    Attributes:
        digest: its own sha256.
        subject: sha256 of each sealed file, by name.
        predicate: what it says of the run.
        target: mark of the target.
        complete: whether the run came to its end.
        original: digest of the attestation of the run that this folder is a redacted copy of; empty where it is none.
        keys: ids of the keys that it says to be signed with.
    """

    digest: str
    subject: dict[str, str]
    predicate: Mapping[str, Any]
    target: str
    complete: bool
    supervised: bool
    original: str
    keys: tuple[str, ...]
    envelope: Envelope

    def is_signed_by(self, key: Key) -> bool:
        """
        Tell whether a signature of *key* is on it.
        """
        from securesystemslib.exceptions import VerificationError

        try:
            self.envelope.verify([key], 1)
        except VerificationError:
            return False
        return True


def contents(folder: Path) -> dict[str, Path]:
    """
    Return everything in a run folder but its folders and its attestation, by relative name.
    """
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: path for name, path in found.items() if name != ATTESTATION and (path.is_symlink() or not path.is_dir())
    }


def is_content(path: Path) -> bool:
    """
    Tell whether a path is a file of its own: what a link or a pipe leads to is not in the folder.
    """
    return path.is_file() and not path.is_symlink()


def sha256(path: Path) -> str:
    """
    Return the sha256 of a file.
    """
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def seal(folder: Path, signer: Signer | None = None) -> str:
    """
    Write the attestation over every file of a run folder.

    Args:
        signer: what signs it; None for an unsigned one.

    Returns:
        The attestation's own sha256, to be kept elsewhere.
    """
    statement = {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": sha256(path)}}
            for name, path in contents(folder).items()
            if is_content(path)
        ],
        "predicateType": PREDICATE,
        "predicate": summary(folder, read_json(folder / OUTCOME)),
    }
    envelope = _envelope()(json.dumps(statement, sort_keys=True).encode(), PAYLOAD_TYPE, {})
    if signer is not None:
        envelope.sign(signer)
    write_json(folder / ATTESTATION, envelope.to_dict())
    return sha256(folder / ATTESTATION)


def sealed(path: str, digest: str, key: str, language: str) -> str:
    """
    Say that a run folder is sealed, and by which key, if by any.
    """
    if key:
        return say("evidence.sealed_signed", language, key=key[:16], path=path, digest=digest)
    return say("evidence.sealed_unsigned", language, path=path, digest=digest)


def attestation(folder: Path) -> Attestation:
    """
    Open the attestation of a run folder.

    Raises:
        BrokenEvidence: there is none, or it is none: the run is INCOMPLETE.
    """
    path = folder / ATTESTATION
    envelope = read_json(path)
    try:
        held = _envelope().from_dict(envelope)
        statement = json.loads(held.payload)
        kinds = (held.payload_type, statement["_type"], statement["predicateType"])
        if kinds != (PAYLOAD_TYPE, STATEMENT, PREDICATE):
            raise ValueError(f"not an attestation of a run: {kinds}")
        claims = statement["predicate"]["runbook"]
        return Attestation(
            digest=sha256(path),
            subject={str(each["name"]): each["digest"]["sha256"] for each in statement["subject"]},
            predicate=statement["predicate"],
            target=str(claims["target"]),
            complete=claims["complete"] is True,
            supervised=claims["supervised"] is True,
            original=str(claims.get("redacted_from", "")),
            keys=tuple(held.signatures),
            envelope=held,
        )
    except MALFORMED as error:
        raise BrokenEvidence("evidence_unreadable", resource=str(path), problem=repr(error)) from error


def _envelope() -> type[Envelope]:
    # Imported where it is used: its package brings the clients of every key service along, 0.2 s at each start.
    from securesystemslib.dsse import Envelope

    return Envelope


def summary(folder: Path, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """
    Sum a run up as in-toto's test-result predicate, with what is the runbook's own beside it.
    """
    by_verdict: dict[str, list[str]] = {}
    for each in outcome["verdicts"]:
        by_verdict.setdefault(each["verdict"], []).append(each["vm"])
    failed = by_verdict.get(Verdict.BLOCKED, [])
    warned = by_verdict.get(Verdict.UNDETERMINED, [])
    own = {name: outcome[name] for name in (*_CLAIMS, *(name for name in _REDACTED if name in outcome))}
    return {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [{"name": "parameters.json"}, {"name": "plan.json"}],
        "passedTests": sorted(vm for name in (*THERE, Verdict.READY) for vm in by_verdict.get(name, [])),
        "warnedTests": sorted(warned),
        "failedTests": sorted(failed),
        "runbook": own | {"journal": _end(folder / JOURNAL)},
    }


def _end(journal: Path) -> dict[str, Any]:
    """
    Say how many lines a journal has, and the sha256 of the last: whoever cuts it off has to forge the attestation too.
    """
    count, last = 0, b""
    check_file(journal)
    if journal.exists():
        with journal.open("rb") as lines:
            for line in lines:
                count, last = count + 1, line
    return {"lines": count, "last": hashlib.sha256(last.rstrip(b"\n")).hexdigest() if count else FIRST}
