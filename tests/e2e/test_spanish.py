"""
An operator opens a Spanish notebook in JupyterLab.
"""

from __future__ import annotations

import pytest
from desk import Desk
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e


def test_a_spanish_notebook_speaks_spanish(desk: Desk) -> None:
    """
    What its unchanged code prints is in the language of its prose, without a parameter; the mark is as everywhere.
    """
    notebook = desk.open("es/00_start")
    notebook.run_all()

    expect(notebook.output("run.mark").locator("p").first).to_have_text("target: SANDBOX (simulated)")
    expect(notebook.output("run.mark")).to_contain_text("Leído el")
    expect(notebook.output("run.readiness()").locator("caption")).to_contain_text("Preparación de")
    expect(notebook.output("run.readiness()")).to_contain_text("Veredicto")


def test_the_table_of_vms_speaks_spanish(desk: Desk) -> None:
    """
    Its search, its buttons and its counts as well, which another library writes.
    """
    notebook = desk.open("es/04_select_vms")
    notebook.run_all()
    table = desk.page.locator(".rb-vms")

    for words in ("Buscar:", "Seleccionar todas las filas filtradas", "filas por página", "Filas de la 1 a la"):
        expect(table).to_contain_text(words)
