"""
What an auditor's browser does with a hostile run: nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile import GROUP, estate_of
from playwright.sync_api import BrowserContext, Request

from runbook_lib.cli import main
from runbook_lib.folder import NOTEBOOKS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CANARY = "window.canary = []; for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) "
CANARY += "window[name] = (...given) => window.canary.push(name);"


def test_no_script_of_a_hostile_run_runs_in_a_browser(browser: BrowserContext, tmp_path: Path) -> None:
    """
    Every output of every notebook as it would be shown, each notebook as nbconvert exports it, and each page of the run
    folder: no dialog, no window, no request to a host that a name or a message brought in.
    """
    from nbconvert import HTMLExporter

    folder = tmp_path / "run"
    estate = estate_of(tmp_path / "estate.json", failing=False)
    options = ("-p", "vm_selector", f"group:{GROUP}")
    result = CliRunner().invoke(main, ["run", "--estate", str(estate), "--out", str(folder), *options])

    assert result.exit_code in (0, 3), result.output[-2000:]

    pages = sorted(folder.rglob("*.html"))
    exporter = HTMLExporter(require_js_url="", mathjax_url="", jquery_url="", mermaid_js_url="")
    for name in NOTEBOOKS:
        notebook = folder / f"{name}.ipynb"
        exported, _ = exporter.from_filename(str(notebook))
        outputs = [
            "".join(output["data"].get("text/html", ""))
            for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
            for output in cell.get("outputs", ())
            if "data" in output
        ]
        for kind, content in (
            ("exported", exported),
            ("outputs", "<!doctype html><meta charset=utf-8>" + "".join(outputs)),
        ):
            pages.append(tmp_path / f"{name}-{kind}.html")
            pages[-1].write_text(content, encoding="utf-8")
    asked: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            asked.append(request.url)

    page = browser.new_page()
    page.add_init_script(CANARY)
    page.on("request", note)
    # Scripts of nbconvert's own page may ask their makers' hosts; nothing is let out.
    page.route("http*://**/*", lambda route: route.abort())
    for each in pages:
        page.goto(each.as_uri())
        page.mouse.move(300, 300)

        assert [] == page.evaluate("window.canary"), each.name
        assert 0 == page.locator("iframe, object, embed, form, base").count(), each.name
    page.close()

    assert 2 * len(NOTEBOOKS) <= len(pages)
    assert [] == [url for url in asked if "evil" in url]
