"""
The measurement that all gates judge, made once.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fidelity.measure import REFERENCE, Measurement, missing


@pytest.fixture(scope="session")
def measured() -> Measurement:
    """
    The sandbox's traffic, the specs' word on it, and the recordings.
    """
    if lack := missing():
        pytest.skip(lack)
    return Measurement(Path(os.environ[REFERENCE]))
