"""
The gate "recordings": what the sandbox's answers look like, held against recorded answers of Azure.
"""

from __future__ import annotations

from typing import Any

import pytest
from fidelity.measure import Measurement
from fidelity.recordings import by_answer
from fidelity.specs import Unrecorded, read_unrecorded

# The first test runs the sandbox's whole suite.
pytestmark = pytest.mark.timeout(900)
POLLED = {"azure-asyncoperation", "location"}


def test_no_body_shows_what_no_recorded_one_does(measured: Measurement) -> None:
    """
    Each place in a body, with the type of what stands there, is in a recorded body of the same kind.
    """
    known = read_unrecorded()

    assert [] == sorted(
        (kind, *place)
        for kind, places in measured.invented.items()
        for place in places
        if not any(entry.covers(kind, place[0]) for entry in known)
    )


@pytest.mark.parametrize("entry", read_unrecorded(), ids=lambda entry: f"{entry.kinds[0]}{entry.path}")
def test_an_unrecorded_place_is_still_shown(measured: Measurement, entry: Unrecorded) -> None:
    """
    Each kind of an entry shows the entry's place; what the sandbox no longer shows leaves the list.
    """
    shown = {kind for kind, places in measured.invented.items() for path, _ in places if entry.covers(kind, path)}

    assert set(entry.kinds) == shown


def test_what_every_recorded_answer_shows_is_shown(measured: Measurement) -> None:
    """
    Of the places that all recorded answers of an operation have, at most one in twenty is missing.
    """
    always, missing = measured.always_shown

    assert always
    assert len(missing) * 20 <= len(always), sorted(missing)


def test_accepted_requests_are_polled_where_azure_says(measured: Measurement) -> None:
    """
    An accepted request is answered with the polling headers that Azure was recorded with, and no others.
    """
    recorded = by_answer(measured.recorded)
    deviating = set()
    for (operation, status), answers in by_answer(measured.traffic).items():
        if status in (201, 202) and (operation, status) in recorded:
            known, shown = map(_polling, recorded[operation, status]), map(_polling, answers)
            deviating |= {(operation, status, headers) for headers in set(shown) - set(known)}

    assert set() == deviating


def _polling(exchange: dict[str, Any]) -> frozenset[str]:
    return frozenset(POLLED & {name.lower() for name in exchange["response"]["headers"]})
