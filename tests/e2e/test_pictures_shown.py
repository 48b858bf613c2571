"""
Pictures in JupyterLab: with their alternative text, in a notebook that nobody trusts and in one's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from builders import HELD, NOW, policy
from desk import Desk
from playwright.sync_api import Locator, expect

from runbook_lib.render.pictures import WIDTH, Picture, kept_points

pytestmark = pytest.mark.e2e

HOSTILE = '"><b>x</b>&lt;$y$'
SOURCE = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parents[each]) for each in (1, 2)]!r}
from dataclasses import replace
from builders import HELD, NOW, policy
from runbook_lib.render.pictures import kept_points
kept_points(replace(policy(HELD), name={HOSTILE!r}), NOW, "en")
"""


def _expected() -> Picture:
    made = kept_points(replace(policy(HELD), name=HOSTILE), NOW, "en")
    assert isinstance(made, Picture)
    return made


def _assert_shown(output: Locator, picture: Picture) -> None:
    image = output.locator("figure img")
    expect(image).to_have_attribute("alt", picture.alternative)
    expect(output.locator("figure figcaption")).to_have_text(picture.caption)
    expect(output.locator("b")).to_have_count(0)
    assert WIDTH == image.evaluate("async image => { await image.decode(); return image.naturalWidth; }")
    output.locator("summary").click()
    expect(output.locator("details table tbody tr")).to_have_count(len(picture.table.rows))


def test_a_picture_is_shown_whether_its_notebook_is_trusted_or_not(desk: Desk, artifacts: Path) -> None:
    """
    JupyterLab's sanitizer leaves the image, its alternative text and the table in place; run anew it is the same.
    """
    picture = _expected()
    output = nbformat.v4.new_output("execute_result", dict(picture._repr_mimebundle_()), execution_count=9)
    cell = nbformat.v4.new_code_cell(SOURCE.strip(), execution_count=9, outputs=[output])
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    desk.add("pictures", nbformat.writes(notebook))
    opened = desk.open("pictures")

    trusted = "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.trusted"
    assert opened.page.evaluate(trusted) is False
    _assert_shown(opened.output("kept_points"), picture)
    opened.show(opened.output("kept_points"), 1280)
    opened.page.screenshot(path=artifacts / "picture-untrusted.png")
    opened.run("kept_points(replace")

    assert opened.page.evaluate(trusted) is True
    _assert_shown(opened.output("kept_points"), picture)
