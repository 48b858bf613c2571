"""
The check catalogue: pure functions from an inventory to findings, and the ladder from findings to a verdict.

Pure: no I/O, no clock; the time is the inventory's own. Imports `parameters`, `placement`,
`policy`, `records`, `retention` and `selection`.
"""

from runbook_lib.checks.agent import BACKUP_EXTENSIONS
from runbook_lib.checks.assessment import Assessment, assess, goes_on, judge
from runbook_lib.checks.catalogue import CATALOGUE, Check
from runbook_lib.checks.vaults import policy_change
from runbook_lib.checks.verdicts import verdict, verdicts

__all__ = [
    "BACKUP_EXTENSIONS",
    "CATALOGUE",
    "Assessment",
    "Check",
    "assess",
    "goes_on",
    "judge",
    "policy_change",
    "verdict",
    "verdicts",
]
