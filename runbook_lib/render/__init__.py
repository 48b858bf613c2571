"""
What people see, as HTML, text and CSV: `sinks` escapes and lays out, `tables` says what each table holds. No widgets.
"""

from runbook_lib.render.sinks import Lines, Shown, Table, csv_cell, escape, plain
from runbook_lib.render.tables import (
    catalogue,
    comparison,
    differences,
    findings,
    machine,
    machines,
    network,
    notes,
    parameter_values,
    plan,
    policies,
    prerequisites,
    readiness,
    remedies,
    results,
    sentence,
    unread,
    vaults,
    why,
)

__all__ = [
    "Lines",
    "Shown",
    "Table",
    "catalogue",
    "comparison",
    "csv_cell",
    "differences",
    "escape",
    "findings",
    "machine",
    "machines",
    "network",
    "notes",
    "parameter_values",
    "plain",
    "plan",
    "policies",
    "prerequisites",
    "readiness",
    "remedies",
    "results",
    "sentence",
    "unread",
    "vaults",
    "why",
]
