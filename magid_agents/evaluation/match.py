"""How well kept images match their texts, beside a floor: the same images, other dialogues' texts."""

from collections.abc import Callable, Iterator, Sequence

from magid_agents.evaluation.figures import Figure, mean_figure
from magid_agents.evaluation.moments import Cluster, EndedDialogue, JudgedMoment
from magid_agents.evaluation.scoring import NamedScorer, Pair, Scores

DESCRIPTION, UTTERANCE = "description", "utterance"
Text = Callable[[JudgedMoment], str]
TEXTS: dict[str, Text] = {DESCRIPTION: lambda m: m.description, UTTERANCE: lambda m: m.text}


def match_pairs(clusters: Sequence[Cluster]) -> Iterator[Pair]:
    """Yield every image with its description, its utterance, and those of another dialogue."""
    others = strangers(clusters)
    for moment in _kept(clusters):
        for text in TEXTS.values():
            yield Pair(moment.image or "", text(moment))
            if other := others.get(moment.key):
                yield Pair(moment.image or "", text(other))


def match_figures(clusters: Sequence[Cluster], by: NamedScorer, scores: Scores) -> list[Figure]:
    """Return the mean score against each text, against another dialogue's, and their difference."""
    if not by.scorer.reads_text:
        return [_figure(by.name, clusters, lambda m: scores[_pair(m, m.description)])]
    others = strangers(clusters)
    figures = []
    for what, text in TEXTS.items():

        def own(m: JudgedMoment, text: Text = text) -> float:
            return scores[_pair(m, text(m))]

        def shuffled(m: JudgedMoment, text: Text = text) -> float:
            return scores[_pair(m, text(others[m.key]))] if m.key in others else float("nan")

        figures += [
            _figure(f"{by.name}, {what}", clusters, own),
            _figure(f"{by.name}, another dialogue's {what}", clusters, shuffled),
            _figure(f"{by.name}, {what}, above that floor", clusters, lambda m: own(m) - shuffled(m)),
        ]
    return figures


def strangers(clusters: Sequence[Cluster]) -> dict[tuple[str, int], JudgedMoment]:
    """Return for each kept moment one of another dialogue, half the list further on, if there is one."""
    kept = list(_kept(clusters))
    half = len(kept) // 2
    pairs = ((moment, kept[(i + half) % len(kept)]) for i, moment in enumerate(kept))
    return {moment.key: other for moment, other in pairs if other.dialogue != moment.dialogue}


def _figure(name: str, clusters: Sequence[Cluster], value: Callable[[JudgedMoment], float]) -> Figure:
    def values(dialogue: EndedDialogue) -> Iterator[float]:
        return map(value, dialogue.kept)

    return mean_figure(name, clusters, values)


def _pair(moment: JudgedMoment, text: str) -> Pair:
    return Pair(moment.image or "", text)


def _kept(clusters: Sequence[Cluster]) -> Iterator[JudgedMoment]:
    return (moment for cluster in clusters for dialogue in cluster for moment in dialogue.kept)
