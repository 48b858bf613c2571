"""
Evidence for whoever must not see names and ids: a second bundle, in which they are pseudonyms.

Needs the base dependencies only. `pseudonyms` makes the names, `bundle` says which files and which of their fields go
in: what is not named there stays out. Imports `evidence`, `journal`, `render` and what is above.
"""

from runbook_lib.redaction.bundle import redact
from runbook_lib.redaction.pseudonyms import Pseudonyms

__all__ = ["Pseudonyms", "redact"]
