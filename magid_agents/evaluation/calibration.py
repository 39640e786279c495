"""Find a scorer's threshold from images with their own texts and with texts of other dialogues.

The images are all that first attempts painted: nobody has chosen them by the score. A hash of its id puts
each dialogue into one of two halves. The threshold is found on one half and judged on the other.
"""

import asyncio
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from magid_agents.config import ConfigError, ScorerSettings
from magid_agents.errors import unknown
from magid_agents.evaluation.figures import Figure, rate_figure_of
from magid_agents.evaluation.intervals import Array, Interval, Statistic, bootstrap
from magid_agents.evaluation.moments import JudgedMoment, clusters_of, read_dialogues
from magid_agents.evaluation.scoring import NamedScorer, Pair, measuring
from magid_agents.models import scorers
from magid_agents.reading.trace import read_manifest
from magid_agents.store.rundir import RunDir

OTHERS = 8  # texts of other dialogues that each image is scored against
MIN_DIALOGUES = 4  # with an image, in each half
ROC_POINTS = 101


class Scored(NamedTuple):
    """A dialogue's scores: of images with their own text, and with other dialogues' texts."""

    matched: Sequence[float]
    mismatched: Sequence[float]


@dataclass(frozen=True)
class Calibration:
    """A threshold, and how it does on dialogues that it was not found on."""

    check: str
    scorer: str  # identity
    lower_is_better: bool
    false_accepts: float  # the rate that was asked for
    threshold: Interval
    current: float  # threshold of the first run
    figures: Sequence[Figure]  # on the other half
    dialogues: tuple[int, int]  # that it was found on and judged on
    roc: Sequence[tuple[float, float]]  # false and true accepts on the other half, threshold by threshold

    @property
    def setting(self) -> str:
        """The threshold as a setting, rounded to the stricter side."""
        digits = 10**4
        rounded = math.floor if self.lower_is_better else math.ceil
        return f"scorers.{self.check}.threshold={rounded(self.threshold.estimate * digits) / digits:g}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "scorer": self.scorer,
            "false_accepts": self.false_accepts,
            "threshold": self.threshold.as_dict(),
            "current": self.current,
            "setting": self.setting,
            "dialogues": list(self.dialogues),
            "figures": [figure.as_dict() for figure in self.figures],
            "roc": [list(point) for point in self.roc],
        }


def calibrate(check: str, paths: Sequence[Path], false_accepts: float = 0.05) -> Calibration:
    """Return the loosest threshold that lets no more than this share of mismatched pairs pass.

    Raises ConfigError for a check that compares with no text, runs whose scorers differ, and too few
    dialogues; RunDirError if a directory holds no run or one is being written; and what building the scorer
    raises.
    """
    directories = [RunDir(path) for path in paths]
    manifests = [read_manifest(directory) for directory in directories]
    _check_alike(check, directories, manifests)
    settings = ScorerSettings.model_validate(manifests[0]["settings"]["scorers"][check])
    by = NamedScorer(check, scorers.build(check, settings), settings.arguments)
    if not by.scorer.reads_text:
        raise ConfigError(f"{check}: its scorer compares an image with no text, so no pair can be mismatched")
    if (used := manifests[0]["models"][f"scorers.{check}"]) != by.scorer.identity:
        raise ConfigError(
            f"{check}: {paths[0]} was judged by {used}, and its settings now name {by.scorer.identity}; run "
            "it again with --update first"
        )
    threshold = scorers.threshold(check, settings)
    scored = asyncio.run(score_halves(directories, by, settings.compare_to))
    return choose_threshold(
        check, by.scorer.identity, scored, false_accepts, threshold.value, threshold.lower_is_better
    )


def _check_alike(check: str, directories: Sequence[RunDir], manifests: Sequence[Mapping[str, Any]]) -> None:
    place = f"scorers.{check}"
    for directory, manifest in zip(directories, manifests, strict=True):
        known = manifest["settings"]["scorers"]
        if check not in known:
            raise ConfigError(f"{directory.path}: {unknown('check', check, known)}")
        first = manifests[0]
        same_text = known[check].get("compare_to") == first["settings"]["scorers"][check].get("compare_to")
        if manifest["models"][place] != first["models"][place] or not same_text:
            raise ConfigError(
                f"{directory.path}: its {check} is another scorer, or compares with another text, than that "
                f"of {directories[0].path}; calibrate them one by one"
            )


async def score_halves(
    directories: Sequence[RunDir], by: NamedScorer, compare_to: str
) -> tuple[list[Scored], list[Scored]]:
    """Return the scores of the dialogues of each half, the calibrating one first."""
    halves: tuple[dict[str, Scored], dict[str, Scored]] = {}, {}
    for directory in directories:
        moments = [m for d in read_dialogues(directory) for m in d.moments if m.attempts]
        async with measuring(directory) as measurer:
            for number, half in enumerate(halves):
                pairs = list(_pairs([m for m in moments if half_of(m.dialogue) == number], compare_to))
                scores = await measurer.score(by, (pair for _, _, pair in pairs))
                for dialogue, matched, pair in pairs:
                    found = half.setdefault(dialogue, Scored([], []))
                    if not math.isnan(scores[pair]):
                        list.append(found.matched if matched else found.mismatched, scores[pair])  # type: ignore[arg-type]  # made as lists
    return list(halves[0].values()), list(halves[1].values())


def half_of(dialogue: str) -> int:
    """Return 0 or 1, by a hash of the id: the same in every run."""
    return hashlib.sha256(dialogue.encode(errors="surrogatepass")).digest()[0] % 2


def _pairs(moments: Sequence[JudgedMoment], compare_to: str) -> Iterator[tuple[str, bool, Pair]]:
    """Yield dialogue, whether the text is the image's own, and the pair, for all images of first attempts."""
    for place, moment in enumerate(moments):
        # Spread over the list, so that neighbours, which may be alike, are not the only ones.
        spread = (moments[(place + 1 + i * len(moments) // OTHERS) % len(moments)] for i in range(OTHERS))
        others = {_text(other, compare_to) for other in spread if other.dialogue != moment.dialogue}
        for candidate in moment.attempts[0].candidates:
            yield moment.dialogue, True, Pair(candidate.sha256, _text(moment, compare_to))
            for text in sorted(others - {_text(moment, compare_to)}):
                yield moment.dialogue, False, Pair(candidate.sha256, text)


def _text(moment: JudgedMoment, compare_to: str) -> str:
    texts = {"description": moment.description, "utterance": moment.text, "prompt": moment.attempts[0].prompt}
    return texts[compare_to]


def choose_threshold(
    check: str,
    scorer: str,
    halves: tuple[Sequence[Scored], Sequence[Scored]],
    false_accepts: float,
    current: float,
    lower_is_better: bool,
) -> Calibration:
    """Find the threshold on the first half and judge it on the second. Raises ConfigError for too few."""
    sizes = [sum(bool(s.matched and s.mismatched) for s in half) for half in halves]
    if min(sizes) < MIN_DIALOGUES:
        raise ConfigError(
            f"{check}: the halves have {sizes[0]} and {sizes[1]} dialogues with painted images, and each "
            f"needs at least {MIN_DIALOGUES}; name more runs"
        )
    sign = -1 if lower_is_better else 1
    found, judged = (clusters_of(half) for half in halves)
    mismatched = _flat(found, sign, mismatched=True)
    limit = bootstrap(_limit(*mismatched, false_accepts), len(found))
    if lower_is_better:
        limit = Interval(
            -limit.estimate, -limit.high, -limit.low, limit.standard_error, limit.clusters, limit.level
        )
    value = sign * limit.estimate

    def accepted(name: str, at: float, *, mismatched: bool) -> Figure:
        lists = [
            [
                [float(sign * score >= at) for score in (s.mismatched if mismatched else s.matched)]
                for s in cluster
            ]
            for cluster in judged
        ]
        return rate_figure_of(name, lists)

    now = sign * current
    own, other = _flat(judged, sign, mismatched=False), _flat(judged, sign, mismatched=True)
    area = Figure("area under the ROC curve", bootstrap(_area(*own, *other), len(judged)), len(own[1]))
    figures = [
        area,
        accepted("mismatched pairs accepted", value, mismatched=True),
        accepted("matched pairs accepted", value, mismatched=False),
        accepted("mismatched pairs accepted by the run's threshold", now, mismatched=True),
        accepted("matched pairs accepted by the run's threshold", now, mismatched=False),
    ]
    return Calibration(
        check,
        scorer,
        lower_is_better,
        false_accepts,
        limit,
        current,
        figures,
        (sizes[0], sizes[1]),
        _roc(own[1], other[1]),
    )


def _flat(clusters: Sequence[Sequence[Scored]], sign: int, *, mismatched: bool) -> tuple[Array, Array]:
    """Return the cluster of each score, and the scores with the better ones larger."""
    found = [
        (number, sign * score)
        for number, cluster in enumerate(clusters)
        for scored in cluster
        for score in (scored.mismatched if mismatched else scored.matched)
    ]
    table = np.array(found, dtype=np.float64).reshape(-1, 2)
    return table[:, 0].astype(np.int64), table[:, 1]


def _limit(owner: Array, score: Array, rate: float) -> Statistic:
    """Return the statistic of the smallest score that at most this share of all scores reaches."""
    order = np.argsort(-score, kind="stable")
    owner, score = owner[order], score[order]
    last = np.append(np.diff(score) != 0, True)  # the last of equal scores, which pass together
    above = float(np.nextafter(score[0], math.inf)) if len(score) else math.nan

    def statistic(drawn: Array) -> Array:
        weight = drawn[:, owner]
        reached = np.cumsum(weight, axis=1)
        allowed = (reached <= rate * reached[:, -1:]) & last
        place = np.where(allowed.any(axis=1), allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1), -1)
        return np.where(place >= 0, score[place], above)

    return statistic


def _area(own_owner: Array, own: Array, other_owner: Array, other: Array) -> Statistic:
    """Return the statistic of the chance that a matched pair scores above a mismatched one; ties are half."""
    order = np.argsort(other, kind="stable")
    other, other_owner = other[order], other_owner[order]
    below, upto = (np.searchsorted(other, own, side) for side in ("left", "right"))

    def statistic(drawn: Array) -> Array:
        reached = np.concatenate(
            [np.zeros((len(drawn), 1)), np.cumsum(drawn[:, other_owner], axis=1)], axis=1
        )
        weight = drawn[:, own_owner]
        won = (weight * (reached[:, below] + reached[:, upto]) / 2).sum(axis=1)
        pairs = weight.sum(axis=1) * reached[:, -1]
        return np.divide(won, pairs, out=np.full(len(drawn), math.nan), where=pairs > 0)

    return statistic


def _roc(own: Array, other: Array) -> list[tuple[float, float]]:
    """Return the shares of mismatched and matched pairs that pass, at thresholds from strict to loose."""
    levels = np.quantile(np.concatenate([own, other]), np.linspace(1, 0, ROC_POINTS))
    return [(round(float((other >= t).mean()), 5), round(float((own >= t).mean()), 5)) for t in levels]
