"""
`runbook …`: thin commands over the library. The only package that prints.

What needs Azure or Jupyter is imported where it is used, so that `verify` works with the base dependencies.
"""

from __future__ import annotations

import logging

import click

from runbook_lib.cli.catalogues import parameters, show_checks
from runbook_lib.cli.compare import compare
from runbook_lib.cli.evidence import redact, verify
from runbook_lib.cli.fleet import fleet
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
    # What the SDK would log of a failed sign-in is in our own error; standard error may be read by a machine.
    for name in ("azure", "msal"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


for command in (
    run,
    resume,
    apply,
    fleet,
    snapshot,
    verify,
    compare,
    redact,
    parameters,
    show_checks,
    sandbox,
):
    main.add_command(command)
