"""
The gate "examples": the official example requests, each sent to a small estate that has what the example presumes.
"""

from __future__ import annotations

import pytest
from fidelity.examples import Unoffered, read_unoffered
from fidelity.measure import Measurement
from fidelity.replay import wrong_answer
from fidelity.specs import read_allowed

pytestmark = pytest.mark.timeout(900)


def test_examples_are_answered_as_documented(measured: Measurement) -> None:
    """
    The status of each answer is one that the example has an answer for; what is not offered is refused with an error.
    """
    assert [] == list(filter(None, (wrong_answer(*each) for each in measured.replayed.examples)))


def test_answers_to_examples_conform_to_the_specs(measured: Measurement) -> None:
    """
    The validator finds nothing wrong with an example's request and its answer but what Azure does too.
    """
    allowed, unoffered = read_allowed(), read_unoffered()

    assert [] == sorted(
        finding
        for example, verdict in measured.judged_examples
        for finding in verdict.findings
        if not any(entry.covers(example) for entry in unoffered) and not any(entry.covers(finding) for entry in allowed)
    )


def test_every_example_is_one_of_an_operation_of_the_specs(measured: Measurement) -> None:
    """
    No example is sent where its specs do not lead.
    """
    assert measured.judged_examples
    assert [] == [example.file for example, verdict in measured.judged_examples if verdict.operation is None]


@pytest.mark.parametrize("entry", read_unoffered(), ids=lambda entry: entry.file)
def test_what_is_not_offered_is_refused(measured: Measurement, entry: Unoffered) -> None:
    """
    An entry names one example, and its answer is none that the example has; what works leaves the list.
    """
    found = [(example, answer) for example, answer in measured.replayed.examples if entry.covers(example)]

    assert [False] == [answer["response"]["status"] in example.responses for example, answer in found]


def test_reads_are_the_same_in_capitals_and_in_small_pages(measured: Measurement) -> None:
    """
    An example that reads has the same status when its path is in capitals, and the same rows in pages of one.
    """
    assert [] == measured.replayed.faults
