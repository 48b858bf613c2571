"""
The gate "recordings": what the sandbox's answers look like, held against recorded answers of Azure.
"""

from __future__ import annotations

import pytest
from fidelity.likeness import UNRECORDED_HEADERS
from fidelity.lists import filtered_wrongly
from fidelity.measure import Measurement
from fidelity.replay import unknown_words, unrecorded_places
from fidelity.specs import Unrecorded, Word, read_unrecorded, read_words

# The first test runs the sandbox's whole suite.
pytestmark = pytest.mark.timeout(900)


def test_no_body_shows_what_no_recorded_one_does(measured: Measurement) -> None:
    """
    Each place in a body, with the type of what stands there, is in a recorded body of the same kind.
    """
    assert [] == unrecorded_places(measured.likeness, measured.traffic + measured.replayed.traffic)


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
    always, lacking = measured.always_shown

    assert always
    assert len(lacking) * 20 <= len(always), sorted(lacking)


def test_what_every_recorded_answer_shows_is_played_again(measured: Measurement) -> None:
    """
    On a stage that holds what was recorded, bodies of VMs and networks show it too, but for one place in a hundred.
    """
    always, lacking = measured.likeness.always(measured.replayed.traffic, held=True)

    assert len(always) > 1000
    assert len(lacking) * 100 <= len(always), sorted(lacking)


def test_accepted_requests_are_polled_where_azure_says(measured: Measurement) -> None:
    """
    An accepted request is answered with the polling headers that Azure was recorded with, and no others.
    """
    assert set() == measured.likeness.wrongly_polled(measured.traffic + measured.replayed.traffic)


def test_no_header_is_sent_that_no_recording_of_the_provider_has(measured: Measurement) -> None:
    """
    Each header is one that the operation's provider was recorded with, or that recordings leave out.
    """
    assert set() == measured.likeness.strange_headers(measured.traffic + measured.replayed.traffic)


@pytest.mark.parametrize("name", UNRECORDED_HEADERS)
def test_a_header_that_recordings_leave_out_is_in_none(measured: Measurement, name: str) -> None:
    """
    What some recording has is no header that they leave out.
    """
    assert not any(name in map(str.lower, each["response"]["headers"]) for each in measured.recorded)


def test_no_header_is_left_out_that_every_recorder_kept(measured: Measurement) -> None:
    """
    What recorders of all headers have in each answer is in each of the sandbox's.
    """
    assert set() == measured.likeness.lacking_headers(measured.replayed.traffic)


def test_ids_are_spelled_as_recorded(measured: Measurement) -> None:
    """
    The fixed words of an id are spelled as in a recorded body at that place, or as in the request.
    """
    assert set() == measured.likeness.strange_spellings(measured.replayed.traffic)


def test_words_are_recorded_ones(measured: Measurement) -> None:
    """
    Where all recorded texts are a few words, the sandbox's are among them, but for those that an entry names.
    """
    words, _ = measured.likeness.strange_texts(measured.replayed.traffic)

    assert [] == unknown_words(words)


@pytest.mark.parametrize("entry", read_words(), ids=lambda entry: f"{entry.kind}{entry.path}")
def test_an_unrecorded_word_is_still_shown(measured: Measurement, entry: Word) -> None:
    """
    What the sandbox no longer shows leaves the list.
    """
    words, _ = measured.likeness.strange_texts(measured.replayed.traffic)

    assert (entry.kind, entry.path, entry.word) in words


def test_moments_name_their_zone_as_recorded(measured: Measurement) -> None:
    """
    Where all recorded texts are moments, so are the sandbox's, and end as one of them.
    """
    _, moments = measured.likeness.strange_texts(measured.traffic + measured.replayed.traffic)

    assert set() == moments


def test_no_list_has_a_row_that_its_filter_excludes(measured: Measurement) -> None:
    """
    A filter leaves out what it does not name.
    """
    assert [] == filtered_wrongly(measured.traffic + measured.replayed.traffic)
