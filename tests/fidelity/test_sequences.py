"""
The gate "sequences": recorded calls played again in their order.
"""

from __future__ import annotations

import pytest
from fidelity.measure import Measurement
from fidelity.replay import unknown_deviations
from fidelity.sequences import Known, read_known

pytestmark = pytest.mark.timeout(900)
# Why the start of a chain, and with it the chain, is not played.
NOT_STARTED = {"other workloads than virtual machines", "requests whose bodies were not recorded"}


def test_chains_go_as_recorded(measured: Measurement) -> None:
    """
    An asynchronous operation has the recorded statuses, polling headers and states, from its first call to its end.
    """
    played = [played for sequence, played in measured.replayed.sequences if sequence.whole]

    assert [] == [found for each in played for found in unknown_deviations(each)]


def test_stories_go_as_recorded(measured: Measurement) -> None:
    """
    What was asked of vaults, policies, items and others is answered with the recorded class of status, code, states and
    rows.
    """
    played = [played for sequence, played in measured.replayed.sequences if not sequence.whole]

    assert [] == [found for each in played for found in unknown_deviations(each)]


def test_a_chain_is_left_out_only_for_what_it_starts(measured: Measurement) -> None:
    """
    A chain is not played when it is of another workload, or nobody knows what it asked for.
    """
    unplayed = [played for sequence, played in measured.replayed.sequences if sequence.whole and not played.calls]

    assert NOT_STARTED >= {reason for played in unplayed for reason in played.left_out}


@pytest.mark.parametrize("entry", read_known(), ids=lambda entry: f"{entry.operation} {entry.what} {entry.recorded}")
def test_a_known_deviation_is_still_there(measured: Measurement, entry: Known) -> None:
    """
    The recording that an entry names deviates as it says; what no longer does leaves the list.
    """
    found = [each for _, played in measured.replayed.sequences for each in played.deviations]

    assert any(entry.is_shown_by(each) for each in found)
