"""
From what is wanted and what is there to ordered changes, and from changes to the world they lead to.

Pure: no I/O, no clock. `build` makes the plan, `effects` projects it, `drift` compares worlds.
Imports `checks`, `errors`, `parameters`, `policy`, `records` and `selection`.
"""

from runbook_lib.plan.build import build, place_of
from runbook_lib.plan.drift import Difference, compare, moved, plan_digest
from runbook_lib.plan.effects import EFFECTS, is_done, project

__all__ = ["EFFECTS", "Difference", "build", "compare", "is_done", "moved", "place_of", "plan_digest", "project"]
