"""
`runbook …`: thin commands over the library. The only package that prints.

What needs Azure or Jupyter is imported where it is used, so that `verify` works with the base dependencies.
"""

from __future__ import annotations

import click

from runbook_lib.cli.catalogues import parameters, show_checks
from runbook_lib.cli.evidence import verify
from runbook_lib.cli.runs import apply, resume, run
from runbook_lib.cli.sandbox import sandbox
from runbook_lib.cli.snapshot import snapshot

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="azure-vm-backup-runbook")
def main() -> None:
    """
    Get Azure Resource Manager VMs ready for Azure Backup, and prove it.
    """


for command in (run, resume, apply, snapshot, verify, parameters, show_checks, sandbox):
    main.add_command(command)
