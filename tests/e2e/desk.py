"""
JupyterLab as a person meets it: a server of its own over fresh copies of the notebooks, and a notebook in its window.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Locator, Page

from runbook_lib.sandbox import Sandbox, read_estate

__all__ = ["ERROR", "PATIENCE", "TALL", "Desk", "JupyterLab", "Notebook"]

ROOT = Path(__file__).parents[2]
# Seconds. Starting a kernel and reading the estate take three on a quiet machine, and ten times that on a busy one.
PATIENCE = 90
# Pixels. In a window of this height JupyterLab draws all cells; in a lower one, those in view, and some seconds after
# Run All it scrolls to the last of them, away from under the mouse.
TALL = 12000
# What the window has below its last cell: a margin and the status bar.
BELOW = 60
# The notebook in front: those in other tabs stay in the page, hidden.
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
ERROR = '[data-mime-type="application/vnd.jupyter.stderr"]'


class JupyterLab:
    """
    A JupyterLab server with the repository's settings, and nothing of the account that runs it.

    Attributes:
        url: where it answers, without its token.
        root: the folder that it shows.
    """

    def __init__(self, home: Path) -> None:
        self.root = home / "root"
        self.sandbox = home / "sandbox.sqlite"
        self.runs = home / "runs"
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.token = secrets.token_urlsafe(24)
        self._home = home
        self._log = home / "server.log"

    def __enter__(self) -> JupyterLab:
        for name in ("root", "user", "tmp"):
            (self._home / name).mkdir(parents=True)
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                self._command(), cwd=self.root, env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        # It ends its kernels before it ends itself.
        self._server.terminate()
        self._server.wait(PATIENCE)

    def _command(self) -> list[str]:
        options = [
            "--no-browser",
            f"--ServerApp.port={self.url.rpartition(':')[2]}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self.token}",
            # Lets a test ask whether the kernel is ready; the page shows it too late.
            "--LabApp.expose_app_in_browser=True",
        ]
        # Containers run tests as root, where JupyterLab refuses to start; nothing that is shipped sets this.
        return [sys.executable, "-m", "jupyterlab", *options, *(["--allow-root"] if os.geteuid() == 0 else [])]

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": "user",
            "TMPDIR": "tmp",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        return {name: str(self._home / folder) for name, folder in own.items()} | {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            # The kernels try this checkout, whichever the environment has installed.
            "PYTHONPATH": str(ROOT),
            "JUPYTER_CONFIG_PATH": str(ROOT / "jupyter"),
            "RUNBOOK_RUNS": str(self.runs),
            "RUNBOOK_SANDBOX": str(self.sandbox),
        }

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._server.poll() is None:
            try:
                self.ask("GET", "api")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text(encoding='utf-8')}")

    def ask(self, method: str, path: str) -> Any:
        """
        Ask the server's own API.
        """
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            body = response.read()
        return json.loads(body) if body else None

    @contextmanager
    def desk(self, page: Page) -> Iterator[Desk]:
        """
        Lay out a desk: fresh notebooks, the example estate as it is shipped, and no run yet.
        """
        notebooks = self.root / "notebooks"
        for used in (notebooks, self.runs):
            shutil.rmtree(used, ignore_errors=True)
        shutil.copytree(ROOT / "notebooks", notebooks, ignore=shutil.ignore_patterns(".*"))
        sandbox = Sandbox(self.sandbox)
        sandbox.load(read_estate("contoso"))
        try:
            yield Desk(self, page, sandbox)
        finally:
            sandbox.close()
            for kernel in self.ask("GET", "api/kernels"):
                self.ask("DELETE", f"api/kernels/{kernel['id']}")


class Desk:
    """
    What one test works with: its notebooks in JupyterLab, and the sandbox behind them.
    """

    def __init__(self, lab: JupyterLab, page: Page, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.page = page
        self._lab = lab

    def add(self, notebook: str, content: str) -> None:
        """
        Put another notebook beside ours, as if it had come from somebody else.
        """
        (self._lab.root / "notebooks" / f"{notebook}.ipynb").write_text(content, encoding="utf-8")

    def open(self, notebook: str) -> Notebook:
        """
        Open a notebook and wait for its kernel.
        """
        self.page.goto(f"{self._lab.url}/lab/tree/notebooks/{notebook}.ipynb?reset&token={self._lab.token}")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        return self._in_front(notebook)

    def follow(self, notebook: str) -> Notebook:
        """
        Click the link that leads to *notebook* at the end of the one in front, and wait for its kernel.
        """
        self.page.locator(f'{PANEL} .jp-MarkdownOutput p:has-text("Next:") a').last.click()
        # It was made as high as the notebook that is left.
        self.page.set_viewport_size({"width": 1280, "height": TALL})
        return self._in_front(notebook)

    def _in_front(self, notebook: str) -> Notebook:
        self.page.wait_for_function(
            """path => {
                const shown = window.jupyterapp?.shell.currentWidget;
                return shown?.context?.path.endsWith(path) && shown.sessionContext?.session?.kernel?.status === 'idle';
            }""",
            arg=f"{notebook}.ipynb",
        )
        return Notebook(self.page, self._lab.root / "notebooks" / f"{notebook}.ipynb")

    @property
    def run_folder(self) -> Path:
        """
        The folder of the run that is open.
        """
        return self._lab.runs / (self._lab.runs / "open-run").read_text(encoding="utf-8").strip()

    def show(self, notebook: Path) -> None:
        """
        Open a notebook that came from elsewhere, and wait until all of it is drawn.
        """
        kept = self._lab.root / "received" / notebook.name
        kept.parent.mkdir(exist_ok=True)
        shutil.copy(notebook, kept)
        self.page.goto(f"{self._lab.url}/lab/tree/received/{notebook.name}?reset&token={self._lab.token}")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        self.page.locator(f"{PANEL} .jp-Cell").last.wait_for()


class Notebook:
    """
    An open notebook: what a person does in it and sees of it.
    """

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path

    def run_all(self) -> None:
        """
        Choose Run > Run All Cells, and wait until every cell has run.

        Raises:
            AssertionError: a cell failed, and what it says.
        """
        self.page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        self.page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
        cells = self.page.locator(f"{PANEL} .jp-CodeCell")
        self._until(lambda: all(_prompt(cell).isdigit() for cell in cells.all()))

    def _until(self, over: Callable[[], bool]) -> None:
        errors = self.page.locator(f"{PANEL} {ERROR}")
        end = time.monotonic() + PATIENCE
        while not over():
            if said := errors.all_text_contents():
                raise AssertionError("\n".join(said))
            _give_up_after(end, "the notebook is still running")

    def cell(self, source: str) -> Locator:
        """
        Find the last code cell whose text holds *source*.
        """
        editor = self.page.locator(".jp-InputArea-editor", has_text=source)
        return self.page.locator(f"{PANEL} .jp-CodeCell", has=editor).last

    def run(self, source: str) -> Locator:
        """
        Run one cell as a person does, and return what it puts out.
        """
        cell = self.cell(source)
        before = _prompt(cell)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        end = time.monotonic() + PATIENCE
        while _prompt(cell) in (before, "*"):
            _give_up_after(end, f"{source} is still running")
        return self.output(source)

    def run_below(self, source: str) -> None:
        """
        Choose Run > Run Selected Cell and All Below on the cell after the last that holds *source*, as that cell's
        output asks for, and wait until they have run.

        Raises:
            AssertionError: a cell failed, and what it says.
        """
        cells = self.page.locator(f"{PANEL} .jp-CodeCell").all()
        sources = [cell.locator(".jp-InputArea-editor").inner_text() for cell in cells]
        below = cells[max(place for place, text in enumerate(sources) if source in text) + 1 :]
        before = [_prompt(cell) for cell in below]
        below[0].locator(".cm-content").click()
        self.page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        self.page.locator('.lm-Menu-item[data-command="notebook:run-all-below"]').click()
        self._until(lambda: all(_prompt(cell) not in ("*", old) for cell, old in zip(below, before, strict=True)))

    def output(self, source: str) -> Locator:
        """
        Find what a cell puts out.
        """
        return self.cell(source).locator(".jp-Cell-outputArea")

    def saved(self) -> list[dict[str, Any]]:
        """
        Save the notebook, and return its code cells as they are on disk.
        """
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("Control+s")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def show(self, what: Locator, width: int) -> None:
        """
        Make the window *width* wide and of a usual height, and scroll until *what* is at its top.
        """
        self.page.set_viewport_size({"width": width, "height": 1000})
        what.evaluate("element => element.scrollIntoView()")
        # A row under the pointer would be coloured.
        self.page.mouse.move(0, 0)

    def unfold(self, width: int) -> None:
        """
        Make the window *width* wide and as high as the whole notebook.
        """
        panel = self.page.locator(f"{PANEL} .jp-WindowedPanel-outer")
        panel.evaluate("panel => panel.scrollTo(0, 0)")
        self.page.set_viewport_size({"width": width, "height": TALL})
        cell = self.page.locator(f"{PANEL} .jp-Cell").last
        box = None
        # JupyterLab lays out anew a little after the window has changed.
        while (found := cell.bounding_box()) != box or box is None:
            box = found
            self.page.wait_for_timeout(500)
        self.page.set_viewport_size({"width": width, "height": round(box["y"] + box["height"]) + BELOW})


def _prompt(cell: Locator) -> str:
    text = cell.locator(".jp-InputPrompt").first.text_content() or ""
    return text.strip().strip("[]: ")


def _give_up_after(end: float, what: str) -> None:
    if time.monotonic() > end:
        raise TimeoutError(f"{what} after {PATIENCE} seconds")
    time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
