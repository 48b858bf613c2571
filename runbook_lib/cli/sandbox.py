"""
The commands of the sandbox.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from runbook_lib.cli.base import exits
from runbook_lib.errors import InvalidParameters
from runbook_lib.text import DEFAULT_LANGUAGE, say

__all__ = ["sandbox"]


@click.group()
def sandbox() -> None:
    """
    The simulator of Azure Resource Manager that runs and rehearsals use by default.
    """


@sandbox.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1; a free one by default.")
@click.option("--profile", "file", type=click.Path(path_type=Path), help="A JSON file of settings and fault rules.")
@click.option("--throttle", metavar="LIMITS", help="none, arm2024 or backup-strict.")
@click.option("--latency", nargs=2, type=float, metavar="MEDIAN P99", help="Seconds that answers take.")
@click.option("--clock-scale", type=float, metavar="N", help="How many seconds of the tenant pass in a real one.")
@click.option("--seed", type=int, help="Of what is drawn: durations and latencies.")
@exits
def sandbox_serve(port: int | None, file: Path | None, **options: Any) -> int:
    """
    Serve it over HTTP on the loopback interface, until Ctrl-C.

    What the options set stays with the sandbox until it is reset or loaded; docs/sandbox.md tells what there is.
    """
    from runbook_lib.arm.opening import sandbox_path, sandbox_state
    from runbook_lib.sandbox import SandboxError, read_profile
    from runbook_lib.sandbox.server import serve

    settings = {name: value for name, value in options.items() if value is not None}
    if "latency" in settings:
        settings["latency"] = dict(zip(("median", "p99"), settings["latency"], strict=True))
    opened = sandbox_state(sandbox_path())
    try:
        opened.configure(**(read_profile(file) if file else {}) | settings)
        server = serve(opened, port)
    except SandboxError as error:
        raise InvalidParameters("sandbox", problem=error.describe(InvalidParameters.language)) from error
    click.echo(say("say.sandbox_serving", DEFAULT_LANGUAGE, url=f"http://{server.host}:{server.port}"))
    server.run()
    return 0


@sandbox.command("reset")
@exits
def sandbox_reset() -> int:
    """
    Put the example estate back.
    """
    from runbook_lib.arm.opening import DEFAULT_ESTATE

    return _load(DEFAULT_ESTATE)


@sandbox.command("load")
@click.argument("source")
@exits
def sandbox_load(source: str) -> int:
    """
    Load an estate: its name, an estate file, or a folder of recorded interactions.
    """
    return _load(source)


def _load(source: str) -> int:
    from runbook_lib.arm.opening import sandbox_path, sandbox_state

    opened = sandbox_state(sandbox_path(), source)
    click.echo(json.dumps(opened.status(), indent=1, default=str))
    opened.close()
    return 0


@sandbox.command("status")
@exits
def sandbox_status() -> int:
    """
    Say where its state is and what it holds.
    """
    from runbook_lib.arm.opening import sandbox_path, sandbox_state

    opened = sandbox_state(sandbox_path())
    click.echo(json.dumps(opened.status(), indent=1, default=str))
    opened.close()
    return 0
