"""
What people see, as HTML, text and CSV: `sinks` escapes and lays out, `estate` and `tables` say what each table
holds. No widgets.
"""

from runbook_lib.render.estate import machine, machines, policies, unread, vaults
from runbook_lib.render.sinks import Lines, Shown, Table, csv_cell, escape, plain
from runbook_lib.render.tables import (
    catalogue,
    comparison,
    differences,
    findings,
    network,
    notes,
    parameter_values,
    plan,
    prerequisites,
    readiness,
    remedies,
    results,
    sentence,
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
