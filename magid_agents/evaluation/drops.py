"""Which moments got no image: by the check that failed last, and by the subject of the description."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from magid_agents.dialogue import Attempt
from magid_agents.evaluation.figures import Figure, rate_figure
from magid_agents.evaluation.moments import Cluster, EndedDialogue, JudgedMoment

MIN_MOMENTS = 5  # that a word must occur in
MAX_WORDS = 10
UNPAINTED, UNWRITTEN, NOTHING_TO_SHOW = "not painted", "no prompt written", "nothing to show"
NO_SUBJECT = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "at",
        "beside",
        "by",
        "for",
        "from",
        "has",
        "have",
        "her",
        "his",
        "in",
        "into",
        "is",
        "it",
        "its",
        "my",
        "near",
        "next",
        "of",
        "on",
        "one",
        "or",
        "our",
        "over",
        "photo",
        "picture",
        "image",
        "showing",
        "shows",
        "small",
        "large",
        "their",
        "the",
        "them",
        "there",
        "this",
        "to",
        "two",
        "under",
        "up",
        "while",
        "with",
        "your",
    ]
)


def drops_by_check(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return the share of moments that were dropped, in all and by each check that their last attempt failed.

    A moment may fail several checks, so the shares may add up to more than that of all.
    """
    reasons = Counter(r for m in _moments(clusters) if not m.image for r in set(_reasons(m)))

    def share(reason: str | None) -> Figure:
        def values(dialogue: EndedDialogue) -> Iterator[float]:
            for m in dialogue.moments:
                yield float(not m.image and (reason is None or reason in _reasons(m)))

        return rate_figure("dropped" if reason is None else f"dropped by {reason}", clusters, values)

    return [share(None), *(share(reason) for reason, _ in reasons.most_common())]


def drops_by_subject(clusters: Sequence[Cluster]) -> list[Figure]:
    """Return the share of moments that were dropped among those whose description has a word, worst first.

    Only words of at least MIN_MOMENTS descriptions.
    """
    words = {moment.key: _words(moment.description) for moment in _moments(clusters)}
    frequent = [w for w, n in Counter(w for of in words.values() for w in of).items() if n >= MIN_MOMENTS]

    def share(word: str) -> Figure:
        def values(dialogue: EndedDialogue) -> Iterator[float]:
            return (float(not m.image) for m in dialogue.moments if word in words[m.key])

        return rate_figure(f"dropped if it shows {word!r}", clusters, values)

    found = sorted(map(share, sorted(frequent)), key=lambda f: -f.interval.estimate)
    return [figure for figure in found if figure.interval.estimate > 0][:MAX_WORDS]


def _reasons(moment: JudgedMoment) -> list[str]:
    """Return the checks that the last attempt failed, or what else kept the moment without an image."""
    if not moment.description:
        return [NOTHING_TO_SHOW]
    if not moment.attempts:
        return [UNWRITTEN]
    last: Attempt = moment.attempts[-1]
    if not last.candidates:
        return [UNPAINTED]
    if last.verdict is None or not last.verdict.shortfalls:
        return ["no answer of a check"]
    return [shortfall.check for shortfall in last.verdict.shortfalls]


def _words(description: str) -> set[str]:
    return {w for w in re.findall(r"[^\W\d_]{3,}", description.lower()) if w not in NO_SUBJECT}


def _moments(clusters: Sequence[Cluster]) -> Iterator[JudgedMoment]:
    return (m for cluster in clusters for dialogue in cluster for m in dialogue.moments)
