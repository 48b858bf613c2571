"""
The report in a real browser: without a network and without JavaScript, on a screen and on paper.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from sealed import made

from runbook_lib.conclusion import close
from runbook_lib.folder import RunFolder

pytestmark = pytest.mark.e2e


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """
    The report of a run.
    """
    folder = made(tmp_path / "run")
    close(RunFolder(folder))
    return folder / "report.html"


def test_it_opens_without_network_and_javascript(report: Path, browser: BrowserContext, artifacts: Path) -> None:
    """
    It asks for nothing but itself; nothing is wider than a screen of 1280 or of 400 pixels, or a sheet of A4.
    """
    assert browser.browser is not None
    context = browser.browser.new_context(
        offline=True, java_script_enabled=False, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    page.screenshot(path=artifacts / "report.png", full_page=True)
    widths = {}
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        box = page.locator("body").bounding_box()
        inner = page.locator("main").bounding_box()
        widths[width] = box is not None and inner is not None and inner["x"] + inner["width"] <= width
    page.emulate_media(media="print")
    # A4 at 96 pixels an inch, less the margins of the style.
    page.set_viewport_size({"width": 703, "height": 1017})
    printed = page.locator("main").bounding_box()
    paper = page.pdf(format="A4", prefer_css_page_size=True, path=artifacts / "report.pdf")
    heading = page.locator("h1").inner_text()
    context.close()

    assert ([report.as_uri()], []) == (asked, said)
    assert {1280: True, 400: True} == widths
    assert printed is not None
    assert printed["width"] <= 703
    assert paper.startswith(b"%PDF")
    assert "Azure VM backup runbook: report of a run" == heading
