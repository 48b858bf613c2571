"""
What a run folder's evidence is worth: *authentic*, *consistent* or *broken*. Nothing is executed.

Authentic: a signature by the key that was given, or the digest that was kept elsewhere, proves where it comes from.
Consistent: files and claims agree; whoever rebuilt all of it would look the same. Imports `attestation`, `claims`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import BrokenEvidence, InvalidParameters
from runbook_lib.evidence.attestation import (
    ATTESTATION,
    JOURNAL,
    Attestation,
    attestation,
    contents,
    is_content,
    sha256,
)
from runbook_lib.evidence.claims import Claim, claims_of
from runbook_lib.evidence.findings import FINDINGS
from runbook_lib.evidence.keys import public_key
from runbook_lib.evidence.outcome import OUTCOME
from runbook_lib.text import plain, say

if TYPE_CHECKING:
    from securesystemslib.signer import Key

__all__ = ["Problem", "Verification", "verify"]

# What a run that came to its end has; a redacted copy has no inventories.
_REQUIRED = ("parameters.json", "environment.json", "run.json", "plan.json", "journal.jsonl", "report.html")
_INVENTORIES = ("inventory-before.json", "inventory-after.json")
# What other files are called together, by the beginning or the end of their names.
_KINDS = {
    ".ipynb": "alone_notebooks",
    "report.html": "alone_report",
    "tables/": "alone_tables",
    "files/": "alone_scripts",
    "inventory-": "alone_inventories",
    "parameters.json": "alone_parameters",
    "environment.json": "alone_environment",
}
# What claims are worked out from.
_CLAIMED = frozenset({OUTCOME, FINDINGS, JOURNAL, "plan.json", "run.json"})
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One thing that does not agree: id of its sentence (`evidence.…`), the file, and what else the sentence names.
    """

    kind: str
    file: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """
    What a run folder's evidence is worth.

    Attributes:
        target: mark of the target, from the attestation.
        complete: whether the run came to its end.
        files: how many are as they were sealed.
        claims: what the run says of itself, each worked out once more; none where files are broken.
        alone: the files that no claim is worked out from, by kind or name: they are as they were sealed, no more.
        signed: ids of the keys that the attestation says to be signed with; only one that was given proves anything.
        proven: what proves where it comes from: `by_key`, `by_digest`.
        original: digest of the attestation of the run that this is a redacted copy of; empty where it is none.
        problems: what does not agree; none means that every file is as it was sealed.
    """

    target: str
    complete: bool
    supervised: bool
    digest: str
    files: int = 0
    claims: tuple[Claim, ...] = ()
    alone: tuple[str, ...] = ()
    signed: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    original: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def accepted(self) -> bool:
        """
        Whether the evidence is complete, and consistent or authentic.
        """
        return self.complete and not self.problems

    @property
    def worth(self) -> str:
        """
        The evidence in a word: `broken`, `authentic` or `consistent`.
        """
        if self.problems:
            return "broken"
        return "authentic" if self.proven else "consistent"

    def lines(self, language: str) -> list[str]:
        """
        Say the result, the target first.
        """
        said = [say("mark.target", language, mark=self.target)]
        if self.problems:
            said.append(say("evidence.broken", language, count=len(self.problems)))
            said += [say(f"evidence.{each.kind}", language, file=each.file, **each.facts) for each in self.problems]
        elif not self.complete:
            said.append(say("evidence.incomplete", language))
        elif self.proven:
            how = ", ".join(say(f"evidence.{each}", language) for each in self.proven)
            said.append(say("evidence.authentic", language, how=how))
        else:
            said.append(say("evidence.consistent_signed" if self.signed else "evidence.consistent", language))
        if not self.supervised:
            said.append(say("say.verify_unsupervised", language))
        if self.original:
            said.append(say("evidence.redacted", language, digest=self.original))
        said.append(say("evidence.files", language, count=self.files))
        said += [
            say(f"evidence.{each.name}", language, file=each.file, **each.facts) for each in self.claims if each.holds
        ]
        if self.alone:
            named = (say(f"evidence.{each}", language) if each in _KINDS.values() else each for each in self.alone)
            said.append(say("evidence.alone", language, files=", ".join(named)))
        # File names and the mark are as hostile as whoever handed the folder over.
        return [plain(each) for each in (*said, f"sha256:{self.digest}")]


def verify(
    folder: Path, *, key: Path | None = None, expected: str | None = None, signature: bool = False
) -> Verification:
    """
    Check a run folder against its attestation, and what it claims against its journal, plan and findings.

    Args:
        key: file of the public key that the attestation has to be signed by.
        expected: sha256 that the attestation has to have, as it was printed when the run was sealed; an empty one is
            none, so that a variable that is not set does not skip the check.
        signature: whether a signature by *key* is asked for; without a key there is nothing to check it by.

    Raises:
        BrokenEvidence: there is no such folder, no attestation, or it is none: the run is INCOMPLETE.
        InvalidParameters: the key or the digest is none.
    """
    if signature and key is None:
        raise InvalidParameters("verify_needs_key", name="--require-signature")
    wanted = _DIGEST.fullmatch(expected.strip()) if expected is not None else None
    if expected is not None and wanted is None:
        raise InvalidParameters("verify_digest", name="--expect-digest", value=expected)
    public = public_key(key) if key else None
    if not folder.is_dir():
        raise BrokenEvidence("no_folder", resource=str(folder))
    held = attestation(folder)
    proven, problems = _origin(held, public, wanted[1].lower() if wanted else "")
    there = contents(folder)
    changed = list(_file_problems(there, held.subject))
    lacking = list(_lacking_files(held, there))
    problems += [*changed, *lacking]
    claims = claims_of(folder, held.predicate) if not changed and not lacking else []
    problems += [
        Problem(kind=f"{each.name}_broken", file=each.file, facts=each.facts) for each in claims if not each.holds
    ]
    return Verification(
        target=held.target,
        complete=held.complete,
        supervised=held.supervised,
        digest=held.digest,
        files=len(there.keys() | held.subject.keys()) - len(changed),
        claims=tuple(claims),
        alone=tuple(dict.fromkeys(_kind(name) for name in sorted(there) if name not in _CLAIMED)) if claims else (),
        signed=held.keys,
        proven=tuple(proven),
        original=held.original,
        problems=tuple(problems),
    )


def _origin(held: Attestation, public: Key | None, wanted: str) -> tuple[list[str], list[Problem]]:
    """
    Say what proves where an attestation comes from, and what of it was asked for and is not so.
    """
    proven, problems = [], []
    if public is not None and held.is_signed_by(public):
        proven.append("by_key")
    elif public is not None:
        problems.append(Problem(kind="other_key" if held.keys else "unsigned", file=ATTESTATION))
    if wanted and wanted == held.digest:
        proven.append("by_digest")
    elif wanted:
        problems.append(
            Problem(kind="other_digest", file=ATTESTATION, facts={"found": held.digest, "expected": wanted})
        )
    return proven, problems


def _lacking_files(held: Attestation, there: Mapping[str, Path]) -> Iterable[Problem]:
    if held.complete:
        for name in _REQUIRED if held.original else (*_REQUIRED, *_INVENTORIES):
            if name not in there and name not in held.subject:
                yield Problem(kind="lacking_file", file=name)


def _kind(name: str) -> str:
    return next((kind for part, kind in _KINDS.items() if name.startswith(part) or name.endswith(part)), name)


def _file_problems(there: Mapping[str, Path], sealed: Mapping[str, str]) -> Iterable[Problem]:
    for name in sorted({*sealed, *there}):
        if name not in sealed:
            yield Problem(kind="added_file", file=name)
        elif name not in there:
            yield Problem(kind="missing_file", file=name)
        elif not is_content(there[name]) or sha256(there[name]) != sealed[name]:
            yield Problem(kind="changed_file", file=name)
