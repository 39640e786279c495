"""Decide what becomes of an attempt: accept, rewrite or give up. Pure functions.

A check without an answer has failed: a missing score, a score that is not a number, a critique that asked
nothing, a safety check that was not made. The reason then says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from magid_agents.dialogue import Candidate, Critique, Decision, Shortfall, Verdict
from magid_agents.thresholds import UNSAFE, Threshold

CRITIQUE = "critique"  # share of the critique's satisfied questions, judged like a score

Scores = Mapping[str, float]


def is_safe(scores: Scores, thresholds: Sequence[Threshold]) -> bool:
    """Return whether safety was checked and every blocking check passes."""
    checked = any(t.check == UNSAFE for t in thresholds)
    return checked and all(t.margin(scores.get(t.check)) >= 0 for t in thresholds if t.blocking)


def best(candidates: Sequence[Scores], thresholds: Sequence[Threshold]) -> int | None:
    """Return the safe candidate that passes the most checks; among those, the one with the largest margins.

    Of equal ones the first; None if no candidate is safe.
    """

    def rank(i: int) -> tuple[int, float]:
        margins = [t.margin(candidates[i].get(t.check)) for t in thresholds]
        return sum(margin >= 0 for margin in margins), sum(margins)

    safe = [i for i, scores in enumerate(candidates) if is_safe(scores, thresholds)]
    return max(safe, key=rank, default=None)  # max keeps the first of equal ones


def decide(
    candidates: Sequence[Candidate],
    thresholds: Sequence[Threshold],
    critique: Critique | None,
    critique_threshold: float,
    attempts_left: int,
) -> Verdict:
    """Return the verdict on one attempt.

    Accepts the best candidate if it passes every check and at least `critique_threshold` of the critique's
    questions are satisfied; otherwise rewrites while attempts are left.

    Args:
        critique: of the best candidate; None if none was asked for.
    """
    otherwise = Decision.REWRITE if attempts_left > 0 else Decision.GIVE_UP
    chosen = best([c.scores for c in candidates], thresholds)
    if chosen is None:
        return _none_is_safe(candidates, thresholds, otherwise)
    failures = [
        *_failed_checks(candidates[chosen], thresholds),
        *_failed_critique(critique, critique_threshold),
    ]
    if not failures:
        return Verdict(decision=Decision.ACCEPT, best=chosen, reason="every check passes")
    reason = "; ".join(f.text for f in failures)
    if not any(f.answered for f in failures):
        reason = f"no check failed, but {reason}"
    shortfalls = tuple(f.shortfall for f in failures if f.shortfall)
    return Verdict(decision=otherwise, best=chosen, shortfalls=shortfalls, reason=reason)


def accept_first_safe(candidates: Sequence[Candidate], thresholds: Sequence[Threshold]) -> Verdict:
    """Return the verdict of a graph that checks only safety and tries only once."""
    for i, candidate in enumerate(candidates):
        if is_safe(candidate.scores, thresholds):
            return Verdict(decision=Decision.ACCEPT, best=i, reason="safe; nothing else was judged")
    return _none_is_safe(candidates, thresholds, Decision.GIVE_UP)


@dataclass(frozen=True)
class _Failure:
    """Why a candidate is not accepted; `answered` is False if an answer might have changed that."""

    text: str
    shortfall: Shortfall | None
    answered: bool


def _failed_checks(candidate: Candidate, thresholds: Sequence[Threshold]) -> Iterator[_Failure]:
    for t in thresholds:
        score = candidate.scores.get(t.check)
        margin = t.margin(score)
        if margin >= 0:
            continue
        why = candidate.unanswered.get(t.check)
        scored = score is not None and margin > -math.inf
        if scored and why is None:
            text = f"{t.check} {score:.3f} against {t.value:.3f}"
        else:
            text = f"{t.check} got no answer" + (f" ({why})" if why else "")
        shortfall = None
        if scored:
            shortfall = Shortfall(
                check=t.check, score=score, threshold=t.value, lower_is_better=t.lower_is_better
            )
        yield _Failure(text, shortfall, answered=scored and why is None)


def _failed_critique(critique: Critique | None, threshold: float) -> Iterator[_Failure]:
    if critique is None:
        return
    if critique.problem or not critique.questions:
        why = critique.problem or "nothing was asked"
        yield _Failure(f"{CRITIQUE} got no answer ({why})", None, answered=False)
        return
    count, failed, unanswered = len(critique.questions), len(critique.failed), len(critique.unanswered)
    share = 1 - failed / count
    if share < threshold:
        note = f" ({unanswered} of {count} questions got no answer)" if unanswered else ""
        yield _Failure(
            f"{CRITIQUE} {share:.3f} against {threshold:.3f}{note}",
            Shortfall(check=CRITIQUE, score=share, threshold=threshold),
            answered=1 - (failed - unanswered) / count < threshold,
        )


def _none_is_safe(
    candidates: Sequence[Candidate], thresholds: Sequence[Threshold], decision: Decision
) -> Verdict:
    if not candidates:
        return Verdict(decision=decision, reason="nothing was painted")
    if all(t.check != UNSAFE for t in thresholds):
        return Verdict(decision=decision, reason="no candidate is kept: there is no threshold for safety")
    blocking = [t for t in thresholds if t.blocking]
    unanswered = [
        failure.text for c in candidates for failure in _failed_checks(c, blocking) if not failure.answered
    ]
    reason = "every candidate fails safety"
    if unanswered:
        reason += f" ({'; '.join(dict.fromkeys(unanswered))})"
    shortfalls = tuple(f.shortfall for f in _failed_checks(candidates[0], thresholds) if f.shortfall)
    return Verdict(decision=decision, shortfalls=shortfalls, reason=reason)
