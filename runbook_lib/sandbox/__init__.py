"""
An embedded simulator of Azure Resource Manager, which the real Azure SDK clients talk to.

It imports nothing else of `runbook_lib`, and keeps rules of its own on purpose: it must be able to contradict the
library. Loading it loads neither `azure` nor a web server.
"""

from __future__ import annotations

from runbook_lib.sandbox.estate import Estate, SandboxError, read_estate, read_profile, write_estate
from runbook_lib.sandbox.faults import Fault
from runbook_lib.sandbox.tenant import Sandbox

__all__ = ["Estate", "Fault", "Sandbox", "SandboxError", "read_estate", "read_profile", "write_estate"]
