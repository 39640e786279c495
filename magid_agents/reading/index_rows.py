"""Turn one dialogue into rows of the index: the part of its record and decisions that views need."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from magid_agents.agents.verdict import CRITIQUE

MAX_FIRST_TEXT_CHARS = 200


class Moment(NamedTuple):
    """A row of the table `moments`, without dialogue and number."""

    utterance: int
    description: str
    outcome: str  # accepted or dropped
    attempts: int
    sha256: str | None  # of the image that was kept or came closest
    prompt: str
    reason: str
    nearest: float | None


class Score(NamedTuple):
    """A row of the table `scores`: one check of one candidate."""

    check: str
    score: float | None
    failed: bool
    moment: int  # its number in the dialogue
    attempt: int
    judged: bool  # whether the attempt was judged by this candidate


class Rows(NamedTuple):
    """Everything that the index holds about a dialogue, except what its calls took."""

    first_text: str
    moments: Sequence[Moment]
    scores: Sequence[Score]
    text: str  # everything that a search can find


def rows(record: Mapping[str, Any], decisions: Mapping[str, Any] | None, limits: Mapping[str, float]) -> Rows:
    """Return the rows of a finished dialogue.

    Args:
        record: its line of dialogues.jsonl.
        decisions: from its recorded answer; None if an early version recorded none.
        limits: thresholds by check, including the critique's.
    """
    utterances = record["utterances"]
    outcomes = _outcomes(record) if decisions is None else decisions.get("outcomes", [])
    moments, scores = [], list[Score]()
    words = [f"{u['speaker']} {u['text']}" for u in utterances]
    for number, outcome in enumerate(outcomes):
        attempts = outcome.get("attempts", [])
        judged = [_judged(attempt, limits) for attempt in attempts]
        for i, (attempt, checks) in enumerate(zip(attempts, judged, strict=True), 1):
            scores += [Score(check, score, failed, number, i, True) for check, score, failed in checks]
            scores += [Score(check, score, False, number, i, False) for check, score in _others(attempt)]
        moments.append(_moment(outcome, judged[-1] if judged else [], limits))
        words += _words(outcome)
    first = next((u["text"] for u in utterances if u["text"].strip()), "")
    return Rows(" ".join(first.split())[:MAX_FIRST_TEXT_CHARS], moments, scores, "\n".join(words))


def distance(score: float, limit: float) -> float:
    """Return a score's distance from its threshold, relative to it, since checks have different units."""
    return abs(score - limit) / abs(limit) if limit else abs(score - limit)


Judged = tuple[str, float | None, bool]  # check, score, whether it failed


def _judged(attempt: Mapping[str, Any], limits: Mapping[str, float]) -> list[Judged]:
    """Return the checks of the candidate that an attempt was judged by."""
    candidates, verdict = attempt.get("candidates", []), attempt.get("verdict") or {}
    if not candidates:
        return []
    best = candidates[verdict.get("best") or 0]
    failed = {shortfall["check"] for shortfall in verdict.get("shortfalls", [])}
    unanswered = best.get("unanswered", {})
    scores = best.get("scores", {})
    found: list[Judged] = [
        (check, scores.get(check), check in failed or check in unanswered)
        for check in dict.fromkeys([*scores, *unanswered])
    ]
    critique = attempt.get("critique", {})
    if questions := critique.get("questions"):
        share = sum(bool(q.get("satisfied")) for q in questions) / len(questions)
        found.append((CRITIQUE, share, CRITIQUE in failed or share < limits.get(CRITIQUE, 0.0)))
    elif critique.get("problem"):
        found.append((CRITIQUE, None, True))
    return found


def _others(attempt: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the scores of the candidates that the attempt was not judged by."""
    best = (attempt.get("verdict") or {}).get("best") or 0
    for i, candidate in enumerate(attempt.get("candidates", [])):
        if i != best:
            yield from candidate.get("scores", {}).items()


def _moment(outcome: Mapping[str, Any], judged: Sequence[Judged], limits: Mapping[str, float]) -> Moment:
    moment, kept = outcome["moment"], outcome.get("illustration")
    attempts = outcome.get("attempts", [])
    last = attempts[-1] if attempts else {}
    candidates, verdict = last.get("candidates", []), last.get("verdict") or {}
    sha256 = candidates[verdict.get("best") or 0]["sha256"] if candidates else None
    far = [
        distance(score, limits[check]) for check, score, _ in judged if score is not None and check in limits
    ]
    return Moment(
        moment["utterance"],
        moment["description"],
        "accepted" if kept else "dropped",
        len(attempts) or (kept["attempts"] if kept else 0),
        kept["sha256"] if kept else sha256,
        kept["prompt"] if kept else last.get("prompt", ""),
        (outcome.get("dropped") or {}).get("reason", "") if not kept else verdict.get("reason", ""),
        min((d for d in far if math.isfinite(d)), default=None),
    )


def _words(outcome: Mapping[str, Any]) -> Iterator[str]:
    moment = outcome["moment"]
    yield moment["description"]
    yield moment.get("rationale", "")
    if dropped := outcome.get("dropped"):
        yield dropped["reason"]
    for attempt in outcome.get("attempts", []):
        yield attempt["prompt"]
        critique = attempt.get("critique", {})
        yield critique.get("comment", "")
        for question in critique.get("questions", []):
            yield question["question"]


def _outcomes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the outcomes in a line of the dataset, in the form of recorded decisions."""
    found = []
    for i, utterance in enumerate(record["utterances"]):
        for image in utterance["images"]:
            moment = {"utterance": i, "description": image["description"], "rationale": image["rationale"]}
            found.append({"moment": moment, "illustration": image})
    for drop in record["dropped"]:
        moment = {"utterance": drop["utterance"], "description": drop["description"]}
        found.append({"moment": moment, "dropped": drop})
    return sorted(found, key=lambda outcome: outcome["moment"]["utterance"])
