"""
The table of api-versions in docs/api-versions.md, held against what a whole run asks.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from click.testing import CliRunner
from recorded.feeding import type_of

from runbook_lib.arm.reader import API_VERSIONS
from runbook_lib.cli import main
from runbook_lib.sandbox import Sandbox

PAGE = Path(__file__).parents[1] / "docs" / "api-versions.md"


def documented() -> set[tuple[str, str]]:
    """
    Each resource type of the table with its api-version.
    """
    rows = [line.split("|")[1:3] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {(kind, version.strip()) for kinds, version in rows for kind in re.findall(r"`([^`]+)`", kinds)}


def test_the_page_has_what_a_run_asks_and_nothing_else(contoso: Sandbox, tmp_path: Path) -> None:
    """
    By the journal of a run that reads, asks and writes all that it can; where an operation is asked for is the
    service's own affair.
    """
    words = {"network_option": "ip_ranges", "service_precheck": "all", "change_policy": "true"}
    pairs = [word for pair in words.items() for word in ("-p", *pair)]
    CliRunner().invoke(main, ["run", "--apply", "--out", str(tmp_path / "r"), *pairs], catch_exceptions=False)
    lines = (tmp_path / "r" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    urls = [urlsplit(entry["url"]) for entry in map(json.loads, lines) if entry["entry"] == "call"]
    asked = {(type_of(url.path)[0], parse_qs(url.query)["api-version"][0]) for url in urls}

    assert documented() == {(kind, version) for kind, version in asked if "operation" not in kind}


def test_every_version_of_the_code_is_on_the_page() -> None:
    """
    A version that nothing asks with is one too many.
    """
    assert set(API_VERSIONS.values()) <= {version for _, version in documented()}
