"""
What choosing among 20,000 VMs feels like in the browser: how long the table takes to appear, and to filter.

`PYTHONPATH=tests:tests/e2e python -m bench.picker` prints each figure with its target; the exit code is 1 when one is
missed. It needs Chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from bench.estate import SEED, write_sandbox
from bench.figures import Figure, report
from desk import PANEL, TALL, JupyterLab
from playwright.sync_api import Page, sync_playwright

__all__ = ["main"]

SIZE = 20_000
TRIES = 5
# The table as notebook 04 shows it, and what it takes without a browser.
CELLS = (
    "from runbook_lib import open_run\nrun = open_run('04_select_vms', {})\nrun.mark",
    "picker = run.pick()",
    "picker",
)
ROWS = f"{PANEL} .rb-vms tbody tr"


def _notebook(path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]  # type: ignore[no-untyped-call]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=cells, metadata=kernel)))  # type: ignore[no-untyped-call]


def _run(page: Page, cell: int, until: str) -> float:
    """
    Run a cell, and return the seconds until something is to be seen.
    """
    start = time.perf_counter()
    page.evaluate(
        """cell => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = cell;
            window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        cell,
    )
    page.locator(until).first.wait_for()
    return time.perf_counter() - start


def _filter(page: Page, search: str) -> float:
    """
    Search for a VM by its name, and return the seconds until the browser has drawn its row as the first.
    """
    seconds: Any = page.evaluate(
        """async ([search, first]) => {
            const input = document.querySelector('.rb-vms .dt-search input');
            const start = performance.now();
            input.value = search;
            input.dispatchEvent(new Event('input', {bubbles: true}));
            input.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
            while (document.querySelector(first).textContent !== search) {
                await new Promise(drawn => requestAnimationFrame(drawn));
                if (performance.now() - start > 20000) { throw new Error('nothing was filtered'); }
            }
            await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
            return (performance.now() - start) / 1000;
        }""",
        [search, f"{ROWS} td"],
    )
    return float(seconds)


def main() -> int:
    """
    Run the benchmark and return its exit code.
    """
    notes = [f"{SIZE:,} VMs, seed {SEED}, no latency; Chromium, 1280 pixels; filters are medians of {TRIES} searches"]
    with tempfile.TemporaryDirectory() as place, JupyterLab(Path(place)) as lab, sync_playwright() as playwright:
        write_sandbox(lab.sandbox, SIZE)
        _notebook(lab.root / "notebooks" / "picker.ipynb")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": TALL}).new_page()
        page.set_default_timeout(300_000)
        page.goto(f"{lab.url}/lab/tree/notebooks/picker.ipynb?reset&token={lab.token}")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        prompt = f"{PANEL} .jp-CodeCell:nth-child({{}}) .jp-InputPrompt"
        read = _run(page, 0, f"{PANEL} .jp-OutputArea-output caption")
        page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
        )
        judged = _run(page, 1, f"{prompt.format(2)}:text-is('[2]:')")
        painted = _run(page, 2, ROWS)
        notes.append(f"reading the estate {read:.1f} s, judging all VMs {judged:.1f} s")
        names = [f"vm-{number:05}" for number in range(12_340, 12_340 + TRIES)]
        taken = sorted(_filter(page, name) for name in names)
        browser.close()
    return report(
        "Choosing VMs in the browser",
        [
            Figure(what=f"first paint of {SIZE:,} rows, from running the cell", value=painted, most=5, unit=" s"),
            Figure(what=f"filtering {SIZE:,} rows to one", value=taken[TRIES // 2], most=0.2, unit=" s"),
        ],
        notes,
    )


if __name__ == "__main__":
    sys.exit(main())
