"""
The only package with widgets. Every widget has a static twin beside it, for whoever reads the saved notebook without a
kernel: it follows the clicks, so that an ordinary save keeps what was decided.

Widgets never block and never write: the next cell reads their values.
"""

from __future__ import annotations

from runbook_lib.ui.approval import Approval
from runbook_lib.ui.form import Form
from runbook_lib.ui.live import Live
from runbook_lib.ui.look import Look
from runbook_lib.ui.picker import Picker

__all__ = ["Approval", "Form", "Live", "Look", "Picker"]
