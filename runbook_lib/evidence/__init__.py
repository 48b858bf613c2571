"""
What a run leaves behind: its outcome, the attestation over its files, and their verification, offline.

Needs the base dependencies only. `documents` writes and reads JSON, `outcome` says how a run ended, `findings` keeps
what was found, `keys` are what is signed and checked with, `attestation` seals, `claims` works out what is claimed once
more, and `verification` says what a run folder is worth.
"""

from runbook_lib.evidence.attestation import ATTESTATION, seal, sealed
from runbook_lib.evidence.documents import read_json, write_json
from runbook_lib.evidence.findings import write_findings
from runbook_lib.evidence.keys import SIGN_KEY, public_key, signer
from runbook_lib.evidence.outcome import NOTEBOOKS, UNFINISHED, exit_code, last_words, unfinished
from runbook_lib.evidence.verification import Problem, Verification, verify

__all__ = [
    "ATTESTATION",
    "NOTEBOOKS",
    "SIGN_KEY",
    "UNFINISHED",
    "Problem",
    "Verification",
    "exit_code",
    "last_words",
    "public_key",
    "read_json",
    "seal",
    "sealed",
    "signer",
    "unfinished",
    "verify",
    "write_findings",
    "write_json",
]
