"""
What people see, as HTML, text and CSV: `sinks` escapes and lays out, the others say what each table holds.
No widgets.
"""

from runbook_lib.render.catalogue import check_lines
from runbook_lib.render.ending import compared, ending, failure, failures, fleet, planned, worse
from runbook_lib.render.estate import machine, machines, policies, unread, vaults
from runbook_lib.render.network import effective, truth_table
from runbook_lib.render.options import files, options, ranges
from runbook_lib.render.report import changes, report
from runbook_lib.render.rights import precheck, rights
from runbook_lib.render.sinks import MOST_ROWS, Lines, Shown, Stack, Table, csv_cell, escape, plain
from runbook_lib.render.steps import diff, differences, notes, plan, results
from runbook_lib.render.verdicts import (
    comparison,
    findings,
    held_back,
    network,
    prerequisites,
    readiness,
    remedies,
    sentence,
    why,
)
from runbook_lib.render.walk import board, candidates, identity, parameter_values, placed, summary

__all__ = [
    "MOST_ROWS",
    "Lines",
    "Shown",
    "Stack",
    "Table",
    "board",
    "candidates",
    "changes",
    "check_lines",
    "compared",
    "comparison",
    "csv_cell",
    "diff",
    "differences",
    "effective",
    "ending",
    "escape",
    "failure",
    "failures",
    "files",
    "findings",
    "fleet",
    "held_back",
    "identity",
    "machine",
    "machines",
    "network",
    "notes",
    "options",
    "parameter_values",
    "placed",
    "plain",
    "plan",
    "planned",
    "policies",
    "precheck",
    "prerequisites",
    "ranges",
    "readiness",
    "remedies",
    "report",
    "results",
    "rights",
    "sentence",
    "summary",
    "truth_table",
    "unread",
    "vaults",
    "why",
    "worse",
]
