"""
An operator walks through notebooks in JupyterLab: what is seen there, and what the sandbox then holds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from desk import ERROR, Desk
from playwright.sync_api import Page, expect
from support import writes

from runbook_lib.sandbox import Sandbox

pytestmark = pytest.mark.e2e

MARK = "target: SANDBOX (simulated)"
VMS = 43
VAULTS = {"rsv-finance", "rsv-legacy", "rsv-westeurope"}


def _vaults(sandbox: Sandbox) -> set[str]:
    return {each["name"] for each in sandbox.resources() if each["type"] == "Microsoft.RecoveryServices/vaults"}


def _type_vault_name(page: Page, name: str) -> None:
    page.locator(".rb-vault-name input").fill(name)


def _html(cells: list[dict[str, Any]], source: str) -> str:
    cell = next(cell for cell in cells if source in "".join(cell["source"]))
    return "".join("".join(output["data"]["text/html"]) for output in cell["outputs"])


def test_start_shows_the_mark_and_where_each_vm_stands(desk: Desk, artifacts: Path) -> None:
    """
    Run All in notebook 00 shows the target's mark first and one verdict per VM, and writes nothing.
    """
    notebook = desk.open("00_start")
    notebook.run_all()

    expect(notebook.output("run.mark").locator("p").first).to_have_text(MARK)
    table = notebook.output("run.readiness()").locator("table")
    expect(table.locator("caption")).to_contain_text(f"Readiness of {VMS} selected VMs: 12 BLOCKED")
    expect(table.locator("tbody tr")).to_have_count(VMS)
    assert [] == writes(desk.sandbox)

    for width in (1280, 1920):
        notebook.unfold(width)
        desk.page.screenshot(path=artifacts / f"00_start-{width}.png")


def test_run_all_only_plans(desk: Desk) -> None:
    """
    Run All with default parameters shows the plan, says that nothing was written, and writes nothing.
    """
    notebook = desk.open("01_create_vault")
    notebook.run_all()

    expect(notebook.output("run.show_plan()")).to_contain_text("create Recovery Services vault rsv-spaincentral")
    expect(notebook.output("run.apply(approval)")).to_contain_text("Planned only: nothing was written.")
    assert [] == writes(desk.sandbox)
    assert _vaults(desk.sandbox) == VAULTS


def test_an_approved_plan_creates_the_vaults_that_were_typed_in(desk: Desk, artifacts: Path) -> None:
    """
    A name typed into the form is in the plan, is created once the plan is approved, and its result is saved as HTML.
    """
    notebook = desk.open("01_create_vault")
    notebook.run_all()
    assert _vaults(desk.sandbox) == VAULTS

    _type_vault_name(desk.page, "vault-{location}")
    expect(notebook.run("run.choose(form)")).to_contain_text("vault-{location}")
    expect(notebook.run("run.show_plan()")).to_contain_text("create Recovery Services vault vault-northeurope")
    notebook.run("run.approval()")
    desk.page.locator(".rb-approve input").check()
    assert [] == writes(desk.sandbox)

    applied = notebook.run("run.apply(approval)")
    expect(applied).to_contain_text(re.compile(r"\d+ of \d+ changes ended, 0 failed"))
    result = applied.locator("table")
    expect(result.locator("caption")).to_have_text("What was done in step 01")
    created = {"vault-northeurope", "vault-spaincentral", "vault-westeurope"}
    assert _vaults(desk.sandbox) == VAULTS | created
    for name in created:
        row = result.locator("tr", has_text=f"create Recovery Services vault {name} ").first
        expect(row.get_by_text("done", exact=True)).to_be_visible()
    vaults = notebook.run("run.vaults()").locator("tbody th")
    assert created <= set(vaults.all_text_contents())

    saved = notebook.saved()
    assert "vault-northeurope" in _html(saved, "run.apply(approval)")
    assert "<caption" in _html(saved, "run.apply(approval)")
    assert "vault-{location}" in _html(saved, "run.choose(form)")
    for width in (1280, 1920):
        notebook.unfold(width)
        desk.page.screenshot(path=artifacts / f"01_create_vault-{width}.png")


def test_a_wrong_vault_name_is_explained_and_nothing_is_written(desk: Desk, artifacts: Path) -> None:
    """
    A name that breaks the rule is refused in words, in the notebook; the plan stays as it was, and nothing is written.
    """
    notebook = desk.open("01_create_vault")
    notebook.run_all()
    _type_vault_name(desk.page, "1st-vault")

    error = notebook.run("run.choose(form)").locator(ERROR)
    expect(error).to_contain_text("Parameter 'vault_name': '1st-vault' is not a valid vault name.")
    expect(error).to_contain_text("A vault's name has 2 to 50 characters, starts with a letter")
    expect(notebook.run("run.show_plan()")).to_contain_text("create Recovery Services vault rsv-spaincentral")
    assert [] == writes(desk.sandbox)
    assert _vaults(desk.sandbox) == VAULTS

    notebook.show(error, 1280)
    desk.page.screenshot(path=artifacts / "01_wrong_name-1280.png")


def _tab_to(page: Page, label: str) -> None:
    """
    Press Tab until the field or button of this name has the focus.
    """
    named = "() => { const at = document.activeElement; return at.labels?.[0]?.innerText || at.innerText || '' }"
    for _ in range(100):
        if page.evaluate(named).strip() == label:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {label}")


def test_vms_are_chosen_with_the_keyboard_alone(desk: Desk, artifacts: Path) -> None:
    """
    From the table's search on no mouse is needed: a VM is chosen and another left out by name, with its row.
    """
    notebook = desk.open("04_select_vms")
    notebook.run_all()
    page, keys = desk.page, desk.page.keyboard
    page.locator(".rb-vms .dt-search input").focus()
    _tab_to(page, "Select none")
    keys.press("Enter")
    expect(page.get_by_role("status").filter(has_text="No VM is chosen")).to_be_visible()

    for name, button in (("web02", "Choose"), ("APP01 (rg-edge-prod)", "Choose"), ("app01", "Leave out")):
        page.locator(".rb-vms .dt-search input").focus()
        _tab_to(page, "VM by name")
        keys.type(name)
        _tab_to(page, button)
        keys.press("Enter")
        said = f"{'Chosen' if button == 'Choose' else 'Left out'}: {name}."
        expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
        expect(page.get_by_label("VM by name")).to_have_value("")

    _tab_to(page, "VM by name")
    keys.type("nobody")
    _tab_to(page, "Choose")
    keys.press("Space")
    expect(page.get_by_role("status").filter(has_text="No VM is called 'nobody'")).to_be_visible()
    expect(page.get_by_label("VM by name")).to_have_value("nobody")
    notebook.show(page.locator(".rb-vm-by-name"), 1280)
    page.screenshot(path=artifacts / "04_by_name-1280.png")

    page.locator(".rb-vms .dt-search input").fill("web02")
    expect(page.locator(".rb-vms tbody tr.selected")).to_have_count(1)
    twin = notebook.output("run.pick()")
    expect(twin.locator("caption").last).to_have_text(f"Chosen VMs: 1 of {VMS}")
    expect(twin).to_contain_text("is not taken over")
    notebook.run("run.choose(picker)")
    expect(twin).not_to_contain_text("is not taken over")
    assert "web02" in _html(notebook.saved(), "run.pick()")


def test_jupyterlab_asks_nothing_of_the_internet_and_of_the_operator(desk: Desk) -> None:
    """
    With the shipped settings no news prompt stands in the way, and the browser talks to the server alone.
    """
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.page.on("websocket", lambda socket: asked.append(socket.url))
    desk.open("01_create_vault").run_all()

    assert {"127.0.0.1"} == {urlsplit(url).hostname for url in asked if not url.startswith(("blob:", "data:"))}
    expect(desk.page.locator(".Toastify__toast")).to_have_count(0)


def test_a_notebook_leads_to_the_next(desk: Desk) -> None:
    """
    The link at the end of a notebook opens the next one in JupyterLab.
    """
    desk.open("00_start")
    desk.page.get_by_role("link", name="01 Create a vault").click()

    expect(desk.page.locator(".jp-NotebookPanel:visible h1")).to_contain_text("Create a Recovery Services vault")


def test_saved_cells_tell_when_they_ran(desk: Desk) -> None:
    """
    With the shipped settings JupyterLab records when each cell ran.
    """
    notebook = desk.open("00_start")
    notebook.run("target: str")

    assert "shell.execute_reply" in notebook.saved()[0]["metadata"]["execution"]


def test_screenshot_of_the_readme(desk: Desk, artifacts: Path) -> None:
    """
    The README's picture, which `make screenshots` puts into docs, is the readiness table as an operator sees it.
    """
    notebook = desk.open("00_start")
    notebook.run_all()
    notebook.show(desk.page.get_by_role("heading", name="The verdict on each VM"), 1280)

    expect(notebook.output("run.readiness()").locator("tbody tr").first).to_be_in_viewport()
    desk.page.screenshot(path=artifacts / "notebook.png")
