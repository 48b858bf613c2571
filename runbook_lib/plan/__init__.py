"""
From what is wanted and what is there to ordered changes, and from changes to the world they lead to.

Pure: no I/O, no clock. `build` makes the plan, `effects` projects it, `diff` shows what it alters, `drift` compares
worlds. Imports `checks`, `errors`, `parameters`, `placement`, `policy`, `records` and `selection`.
"""

from runbook_lib.plan.build import build, going_on
from runbook_lib.plan.diff import diff
from runbook_lib.plan.drift import Difference, compare, moved, plan_digest, world_moved
from runbook_lib.plan.effects import EFFECTS, ENABLING, is_done, is_gone, project
from runbook_lib.plan.options import rules_by_option
from runbook_lib.plan.protection import POINTS, changing
from runbook_lib.plan.ranges import Ranges, ranges

__all__ = [
    "EFFECTS",
    "ENABLING",
    "POINTS",
    "Difference",
    "Ranges",
    "build",
    "changing",
    "compare",
    "diff",
    "going_on",
    "is_done",
    "is_gone",
    "moved",
    "plan_digest",
    "project",
    "ranges",
    "rules_by_option",
    "world_moved",
]
