"""
The official examples and the recorded sequences, played on the sandbox in this process, and what the gates say of it.

Imports the modules of the gates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fidelity.examples import Example, play_example, read_examples, read_unoffered
from fidelity.likeness import Likeness
from fidelity.lists import filtered_wrongly, read_faults
from fidelity.player import play
from fidelity.recordings import Exchange
from fidelity.sequences import Deviation, Played, Sequence, read_known, read_sequences
from fidelity.specs import read_unrecorded, read_words
from fidelity.stage import Stage
from fidelity.telling import told_of

__all__ = [
    "Case",
    "Replay",
    "objections",
    "read_case",
    "replay_all",
    "unknown_deviations",
    "unknown_words",
    "unrecorded_places",
    "wrong_answer",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    What is played: examples and sequences.
    """

    examples: tuple[Example, ...]
    sequences: tuple[Sequence, ...]

    def shortened(self) -> Case:
        """
        Return the case with one of those sequences only that make the same calls and tell the same.
        """
        apart: dict[tuple[object, ...], Sequence] = {}
        for sequence in self.sequences:
            told = tuple((call["operation"], *sorted(told_of(call).items())) for call in sequence.calls)
            apart.setdefault((sequence.whole, told), sequence)
        return Case(examples=self.examples, sequences=tuple(apart.values()))


@dataclass(slots=True)
class Replay:
    """
    What came of playing.

    Args:
        examples: each example with its answer.
        sequences: each sequence with what came of it.
        traffic: the exchanges of the sequences.
        faults: what is wrong with the examples that read, when they are asked in capitals or in pages.
    """

    examples: list[tuple[Example, Exchange]] = field(default_factory=list)
    sequences: list[tuple[Sequence, Played]] = field(default_factory=list)
    traffic: list[Exchange] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def answers(self) -> list[Exchange]:
        """
        Return the exchanges of the examples.
        """
        return [exchange for _, exchange in self.examples]

    def steps(self, case: Case) -> Iterator[None]:
        """
        Play *case*, one sequence or example at a step.
        """
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Path(folder))
            try:
                for sequence in case.sequences:
                    self.sequences.append((sequence, play(sequence, stage)))
                    self.traffic += stage.exchanges
                    yield
                for example in case.examples:
                    exchange = play_example(example, stage)
                    self.examples.append((example, exchange))
                    self.faults += read_faults(exchange, stage)
                    yield
            finally:
                stage.close()


def read_case(reference: Path, recorded: Iterable[Exchange]) -> Case:
    """
    Return all that can be played of the reference data in a folder.
    """
    examples = read_examples(reference / "azure-specs" / "specification")
    return Case(examples=tuple(examples), sequences=tuple(read_sequences(recorded)))


def replay_all(case: Case) -> Replay:
    """
    Play all of *case*.
    """
    replay = Replay()
    for _ in replay.steps(case):
        pass
    return replay


def objections(replay: Replay, case: Case, likeness: Likeness, lacking: frozenset[tuple[str, str]]) -> Iterator[str]:
    """
    Play *case* into *replay*, and give what the gates object to as soon as they can, the specs apart.

    Args:
        lacking: the places, by operation, that all recorded answers show and the sandbox is known not to.
    """
    for _ in replay.steps(case):
        if replay.examples:
            yield from filter(None, [wrong_answer(*replay.examples[-1])])
        else:
            yield from (f"sequence: {each}" for each in unknown_deviations(replay.sequences[-1][1]))
    everything = replay.traffic + replay.answers
    refusals = [each for each in replay.answers if each["response"]["status"] >= 400]
    yield from (f"read: {each}" for each in replay.faults)
    yield from (f"filter: {each}" for each in filtered_wrongly(everything))
    yield from (f"body shows: {each}" for each in unrecorded_places(likeness, replay.traffic + refusals))
    yield from (f"body lacks: {each}" for each in likeness.always(replay.traffic, held=True)[1] - lacking)
    yield from (f"polling: {each}" for each in likeness.wrongly_polled(everything))
    yield from (f"header: {each}" for each in likeness.strange_headers(everything))
    yield from (f"no header: {each}" for each in likeness.lacking_headers(everything))
    yield from (f"id: {each}" for each in likeness.strange_spellings(replay.traffic))
    words, moments = likeness.strange_texts(replay.traffic)
    yield from (f"word: {each}" for each in unknown_words(words))
    yield from (f"moment: {each}" for each in sorted(moments))


def unknown_deviations(played: Played) -> list[Deviation]:
    """
    Return where the sandbox went another way than a recorded sequence and no entry tells why.
    """
    known = read_known()
    return [each for each in played.deviations if not any(entry.covers(each) for entry in known)]


def unknown_words(words: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """
    Return the words, by kind of body and place, that no entry allows.
    """
    return sorted(set(words) - {(entry.kind, entry.path, entry.word) for entry in read_words()})


def unrecorded_places(likeness: Likeness, traffic: Iterable[Exchange]) -> list[tuple[str, str, str]]:
    """
    Return the kinds of bodies, and the places with their types, that no recorded body shows and no entry allows.
    """
    known = read_unrecorded()
    return sorted(
        (kind, *place)
        for kind, places in likeness.invented(traffic).items()
        for place in places
        if not any(entry.covers(kind, place[0]) for entry in known)
    )


def wrong_answer(example: Example, exchange: Exchange) -> str:
    """
    Tell what is wrong with the status of an example's answer; nothing when it is documented, or refused on purpose.
    """
    status, body = exchange["response"]["status"], exchange["response"]["body"]
    if not any(entry.covers(example) for entry in read_unoffered()):
        return "" if status in example.responses else f"example: {example.file} is answered with {status}"
    error = body.get("error") if isinstance(body, dict) else None
    told = isinstance(error, dict) and {"code", "message"} <= error.keys()
    return "" if 400 <= status < 500 and told else f"example: {example.file} is not refused with an error"
