"""
Nothing is written until a plan is approved: which calls pass the guard, and what the service saw of runs that plan.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.rest import HttpRequest
from click.testing import CliRunner
from support import writes

from runbook_lib.arm.pipeline import ForeignHost, ReadOnlyGuard
from runbook_lib.cli import main
from runbook_lib.errors import ReadOnlyViolation
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.sandbox import Sandbox
from runbook_lib.sandbox.app import ROUTES

pytestmark = pytest.mark.commands

REFERENCE = os.environ.get("RUNBOOK_REFERENCE", "")
FOLDER = Path(__file__).parents[1] / "notebooks"
GUID = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
# The named list: questions by POST, which change nothing.
QUESTIONS = {
    "backupprevalidateprotection",
    "backupstatus",
    "backupvalidatefeatures",
    "effectivenetworksecuritygroups",
    "effectiveroutetable",
}
# Everything that makes a run ask more than it otherwise would.
CURIOUS = {"service_precheck": "all", "network_option": "ip_ranges", "change_policy": True, "undelete": True}


class _Passed(HTTPPolicy[Any, Any]):
    """
    What lies behind the guard: notes what came through.
    """

    def send(self, request: PipelineRequest[Any]) -> Any:
        return request.http_request.method


def passes(method: str, path: str) -> bool:
    """
    Tell whether the guard lets a request through.
    """
    path = re.sub("{[^}]*}", "x", re.sub("{subscription(_?id)?}", GUID, path, flags=re.IGNORECASE))
    return sends(method, f"https://management.azure.com{path}?api-version=2026-01-01")


def sends(method: str, url: str) -> bool:
    """
    Tell whether the guard of a session with Azure lets a request through.
    """
    guard = ReadOnlyGuard("https://management.azure.com")
    guard.next = _Passed()
    try:
        guard.send(PipelineRequest(HttpRequest(method, url), PipelineContext(None)))
    except ReadOnlyViolation:
        return False
    return True


ASKS = f"/subscriptions/{GUID}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"


@pytest.mark.parametrize(
    "url",
    [
        f"https://management.azure.com/x{ASKS}",
        f"https://management.azure.com{ASKS}/x",
        f"https://management.azure.com{ASKS.replace('westeurope', 'a%2Fb')}",
        f"https://management.azure.com{ASKS.replace('westeurope', '..')}",
        f"https://management.azure.com{ASKS.replace('westeurope', '%2E%2e')}",
        f"https://management.azure.com{ASKS.replace('westeurope', 'a%5Cb')}",
        f"https://management.azure.com{ASKS.replace(GUID, 'x')}",
        f"https://evil.example{ASKS}",
        f"http://management.azure.com{ASKS}",
        f"https://management.azure.com:8443{ASKS}",
        f"https://127.0.0.1:8443\\@management.azure.com{ASKS}",
    ],
)
def test_what_only_ends_as_a_question_does_is_refused(url: str) -> None:
    """
    The whole path counts, as no server can read it otherwise, and the session's own host.
    """
    assert sends("POST", f"https://management.azure.com{ASKS}?api-version=1")
    assert not sends("POST", url)


def test_nothing_is_sent_to_another_host() -> None:
    """
    Not even what only reads: it would carry the token there.
    """
    for url in ("https://evil.example/subscriptions", "https://127.0.0.1:8443\\@management.azure.com/subscriptions"):
        with pytest.raises(ForeignHost):
            sends("GET", url)


def operations() -> Iterator[tuple[str, str]]:
    """
    Every operation that the sandbox has, and every one of the SDKs where the reference data has them.
    """
    yield from ((each.method, each.path) for each in ROUTES)
    path = Path(REFERENCE) / "azure-specs" / "sdk" / "operations.json"
    for package in json.loads(path.read_text(encoding="utf-8")).values() if REFERENCE else ():
        yield from ((each["method"], each["path"]) for each in package["operations"])


def asked(sandbox: Sandbox) -> set[str]:
    """
    Name what the service was sent that is no GET: method and last word of the path.
    """
    sent = ((each["method"], each["path"].lower().rsplit("/", 1)[-1]) for each in sandbox.requests())
    return {f"{method} {word}" for method, word in sent if method not in ("GET", "HEAD")}


def test_reads_and_the_named_questions_pass_and_nothing_else() -> None:
    """
    Of all operations of the service and of the SDKs, by method and path.
    """
    every = set(operations())
    through = {(method, path) for method, path in every if passes(method, path)}
    reads = {(method, path) for method, path in every if method in ("GET", "HEAD")}
    questions = {path.lower().rsplit("/", 1)[-1] for _, path in through - reads}

    assert len(every) > 150
    assert reads <= through
    assert QUESTIONS == questions
    assert {"POST"} == {method for method, _ in through - reads}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST", "OPTIONS", "get", "BREW"])
@pytest.mark.parametrize("path", ["/", "/subscriptions/1/backupStatus", "/backupStatus/../../x", "/x?y=/backupStatus"])
def test_whatever_is_not_on_the_list_is_refused(method: str, path: str) -> None:
    """
    Also methods that nobody knows, and paths that only look like a question.
    """
    assert not passes(method, path)


def test_a_headless_run_that_only_plans_changes_nothing(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The service's own log has reads and questions alone, and its state is what it was.
    """
    before = contoso.state_digest()
    pairs = [word for name, value in CURIOUS.items() for word in ("-p", name, str(value).lower())]
    result = CliRunner().invoke(main, ["run", "--out", str(tmp_path / "r"), *pairs], catch_exceptions=False)

    assert 3 == result.exit_code, result.output
    assert len(contoso.requests()) > 50
    assert asked(contoso) <= {f"POST {each}" for each in QUESTIONS}
    assert {"POST backupstatus", "POST effectivenetworksecuritygroups"} <= asked(contoso)
    assert [] == writes(contoso)
    assert before == contoso.state_digest()


def test_run_all_in_every_notebook_changes_nothing(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A person who opens each notebook and runs all of its cells, Apply cells among them, has written nothing.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/walk.ipynb")
    before = contoso.state_digest()
    for name in NOTEBOOKS:
        notebook = nbformat.reads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
        (cell,) = (each for each in notebook.cells if "parameters" in each.metadata.get("tags", []))
        declared = {line.partition(":")[0] for line in cell.source.splitlines()}
        cell.source += "".join(f"\n{key} = {value!r}" for key, value in CURIOUS.items() if key in declared)
        nbclient.NotebookClient(notebook, timeout=100).execute()

    assert len(contoso.requests()) > 50
    assert asked(contoso) <= {f"POST {each}" for each in QUESTIONS}
    assert before == contoso.state_digest()
