"""What the critic found, as evaluation events of the spans that it judged.

Scores and verdicts are noted on the spans too: few collectors show events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from magid_agents.agents.verdict import CRITIQUE
from magid_agents.dialogue import Attempt, Candidate, Critique
from magid_agents.reading.otel import names
from magid_agents.reading.otel.run_facts import RunFacts
from magid_agents.reading.otel.spans import Attributes, Span, SpanTree, make_id
from magid_agents.reading.trace import DialogueTrace
from magid_agents.thresholds import Threshold

VERDICT = "verdict"
UNANSWERED: Attributes = {names.ERROR: "no answer"}


@dataclass
class Evaluation:
    """An event of a span. `why` explains it, in words that may quote a model."""

    uid: int
    span: Span
    at_s: float  # since 1970
    attributes: Attributes
    why: str = ""


def evaluate(one: DialogueTrace, tree: SpanTree, run: RunFacts) -> list[Evaluation]:
    """Return a dialogue's events, and note their scores and verdicts on the tree's spans."""
    events = []
    for outcome in one.decisions.outcomes:
        for number, attempt in enumerate(outcome.attempts, 1):
            place = outcome.moment.utterance, number
            critic = tree.agent(place, "critic")
            for index, (span, name, attributes, why) in enumerate(_judge(tree, place, attempt, run)):
                if names.SCORE in attributes:
                    span.attributes[names.SCORES + name] = attributes[names.SCORE]
                uid = make_id(16, tree.trace_id, *place, index)
                at_s = max(span.end_s, critic.end_s)
                events.append(Evaluation(uid, span, at_s, {names.EVALUATION_NAME: name, **attributes}, why))
            if attempt.verdict:
                critic.attributes[names.VERDICT] = attempt.verdict.decision.value
    return events


def _judge(
    tree: SpanTree, place: tuple[int, int], attempt: Attempt, run: RunFacts
) -> Iterator[tuple[Span, str, Attributes, str]]:
    """Yield the span that was judged, by which check, what came of it, and why."""
    critic = tree.agent(place, "critic")
    painted = {
        span.call.answer: span
        for span in tree.calls
        if span.call and (span.call.kind, span.call.attempt) == ("paint", place)
        if isinstance(span.call.answer, str)
    }
    judged = [painted.get(candidate.sha256, critic) for candidate in attempt.candidates]
    for span, candidate in zip(judged, attempt.candidates, strict=True):
        for check in {**candidate.scores, **candidate.unanswered}:
            yield span, check, *_score(candidate, check, run.thresholds.get(check))
    best = attempt.verdict.best if attempt.verdict else None
    if attempt.critique != Critique():
        yield judged[best] if best is not None else critic, CRITIQUE, *_critique(attempt.critique, run)
    if attempt.verdict:
        yield critic, VERDICT, {names.LABEL: attempt.verdict.decision.value}, attempt.verdict.reason


def _score(candidate: Candidate, check: str, threshold: Threshold | None) -> tuple[Attributes, str]:
    score, why = candidate.scores.get(check), candidate.unanswered.get(check, "")
    attributes = _scored(score, threshold) if score is not None else {}
    return (attributes | UNANSWERED if why else attributes), why


def _critique(critique: Critique, run: RunFacts) -> tuple[Attributes, str]:
    if not critique.questions:
        return UNANSWERED, critique.problem
    share = 1 - len(critique.failed) / len(critique.questions)
    return _scored(share, run.thresholds.get(CRITIQUE)), critique.summary


def _scored(score: float, threshold: Threshold | None) -> Attributes:
    label: Attributes = {}
    if threshold is not None:
        label = {names.LABEL: "pass" if threshold.margin(score) >= 0 else "fail"}
    return {names.SCORE: score, **label}
