"""
The gate "mutation": seeded bugs of the sandbox, and whether the other gates object to them.
"""

from __future__ import annotations

import pytest
from fidelity.measure import Measurement

pytestmark = pytest.mark.timeout(900)


def test_the_sandbox_as_it_is_passes(measured: Measurement) -> None:
    """
    The gates in their quick form object to nothing when no bug is seeded; else what follows would mean nothing.
    """
    assert "" == measured.outcomes[0].objection


def test_nine_bugs_in_ten_are_found(measured: Measurement) -> None:
    """
    Of at least 36 seeded bugs the gates object to nine in ten or more.
    """
    bugs = measured.outcomes[1:]
    survivors = [each.name for each in bugs if not each.objection]

    assert len(bugs) >= 36
    assert len(survivors) * 10 <= len(bugs), survivors


def test_every_bug_is_another(measured: Measurement) -> None:
    """
    No two bugs have one name.
    """
    assert len(measured.outcomes) == len({each.name for each in measured.outcomes})
