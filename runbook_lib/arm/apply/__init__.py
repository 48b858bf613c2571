"""
The only writer: sends a step's changes, each once, with an intent on disk before it.

`steps` says what may be sent and in which order, `batch` sends it and follows it, `writers` has the calls, `operations`
what the service says of work that takes time, `readback` what became of a write that nobody answered.
"""

from runbook_lib.arm.apply.batch import Applied
from runbook_lib.arm.apply.steps import apply_step, check_plan

__all__ = ["Applied", "apply_step", "check_plan"]
