"""What a run made of its dialogues, and what that took."""

import math
from collections.abc import Iterator, Sequence

from magid_agents.dialogue import Question
from magid_agents.evaluation.figures import Figure, mean_figure, rate_figure, ratio_figure
from magid_agents.evaluation.moments import Cluster, EndedDialogue


def yield_figures(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return images and moments per dialogue, and the share of dialogues that have an image or failed."""
    return [
        mean_figure("images per dialogue", clusters, lambda d: [len(d.kept)]),
        mean_figure("sharing moments per dialogue", clusters, lambda d: [len(d.moments)]),
        rate_figure("moments with an image", clusters, lambda d: (float(bool(m.image)) for m in d.moments)),
        rate_figure("dialogues with an image", clusters, lambda d: [float(bool(d.kept))]),
        rate_figure("dialogues that failed", clusters, lambda d: [float(d.failed)]),
    ]


def spent_figures(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return what an accepted image takes, with all that was spent on dialogues and moments without one.

    Reused answers count as if they had been computed here, so that resuming makes no run look cheap.
    """
    return [
        ratio_figure("images painted per accepted image", clusters, _painted, _kept),
        ratio_figure("calls per accepted image", clusters, lambda d: d.calls, _kept),
        ratio_figure("model seconds per accepted image", clusters, lambda d: d.seconds, _kept),
        ratio_figure("dollars per accepted image", clusters, lambda d: d.cost, _kept),
    ]


def critique_figures(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return how the questions about kept images were answered; without an answer none is satisfied."""

    def satisfied(dialogue: EndedDialogue) -> Iterator[float]:
        return (float(q.satisfied is True) for q in _questions(dialogue))

    def probability(dialogue: EndedDialogue) -> Iterator[float]:
        return (math.nan if q.yes_probability is None else q.yes_probability for q in _questions(dialogue))

    return [
        rate_figure("questions satisfied", clusters, satisfied),
        mean_figure("probability of Yes", clusters, probability),
    ]


def score_figures(clusters: Sequence[Cluster], checks: Sequence[str]) -> list[Figure]:
    """Return the mean of the scores that kept images were judged by."""

    def score(check: str) -> Figure:
        def values(dialogue: EndedDialogue) -> Iterator[float]:
            illustrations = (moment.outcome.illustration for moment in dialogue.kept)
            return (i.scores.get(check, math.nan) for i in illustrations if i)

        return mean_figure(check, clusters, values)

    return [score(check) for check in checks]


def _questions(dialogue: EndedDialogue) -> Iterator[Question]:
    for moment in dialogue.kept:
        if moment.outcome.illustration:
            yield from moment.outcome.illustration.questions


def _kept(dialogue: EndedDialogue) -> float:
    return len(dialogue.kept)


def _painted(dialogue: EndedDialogue) -> float:
    return sum(len(a.candidates) for m in dialogue.moments for a in m.attempts)
