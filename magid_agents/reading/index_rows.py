"""Turn one dialogue into rows of the index: the part of its record and decisions that views need."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from magid_agents.agents.verdict import CRITIQUE
from magid_agents.thresholds import Threshold

MAX_FIRST_TEXT_CHARS = 200
VERDICT_NEEDS = ("scores", "unanswered")  # of a candidate


_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Moment(NamedTuple):
    """A row of the table `moments`, without dialogue and number, and `made` of the table `attempts`."""

    utterance: int
    description: str
    outcome: str  # accepted or dropped
    attempts: int
    sha256: str | None  # of the image that was kept or came closest
    prompt: str
    reason: str
    nearest: float | None
    made: str | None  # its attempts as JSON, with what a verdict depends on; None if there are none


class Score(NamedTuple):
    """A row of the table `scores`: one check of the candidate that an attempt was judged by.

    Of the attempt's other candidates, the checks that they fail.
    """

    check: str
    score: float | None
    failed: bool
    moment: int  # its number in the dialogue
    attempt: int
    judged: bool  # whether the attempt was judged by this candidate
    others_failed: int  # how many other checks the candidate fails


class Rows(NamedTuple):
    """Everything that the index holds about a dialogue, except what its calls took."""

    first_text: str
    said: bytes  # a digest of speakers and texts
    moments: Sequence[Moment]
    scores: Sequence[Score]
    text: str  # everything that a search can find


def rows(
    record: Mapping[str, Any], decisions: Mapping[str, Any] | None, limits: Mapping[str, Threshold]
) -> Rows:
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
        last = list[Score]()
        for i, attempt in enumerate(outcome.get("attempts", []), 1):
            last = list(_scores(attempt, number, i, limits))
            scores += last
        moments.append(_moment(outcome, last, limits))
        words += _words(outcome)
    first = next((u["text"] for u in utterances if u["text"].strip()), "")
    told = json.dumps([[u["speaker"], u["text"]] for u in utterances]).encode()
    return Rows(
        " ".join(first.split())[:MAX_FIRST_TEXT_CHARS],
        hashlib.blake2b(told, digest_size=16).digest(),
        moments,
        scores,
        "\n".join(words),
    )


def distance(score: float, limit: float) -> float:
    """Return a score's distance from its threshold, relative to it, since checks have different units."""
    return abs(score - limit) / abs(limit) if limit else abs(score - limit)


def _scores(
    attempt: Mapping[str, Any], moment: int, number: int, limits: Mapping[str, Threshold]
) -> Iterator[Score]:
    candidates, verdict = attempt.get("candidates", []), attempt.get("verdict") or {}
    best = verdict.get("best") or 0
    short = {shortfall["check"] for shortfall in verdict.get("shortfalls", [])}
    checks = [limit for check, limit in limits.items() if check != CRITIQUE]
    for i, candidate in enumerate(candidates):
        scores, unanswered = candidate.get("scores", {}), candidate.get("unanswered", {})
        fails = {limit.check for limit in checks if limit.margin(scores.get(limit.check)) < 0}
        if i != best:
            for check in fails & scores.keys():
                yield Score(check, scores[check], False, moment, number, False, len(fails) - 1)
            continue
        for check in scores | unanswered:
            others = len(fails) - (check in fails)
            failed = check in short or check in unanswered
            yield Score(check, scores.get(check), failed, moment, number, True, others)
    critique = attempt.get("critique", {})
    if candidates and (questions := critique.get("questions")):
        share = sum(bool(q.get("satisfied")) for q in questions) / len(questions)
        failed = CRITIQUE in short or (CRITIQUE in limits and share < limits[CRITIQUE].value)
        yield Score(CRITIQUE, share, failed, moment, number, True, 0)
    elif candidates and critique.get("problem"):
        yield Score(CRITIQUE, None, True, moment, number, True, 0)


def _moment(outcome: Mapping[str, Any], last: Sequence[Score], limits: Mapping[str, Threshold]) -> Moment:
    """Return the row of a moment, given the scores of its last attempt."""
    moment, kept = outcome["moment"], outcome.get("illustration")
    attempts = outcome.get("attempts", [])
    end = attempts[-1] if attempts else {}
    candidates, verdict = end.get("candidates", []), end.get("verdict") or {}
    sha256 = candidates[verdict.get("best") or 0]["sha256"] if candidates else None
    far = [
        distance(s.score, limits[s.check].value)
        for s in last
        if s.judged and s.score is not None and s.check in limits
    ]
    return Moment(
        moment["utterance"],
        moment["description"],
        "accepted" if kept else "dropped",
        len(attempts) or (kept["attempts"] if kept else 0),
        kept["sha256"] if kept else sha256,
        kept["prompt"] if kept else end.get("prompt", ""),
        (outcome.get("dropped") or {}).get("reason", "") if not kept else verdict.get("reason", ""),
        min((d for d in far if math.isfinite(d)), default=None),
        _dumps([_made(attempt) for attempt in attempts]) if attempts else None,
    )


def _made(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attempt without what no verdict depends on."""
    candidates = [
        {"sha256": c["sha256"], "seed": None, "model": ""} | {k: c[k] for k in VERDICT_NEEDS if k in c}
        for c in attempt.get("candidates", [])
    ]
    made: dict[str, Any] = {"prompt": "", "candidates": candidates}
    if "critique" in attempt:
        made["critique"] = attempt["critique"]
    if verdict := attempt.get("verdict"):
        made["verdict"] = {k: verdict[k] for k in ("decision", "best", "shortfalls") if k in verdict}
    return made


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
