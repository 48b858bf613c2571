"""
What the sandbox answers while its own tests run, written down one exchange a line.

A pytest plugin: `RUNBOOK_TRAFFIC=FILE python -m pytest -p fidelity.traffic tests/sandbox` with `tests` on PYTHONPATH.
An answer is written as the service gave it, before a fault rule of the test replaced it. Imports the sandbox only.
"""

from __future__ import annotations

import json
import os
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from runbook_lib.sandbox import SandboxError, app
from runbook_lib.sandbox.bodies import parse

__all__ = ["TRAFFIC", "pytest_configure"]

TRAFFIC = "RUNBOOK_TRAFFIC"


def pytest_configure(config: pytest.Config) -> None:
    """
    Add what every sandbox of this session serves to the file that the environment names.
    """
    file = Path(os.environ[TRAFFIC])
    writing = Lock()
    serve = app.ArmApp._serve

    @wraps(serve)
    def recorded(self: app.ArmApp, request: Any, match: Any, route: Any) -> Any:
        answer = serve(self, request, match, route)
        exchange = {
            "operation": f"{route.method} {route.path}" if route else None,
            "request": {
                "method": request.method,
                "uri": f"{request.base}{quote(request.path)}?{urlencode(request.query)}",
                "body": _parsed(request.content),
            },
            "response": {
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": None if request.method == "HEAD" else answer.body,
            },
        }
        with writing, file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(exchange) + "\n")
        return answer

    patch = pytest.MonkeyPatch()
    patch.setattr(app.ArmApp, "_serve", recorded)
    config.add_cleanup(patch.undo)


def _parsed(content: bytes) -> Any:
    try:
        return parse(content) if content.strip() else None
    except SandboxError:
        # What is no JSON is refused, and a request that is refused is not judged.
        return None
