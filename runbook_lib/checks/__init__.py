"""
The check catalogue: pure functions from an inventory to findings, and the ladder from findings to a verdict.

Pure: no I/O, no clock; the time is the inventory's own. Imports `policy`, `records` and `text`.
"""

from runbook_lib.checks.agent import BACKUP_EXTENSIONS
from runbook_lib.checks.catalogue import CATALOGUE, Check, judge
from runbook_lib.checks.selected import findings_on, verdicts_on
from runbook_lib.checks.verdicts import verdict, verdicts

__all__ = ["BACKUP_EXTENSIONS", "CATALOGUE", "Check", "findings_on", "judge", "verdict", "verdicts", "verdicts_on"]
