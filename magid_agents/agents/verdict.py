"""The decision: accept, rewrite or give up. One pure function of what is known of an attempt.

Knows scores, thresholds, the critique and how many attempts are left; knows no model and no prompt.
"""

from collections.abc import Mapping, Sequence

from magid_agents.dialogue import Critique, Decision, Shortfall, Verdict
from magid_agents.thresholds import Threshold

CRITIQUE = "critique"  # the share of the critique's questions that were satisfied, judged like a score

Scores = Mapping[str, float]


def is_safe(scores: Scores, thresholds: Sequence[Threshold]) -> bool:
    """Return whether every vital check passes. A missing score fails its check."""
    return all(t.margin(scores.get(t.check, float("nan"))) >= 0 for t in thresholds if t.vital)


def best(candidates: Sequence[Scores], thresholds: Sequence[Threshold]) -> int | None:
    """The candidate that passes most checks, then the one with the widest margins; the first of equals.

    None where every candidate fails a vital check. A missing score fails its check.
    """
    ranked: list[tuple[int, float, int]] = []
    for i, scores in enumerate(candidates):
        if not is_safe(scores, thresholds):
            continue
        margins = {t: t.margin(scores.get(t.check, float("nan"))) for t in thresholds}
        passed = sum(margin >= 0 for margin in margins.values())
        ranked.append((passed, sum(margins.values()), -i))
    return -max(ranked)[2] if ranked else None


def decide(
    candidates: Sequence[Scores],
    thresholds: Sequence[Threshold],
    critique: Critique | None,
    critique_limit: float,
    attempts_left: int,
) -> Verdict:
    """The verdict on one attempt; `critique` is of the best candidate, None where none was asked for.

    Accepts when every check passes and at least `critique_limit` of the critique's questions are
    satisfied; else rewrites while attempts are left.
    """
    otherwise = Decision.REWRITE if attempts_left > 0 else Decision.GIVE_UP
    chosen = best(candidates, thresholds)
    if chosen is None:
        why = "every candidate fails safety" if candidates else "nothing was painted"
        worst = _shortfalls(candidates[0], thresholds) if candidates else ()
        return Verdict(decision=otherwise, shortfalls=worst, reason=why)
    short = list(_shortfalls(candidates[chosen], thresholds))
    if critique is not None and critique.questions:
        share = 1 - len(critique.failed) / len(critique.questions)
        if share < critique_limit:
            short.append(Shortfall(check=CRITIQUE, score=share, threshold=critique_limit))
    if not short:
        return Verdict(decision=Decision.ACCEPT, best=chosen, reason="every check passes")
    reason = "; ".join(f"{s.check} {s.score:.3f} against {s.threshold:.3f}" for s in short)
    return Verdict(decision=otherwise, best=chosen, shortfalls=tuple(short), reason=reason)


def _shortfalls(scores: Scores, thresholds: Sequence[Threshold]) -> tuple[Shortfall, ...]:
    return tuple(
        Shortfall(check=t.check, score=scores.get(t.check, float("nan")), threshold=t.limit)
        for t in thresholds
        if t.margin(scores.get(t.check, float("nan"))) < 0
    )
