"""Read what a run decided, moment by moment, and what each dialogue took."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from magid_agents.dialogue import Attempt, Candidate, MomentOutcome
from magid_agents.reading.records import read_lines
from magid_agents.reading.trace import read_manifest, trace_of
from magid_agents.store.database import open_read_only
from magid_agents.store.results import READ
from magid_agents.store.rundir import RunDir

# More dialogues than this are resampled in random groups of equal size, which are independent too.
MAX_CLUSTERS = 1000


@dataclass(frozen=True)
class JudgedMoment:
    """A sharing moment with its outcome. Two runs have the same moment if dialogue and utterance agree."""

    dialogue: str
    utterance: int
    text: str  # of the utterance
    outcome: MomentOutcome

    @property
    def key(self) -> tuple[str, int]:
        return self.dialogue, self.utterance

    @property
    def description(self) -> str:
        return self.outcome.moment.description

    @property
    def attempts(self) -> Sequence[Attempt]:
        return self.outcome.attempts

    @property
    def image(self) -> str | None:
        """SHA-256 of the image that was kept."""
        return self.outcome.illustration.sha256 if self.outcome.illustration else None


@dataclass(frozen=True)
class EndedDialogue:
    """A dialogue that finished or failed. What its calls took counts reused answers too."""

    id: str
    said: Sequence[tuple[str, str]]  # speakers and texts; empty if it failed
    moments: Sequence[JudgedMoment]
    failed: bool
    calls: int
    seconds: float  # of service
    cost: float  # dollars

    @property
    def kept(self) -> Sequence[JudgedMoment]:
        """The moments with an image."""
        return [moment for moment in self.moments if moment.image]


def read_dialogues(directory: RunDir) -> list[EndedDialogue]:
    """Return a run's dialogues that have ended, in input order, failed ones last.

    Raises RunDirError if the directory holds no run.
    """
    read_manifest(directory)
    with closing(open_read_only(directory.journal)) as db:
        return [_dialogue(line, trace_of(db, line["id"], line)) for line in _result_lines(directory)]


def _result_lines(directory: RunDir) -> Iterator[Mapping[str, Any]]:
    yield from read_lines(directory.dialogues)
    # A record that could not be read is no dialogue.
    yield from (line for line in read_lines(directory.failures) if line["stage"] != READ)


def _dialogue(line: Mapping[str, Any], trace: Any) -> EndedDialogue:
    said = [(utterance["speaker"], utterance["text"]) for utterance in line.get("utterances", [])]
    moments = [
        JudgedMoment(trace.id, o.moment.utterance, said[o.moment.utterance][1], o)
        for o in trace.decisions.outcomes
    ]
    spent = trace.spent.computed, trace.spent.reused
    return EndedDialogue(
        trace.id,
        said,
        moments,
        failed=bool(trace.failure),
        calls=sum(s.calls for s in spent),
        seconds=sum(s.seconds for s in spent),
        cost=sum(s.cost for s in spent),
    )


def best_candidate(attempt: Attempt) -> Candidate | None:
    """Return the candidate that an attempt was judged by; None if no candidate was safe."""
    best = attempt.verdict.best if attempt.verdict else None
    return None if best is None else attempt.candidates[best]


Cluster = Sequence[EndedDialogue]  # what is resampled together
Item = TypeVar("Item")


def clusters_of(dialogues: Sequence[Item]) -> list[Sequence[Item]]:
    """Return each dialogue as a cluster of its own, or random groups if there are very many."""
    if len(dialogues) <= MAX_CLUSTERS:
        return [[dialogue] for dialogue in dialogues]
    groups: list[list[Item]] = [[] for _ in range(MAX_CLUSTERS)]
    # Not neighbours, which may be alike in an input.
    for place, number in enumerate(np.random.default_rng(0).permutation(len(dialogues))):
        groups[place % MAX_CLUSTERS].append(dialogues[number])
    return list(groups)
