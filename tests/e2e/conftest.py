"""
JupyterLab and Chromium, started once for all browser tests, and a desk of its own for each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import PATIENCE, TALL, Desk, JupyterLab
from playwright.sync_api import BrowserContext, expect, sync_playwright

QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """
    A JupyterLab server.
    """
    with JupyterLab(tmp_path_factory.mktemp("jupyter")) as lab:
        yield lab


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    """
    A headless Chromium; its windows share what they have loaded of JupyterLab.
    """
    found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("the browser tests need Chromium: apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser.new_context(viewport={"width": 1280, "height": TALL})
        browser.close()


@pytest.fixture
def desk(lab: JupyterLab, browser: BrowserContext) -> Iterator[Desk]:
    """
    Fresh notebooks in a window that is tall enough for JupyterLab to draw all of them.
    """
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    with lab.desk(page) as desk:
        yield desk
    page.close()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """
    The folder that screenshots go to: `$RUNBOOK_ARTIFACTS`, or `artifacts`.
    """
    folder = Path(os.environ.get("RUNBOOK_ARTIFACTS", "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
