"""What rewriting is worth: how attempts fare one after the other, and against painting more instead.

Only moments that failed are rewritten, and a score that was low by chance rises by itself. So the gain from
one attempt to the next proves little; as many paintings of the first prompt, the best of them chosen by the
same rule, are the control.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from magid_agents.agents.verdict import best, decide
from magid_agents.dialogue import Candidate, Decision
from magid_agents.evaluation.figures import Figure, mean_figure, rate_figure
from magid_agents.evaluation.moments import Cluster, EndedDialogue, JudgedMoment, best_candidate
from magid_agents.evaluation.scoring import NamedScorer, Pair, Scores
from magid_agents.thresholds import Threshold


def acceptance(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return the share of attempts that were accepted: of the first ones, of the second ones, and so on."""
    return [
        rate_figure(f"accepted at attempt {number}", clusters, _accepted_at(number))
        for number in range(1, _most_attempts(clusters) + 1)
    ]


def _accepted_at(number: int) -> Callable[[EndedDialogue], Iterator[float]]:
    def values(dialogue: EndedDialogue) -> Iterator[float]:
        for moment in dialogue.moments:
            if len(moment.attempts) >= number:
                verdict = moment.attempts[number - 1].verdict
                yield float(verdict is not None and verdict.decision is Decision.ACCEPT)

    return values


def attempt_pairs(clusters: Sequence[Cluster]) -> Iterator[Pair]:
    """Yield the judged candidate of each attempt of the rewritten moments, with its description."""
    for moment in _rewritten(clusters):
        for attempt in moment.attempts:
            if candidate := best_candidate(attempt):
                yield Pair(candidate.sha256, moment.description)


def score_by_attempt(clusters: Sequence[Cluster], by: NamedScorer, scores: Scores) -> list[Figure]:
    """Return the mean score at each attempt of rewritten moments, and the gain of the last over the first."""

    def at(moment: JudgedMoment, number: int) -> float:
        candidate = best_candidate(moment.attempts[number])
        return scores[Pair(candidate.sha256, moment.description)] if candidate else math.nan

    def at_attempt(number: int) -> Callable[[EndedDialogue], Iterator[float]]:
        return lambda d: (at(m, number) for m in _rewritten([[d]]) if len(m.attempts) > number)

    def gains(dialogue: EndedDialogue) -> Iterator[float]:
        return (at(m, -1) - at(m, 0) for m in _rewritten([[dialogue]]))

    numbers = range(_most_attempts(clusters))
    each = [
        mean_figure(f"{by.name} at attempt {n + 1}, if rewritten", clusters, at_attempt(n)) for n in numbers
    ]
    return [*each, mean_figure(f"{by.name}, last attempt minus first", clusters, gains)]


@dataclass(frozen=True)
class Contest:
    """A rewritten moment: the best image of all its attempts, and the best of as many of its first prompt."""

    moment: JudgedMoment
    rewritten: Candidate
    repainted: Candidate


def contests(
    clusters: Sequence[Cluster],
    without_rewriting: Sequence[EndedDialogue],
    thresholds: Sequence[Threshold],
) -> dict[tuple[str, int], Contest]:
    """Match rewritten moments with a run that painted at least as many images of the same first prompt.

    Both sides choose by the loop's own rule, from the same number of candidates. Moments without a safe
    candidate on either side are left out.
    """
    others = {m.key: m.attempts[0] for d in without_rewriting for m in d.moments if m.attempts}
    found = {}
    for moment in _rewritten(clusters):
        painted = [c for attempt in moment.attempts for c in attempt.candidates]
        other = others.get(moment.key)
        if other is None or other.prompt != moment.attempts[0].prompt or len(other.candidates) < len(painted):
            continue
        sides = painted, other.candidates[: len(painted)]
        chosen = [best([c.scores for c in side], thresholds) for side in sides]
        if chosen[0] is not None and chosen[1] is not None:
            found[moment.key] = Contest(moment, sides[0][chosen[0]], sides[1][chosen[1]])
    return found


def contest_pairs(found: Mapping[tuple[str, int], Contest]) -> Iterator[Pair]:
    for contest in found.values():
        for candidate in (contest.rewritten, contest.repainted):
            yield Pair(candidate.sha256, contest.moment.description)


def gain_over_repainting(
    clusters: Sequence[Cluster],
    found: Mapping[tuple[str, int], Contest],
    by: NamedScorer,
    scores: Scores,
) -> Figure:
    """Return by how much the best image with rewriting scores above the best without."""

    def gains(dialogue: EndedDialogue) -> Iterator[float]:
        for contest in _of(dialogue, found):
            pairs = [
                Pair(c.sha256, contest.moment.description) for c in (contest.rewritten, contest.repainted)
            ]
            yield scores[pairs[0]] - scores[pairs[1]]

    return mean_figure(f"{by.name}, rewriting minus repainting", clusters, gains)


def passes_over_repainting(
    clusters: Sequence[Cluster],
    found: Mapping[tuple[str, int], Contest],
    thresholds: Sequence[Threshold],
) -> Figure:
    """Return by how much more often an image passes every score with rewriting than without."""

    def passes(candidate: Candidate) -> bool:
        return decide([candidate], thresholds, None, 0, 0).decision is Decision.ACCEPT

    def gains(dialogue: EndedDialogue) -> Iterator[float]:
        for contest in _of(dialogue, found):
            yield float(passes(contest.rewritten)) - passes(contest.repainted)

    return mean_figure("passes every score, rewriting minus repainting", clusters, gains)


def _of(dialogue: EndedDialogue, found: Mapping[tuple[str, int], Contest]) -> Iterator[Contest]:
    return (found[moment.key] for moment in dialogue.moments if moment.key in found)


def _rewritten(clusters: Sequence[Cluster]) -> Iterator[JudgedMoment]:
    moments = (m for cluster in clusters for dialogue in cluster for m in dialogue.moments)
    return (moment for moment in moments if len(moment.attempts) > 1)


def _most_attempts(clusters: Sequence[Cluster]) -> int:
    moments = (m for cluster in clusters for dialogue in cluster for m in dialogue.moments)
    return max((len(moment.attempts) for moment in moments), default=0)
