"""
FIDELITY.md says what was measured.
"""

from __future__ import annotations

import pytest
from fidelity.measure import Measurement
from fidelity.report import PAGE, main, page


@pytest.mark.timeout(900)
def test_the_page_is_what_the_measurement_gives(measured: Measurement) -> None:
    """
    FIDELITY.md is never behind the sandbox; `PYTHONPATH=tests python -m fidelity.report` writes it anew.
    """
    assert page(measured) == PAGE.read_text(encoding="utf-8")


def test_without_reference_data_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    What is missing ends the report with exit code 1 and what helps.
    """
    monkeypatch.delenv("RUNBOOK_REFERENCE", raising=False)

    assert 1 == main(["--check"])
    assert "docs/fidelity-data.md" in capsys.readouterr().err
