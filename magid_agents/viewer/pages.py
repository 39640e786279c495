"""What each page shows, as plain values for the templates; the report is made of the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from magid_agents.dialogue import Attempt, Candidate, Decision, MomentOutcome
from magid_agents.reading.calls import RecordedCall, Spent
from magid_agents.reading.index import Index
from magid_agents.reading.query import Filter, Summary
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.rundir import REJECTED
from magid_agents.viewer.charts import Chart, Meter, chart, meter
from magid_agents.viewer.evaluation_chart import ShownSection, read_evaluation
from magid_agents.viewer.words import Piece, changes

MAX_SHOWN_CHARS = 2000  # of a text, before the rest is folded
MAX_ALT_CHARS = 200  # read out with each image


class Picture(NamedTuple):
    """An image by its SHA-256. One that failed safety is blurred until the reader asks to see it."""

    sha256: str
    blurred: bool
    alt: str


@dataclass(frozen=True)
class ShownCandidate:
    picture: Picture
    seed: int | None
    meters: list[Meter]
    unanswered: Mapping[str, str]
    best: bool


@dataclass(frozen=True)
class ShownAttempt:
    number: int
    attempt: Attempt
    pieces: list[Piece]  # the prompt, with what changed since the one before
    candidates: list[ShownCandidate]
    decision: Decision | None
    spent: Spent
    calls: list[RecordedCall]


@dataclass(frozen=True)
class ShownMoment:
    number: int
    outcome: MomentOutcome
    attempts: list[ShownAttempt]
    picture: Picture | None  # the one that was kept


@dataclass(frozen=True)
class Bubble:
    """An utterance in the chat, with the sharing moments after it."""

    number: int
    speaker: str
    text: str
    side: int  # 0 or 1
    moments: list[ShownMoment]
    probability: float | None


@dataclass(frozen=True)
class RunPage:
    summary: Summary
    charts: list[Chart]
    attempts: list[tuple[int, int, float]]  # attempts, moments, share of the most
    evaluation: list[ShownSection]  # of the whole run; empty if only some dialogues are wanted


def run_page(index: Index, wanted: Filter) -> RunPage:
    summary = index.summary(wanted)
    most = max(summary.attempts.values(), default=1) or 1
    attempts = [(number, count, count / most) for number, count in summary.attempts.items()]
    charts = [chart(check, index.histogram(check, wanted)) for check in index.checks()]
    evaluation = read_evaluation(index.directory) if wanted == Filter() else []
    return RunPage(summary, charts, attempts, evaluation)


@dataclass(frozen=True)
class DialoguePage:
    trace: DialogueTrace
    bubbles: list[Bubble]
    moments: list[ShownMoment]
    other_calls: list[RecordedCall]  # those of no attempt that is shown

    @property
    def only_scanned(self) -> bool:
        """Whether the other calls are all the scanner's."""
        return all(call.attempt is None for call in self.other_calls)


def dialogue_page(index: Index, dialogue: str) -> DialoguePage | None:
    """Return what a dialogue's page shows; None if the run has no such dialogue."""
    trace = index.trace(dialogue)
    if trace is None:
        return None
    moments = [_moment(index, trace, i, outcome) for i, outcome in enumerate(trace.decisions.outcomes)]
    record = index.result(dialogue) or {}
    utterances: Sequence[Mapping[str, Any]] = record.get("utterances", [])
    speakers = list(dict.fromkeys(u["speaker"] for u in utterances))
    bubbles = [
        Bubble(
            i,
            u["speaker"],
            u["text"],
            speakers.index(u["speaker"]) % 2,
            [m for m in moments if m.outcome.moment.utterance == i],
            trace.decisions.share_probabilities.get(i),
        )
        for i, u in enumerate(utterances)
    ]
    shown = {call.step for moment in moments for attempt in moment.attempts for call in attempt.calls}
    return DialoguePage(trace, bubbles, moments, [call for call in trace.calls if call.step not in shown])


def _moment(index: Index, trace: DialogueTrace, number: int, outcome: MomentOutcome) -> ShownMoment:
    utterance, before = outcome.moment.utterance, None
    attempts = []
    for i, attempt in enumerate(outcome.attempts, 1):
        best = attempt.verdict.best if attempt.verdict else None
        attempts.append(
            ShownAttempt(
                i,
                attempt,
                changes(before, attempt.prompt),
                [_candidate(index, c, outcome, best=j == best) for j, c in enumerate(attempt.candidates)],
                attempt.verdict.decision if attempt.verdict else None,
                trace.spent_on(utterance, i),
                [call for call in trace.calls if call.attempt == (utterance, i)],
            )
        )
        before = attempt.prompt
    kept = outcome.illustration
    shown = picture(index, kept.sha256, kept.description) if kept else None
    return ShownMoment(number, outcome, attempts, shown)


def _candidate(index: Index, candidate: Candidate, outcome: MomentOutcome, *, best: bool) -> ShownCandidate:
    return ShownCandidate(
        picture(index, candidate.sha256, outcome.moment.description),
        candidate.seed,
        [meter(check, score, index.limits.get(check)) for check, score in candidate.scores.items()],
        candidate.unanswered,
        best,
    )


def picture(index: Index, sha256: str, alt: str) -> Picture:
    """Return how an image of the run is shown."""
    rejected = index.directory.image_name_of(sha256).startswith(f"{REJECTED}/")
    return Picture(sha256, rejected, alt[:MAX_ALT_CHARS])


def pretty(value: Any) -> str:
    """Return a call's request or answer as a person reads it: JSON indented, text as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, indent=2, ensure_ascii=False)


def messages(call: RecordedCall) -> list[tuple[str, str]]:
    """Return the messages that a chat model was sent, by role; none for other calls."""
    found = call.request.get("messages")
    if not isinstance(found, list):
        return []
    return [(str(pair[0]), str(pair[1])) for pair in found if isinstance(pair, list) and len(pair) == 2]


def parameters(call: RecordedCall) -> dict[str, Any]:
    """Return the rest of a request."""
    return {name: value for name, value in call.request.items() if name != "messages"}
