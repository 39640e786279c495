"""Compare two runs of the same dialogues: paired differences, at equal numbers of images, and flips.

A stricter critic must not win by keeping less. So scores are compared in two ways that give both sides the
same number of images: at the moments that both kept, and over all moments with as many images from each
dialogue as the side with fewer has, the mean over every such choice.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from magid_agents.errors import ConfigError
from magid_agents.evaluation import judges
from magid_agents.evaluation.intervals import (
    Interval,
    bootstrap,
    difference,
    is_equivalent,
    mean_of_sums,
    sign_flip_test,
)
from magid_agents.evaluation.judges import Judges
from magid_agents.evaluation.match import DESCRIPTION, TEXTS
from magid_agents.evaluation.moments import EndedDialogue, JudgedMoment, clusters_of, read_dialogues
from magid_agents.evaluation.scoring import NamedScorer, Pair, Scores, measuring
from magid_agents.reading.trace import read_manifest
from magid_agents.store.rundir import RunDir

PER_DIALOGUE, SAME_MOMENTS = "per dialogue", "moments that both kept"
EQUAL_COUNTS = "as many images from each dialogue"

Change = Literal["gained", "lost", "replaced"]


class Sides(NamedTuple):
    """A dialogue in both runs."""

    left: EndedDialogue
    right: EndedDialogue


class Amounts(NamedTuple):
    """What one side's dialogue adds to a mean: a sum of values, and their number or weight."""

    total: float
    weight: float


@dataclass(frozen=True)
class PairedFigure:
    """A figure of both runs; the difference is right minus left.

    `p` is of a sign-flip test over dialogues, `equivalent` is None if no margin was given. Both belong to
    the difference of means per dialogue.
    """

    name: str
    left: float
    right: float
    difference: Interval
    p: float
    values: int  # images, moments or dialogues on each side
    equivalent: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        sides = {"left": self.left, "right": self.right}
        told = {name: None if math.isnan(value) else value for name, value in sides.items()}
        return {
            "name": self.name,
            **told,
            "difference": self.difference.as_dict(),
            "p": self.p,
            "values": self.values,
            "equivalent": self.equivalent,
        }


class Flip(NamedTuple):
    """A moment whose image only one run has, or that has another image in the right run."""

    change: Change
    dialogue: str
    utterance: int
    description: str
    left: str | None  # SHA-256 of the image
    right: str | None


@dataclass(frozen=True)
class Comparison:
    """Figures of the dialogues that have ended in both runs, by section, and the flips in input order."""

    dialogues: int
    scorers: Mapping[str, str]
    margin: float | None
    sections: Mapping[str, Sequence[PairedFigure]]
    flips: Sequence[Flip]
    notes: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        return {
            "dialogues": self.dialogues,
            "scorers": dict(self.scorers),
            "margin": self.margin,
            "sections": {name: [f.as_dict() for f in figures] for name, figures in self.sections.items()},
            "flips": [flip._asdict() for flip in self.flips],
            "notes": list(self.notes),
        }


def compare_runs(
    left: Path, right: Path, held_out: str | None = None, margin: float | None = None
) -> Comparison:
    """Compare two run directories over the dialogues that have ended in both.

    Args:
        held_out: BACKEND:MODEL of a scorer that neither run chose by.
        margin: scores whose difference is shown to be smaller are reported as equivalent.

    Raises ConfigError if no dialogue is in both, RunDirError if a directory holds no run or one is being
    written, and what choosing the judges raises.
    """
    directories = RunDir(left), RunDir(right)
    manifests = [read_manifest(directory) for directory in directories]
    chosen = judges.choose(manifests[0], held_out, manifests[1:])
    return asyncio.run(compare(directories, chosen, margin))


async def compare(
    directories: tuple[RunDir, RunDir], chosen: Judges, margin: float | None = None
) -> Comparison:
    """Compare two run directories with these judges. Raises what `compare_runs` raises."""
    left, right = (read_dialogues(directory) for directory in directories)
    others = {dialogue.id: dialogue for dialogue in right}
    alike = [Sides(dialogue, others[dialogue.id]) for dialogue in left if dialogue.id in others]
    both = [sides for sides in alike if _same_dialogue(*sides)]
    notes = list(chosen.notes)
    if differing := len(alike) - len(both):
        notes.append(f"{differing} dialogues have another text under the same id, and are left out")
    if not both:
        raise ConfigError(
            f"{directories[0].path} and {directories[1].path}: no dialogue has ended in both; compare runs "
            "over the same input"
        )
    scores: dict[str, list[Scores]] = {by.name: [] for by in chosen.scorers}
    for directory, dialogues in zip(directories, zip(*both, strict=True), strict=True):
        async with measuring(directory) as measurer:
            for by in chosen.scorers:
                pairs = (Pair(m.image or "", t(m)) for d in dialogues for m in d.kept for t in TEXTS.values())
                scores[by.name].append(await measurer.score(by, pairs))
    same, equal = list[PairedFigure](), list[PairedFigure]()
    clusters = clusters_of(both)
    for by in chosen.scorers:
        for name, score in _scores_of(by, scores[by.name]).items():
            same.append(_figure(name, clusters, _at_same_moments(score), margin))
            equal.append(_figure(name, clusters, _at_equal_count(score), margin))
    sections = {
        PER_DIALOGUE: _outcomes(clusters),
        SAME_MOMENTS: same,
        EQUAL_COUNTS: equal,
    }
    return Comparison(
        len(both),
        {by.name: by.scorer.identity for by in chosen.scorers},
        margin,
        {name: [f for f in figures if f.values] for name, figures in sections.items()},
        [flip for sides in both for flip in _flips(sides)],
        notes,
    )


def _same_dialogue(left: EndedDialogue, right: EndedDialogue) -> bool:
    """Return whether both say the same; what a failed one says is not recorded."""
    return left.failed or right.failed or left.said == right.said


Score = Callable[[int, JudgedMoment], float]  # of the image of a side, 0 the left
Measure = Callable[[Sides], Sequence[Amounts]]  # of the left and of the right


def _scores_of(by: NamedScorer, scores: Sequence[Scores]) -> dict[str, Score]:
    if not by.scorer.reads_text:
        return {by.name: _score(scores, DESCRIPTION)}
    return {f"{by.name}, {what}": _score(scores, what) for what in TEXTS}


def _score(scores: Sequence[Scores], what: str) -> Score:
    return lambda side, moment: scores[side][Pair(moment.image or "", TEXTS[what](moment))]


def _at_same_moments(score: Score) -> Measure:
    def measure(sides: Sides) -> Sequence[Amounts]:
        left, right = ({m.key: m for m in dialogue.kept} for dialogue in sides)
        pairs = [(score(0, left[key]), score(1, right[key])) for key in left.keys() & right.keys()]
        known = [pair for pair in pairs if not any(map(math.isnan, pair))]
        return [Amounts(math.fsum(pair[side] for pair in known), len(known)) for side in (0, 1)]

    return measure


def _at_equal_count(score: Score) -> Measure:
    def measure(sides: Sides) -> Sequence[Amounts]:
        scores = [[score(side, m) for m in dialogue.kept] for side, dialogue in enumerate(sides)]
        known = [[value for value in of_one if not math.isnan(value)] for of_one in scores]
        fewer = min(map(len, known))
        return [Amounts(fewer * fmean(values) if values else 0.0, fewer) for values in known]

    return measure


def _outcomes(clusters: Sequence[Sequence[Sides]]) -> list[PairedFigure]:
    amounts: dict[str, Callable[[EndedDialogue], float]] = {
        "images": lambda d: len(d.kept),
        "images after a rewrite": lambda d: sum(len(m.attempts) > 1 for m in d.kept),
        "moments": lambda d: len(d.moments),
        "moments dropped": lambda d: len(d.moments) - len(d.kept),
        "failed": lambda d: float(d.failed),
        "images painted": lambda d: sum(len(a.candidates) for m in d.moments for a in m.attempts),
        "calls": lambda d: d.calls,
        "model seconds": lambda d: d.seconds,
        "dollars": lambda d: d.cost,
    }

    def per_dialogue(amount: Callable[[EndedDialogue], float]) -> Measure:
        return lambda sides: [Amounts(amount(dialogue), 1) for dialogue in sides]

    return [_figure(name, clusters, per_dialogue(amount), None) for name, amount in amounts.items()]


def _figure(
    name: str, clusters: Sequence[Sequence[Sides]], measure: Measure, margin: float | None
) -> PairedFigure:
    measured = [[measure(sides) for sides in cluster] for cluster in clusters]
    sums = [
        [Amounts(*map(math.fsum, zip(*(one[side] for one in cluster), strict=True))) for cluster in measured]
        for side in (0, 1)
    ]
    means = [mean_of_sums([s.total for s in one], [s.weight for s in one]) for one in sums]
    apart = difference(means[1], means[0])
    count = math.fsum(s.weight for s in sums[0])
    estimates = [math.fsum(s.total for s in one) / count if count else math.nan for one in sums]
    differences = [right.total - left.total for left, right in zip(*sums, strict=True)]
    return PairedFigure(
        name,
        estimates[0],
        estimates[1],
        bootstrap(apart, len(clusters)),
        sign_flip_test(differences),
        round(count),
        None if margin is None else is_equivalent(apart, len(clusters), margin),
    )


def _flips(sides: Sides) -> list[Flip]:
    left, right = ({m.key: m for m in dialogue.moments} for dialogue in sides)
    found = []
    for key in sorted(left.keys() | right.keys()):
        images = [side[key].image if key in side else None for side in (left, right)]
        if images[0] == images[1]:
            continue
        change: Change = "gained" if images[0] is None else "lost" if images[1] is None else "replaced"
        moment = right[key] if change == "gained" else left[key]
        found.append(Flip(change, *key, moment.description, images[0], images[1]))
    return found
