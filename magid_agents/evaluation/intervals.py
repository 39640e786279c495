"""Intervals: the one place that says how sure a figure is.

Whole dialogues are resampled, since what one dialogue gives is not independent (Miller 2024, arXiv
2411.00640, section 2.2). A figure is a function of how often each dialogue is drawn: so two runs over the
same dialogues are compared on the same draws, and any figure has an interval, also one that is no mean.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# From how often each dialogue is drawn, (draws, dialogues), to the figure of each draw, (draws,). NaN if a
# draw has none, such as the precision of nothing predicted.
Statistic = Callable[[Array], Array]

RESAMPLES = 9999  # so that the ends of a 95 % interval are draws and not between two
LEVEL, POWER = 0.95, 0.8
MAX_UNDEFINED = 0.5  # share of draws without the figure, beyond which there is no interval
DRAWS_AT_ONCE = 256
HALVES = 999  # for figures that are costly to compute
# With fewer dialogues, not even differences that all have one sign are significant: 1/2 ** 4 is above 5 %.
MIN_EQUIVALENT = 5


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile bootstrap interval; NaN where there is none.

    `detectable` is the smallest true difference from a fixed value that a sample like this would have found
    at this level with 80 % power: (z(level) + z(power)) times the standard error (Miller, section 4.1). It
    is NaN if the sample shows no variation, of which it then says nothing.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    clusters: int  # dialogues
    level: float = LEVEL

    @property
    def detectable(self) -> float:
        z = NormalDist().inv_cdf
        return (z(0.5 + self.level / 2) + z(POWER)) * self.standard_error

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; null for what is not defined."""
        values = {
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "detectable": self.detectable,
        }
        known = {name: None if math.isnan(value) else value for name, value in values.items()}
        return {**known, "level": self.level, "dialogues": self.clusters}


def bootstrap(
    statistic: Statistic,
    clusters: int,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a figure over so many dialogues with its interval. The same seed gives the same interval."""
    everyone = np.ones((1, clusters))
    estimate = float(statistic(everyone)[0]) if clusters else math.nan
    if clusters < 2:
        return Interval(estimate, math.nan, math.nan, math.nan, clusters, level)
    random = np.random.default_rng(seed)
    share = np.full(clusters, 1 / clusters)
    figures = np.concatenate(
        [
            statistic(random.multinomial(clusters, share, size=size).astype(np.float64))
            for size in _batches(resamples)
        ]
    )
    defined = figures[~np.isnan(figures)]
    if len(defined) < (1 - MAX_UNDEFINED) * resamples:
        return Interval(estimate, math.nan, math.nan, math.nan, clusters, level)
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(estimate, float(low), float(high), _spread(defined), clusters, level)


def rate(values: Sequence[Sequence[float]], trials: int | None = None, *, level: float = LEVEL) -> Interval:
    """Return a rate with its interval, given the zeros and ones of each cluster.

    A rate of 0 or 1 has Wilson's interval, since every bootstrap draw is the same. Its trials are the
    dialogues that have values, as if what one of them gives were always the same.

    Args:
        trials: so many dialogues; the number of clusters if not given.
    """
    found = bootstrap(mean(values), len(values), level=level)
    if found.estimate not in (0, 1):
        return found
    trials = len(values) if trials is None else trials
    low, high = wilson(int(found.estimate) * trials, trials, level)
    return replace(found, low=low, high=high)


def halves(clusters: int, resamples: int = HALVES, seed: int = 0) -> Array:
    """Return random halves of so many dialogues, as how often each is drawn: 0 or 1."""
    ranks = np.argsort(np.random.default_rng(seed).random((resamples, clusters)), axis=1)
    return (ranks < clusters // 2).astype(np.float64)


def half_samples(
    statistic: Statistic,
    clusters: int,
    *,
    level: float = LEVEL,
    resamples: int = HALVES,
    seed: int = 0,
) -> Interval:
    """Return a figure of half the dialogues, the mean over random halves, with its interval.

    For figures that take a dialogue drawn twice for a repetition, such as diversity. Halves drawn without
    replacement vary as much as `bootstrap` does (the delete-half jackknife, Shao and Wu 1989).
    """
    if clusters < 4:
        return Interval(math.nan, math.nan, math.nan, math.nan, clusters, level)
    figures = statistic(halves(clusters, resamples, seed))
    defined = figures[~np.isnan(figures)]
    if len(defined) < (1 - MAX_UNDEFINED) * resamples:
        return Interval(math.nan, math.nan, math.nan, math.nan, clusters, level)
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(defined.mean()), float(low), float(high), _spread(defined), clusters, level)


def _spread(draws: Array) -> float:
    """Return the standard error; NaN if all draws are equal."""
    return float(draws.std(ddof=1)) if np.ptp(draws) > 0 else math.nan


def difference(left: Statistic, right: Statistic) -> Statistic:
    """Return the figure of the left minus that of the right, over the same dialogues in the same order."""
    return lambda drawn: left(drawn) - right(drawn)


def mean(values: Sequence[Sequence[float]]) -> Statistic:
    """Return the mean of all values, given those of each dialogue. A rate is the mean of zeros and ones."""
    sums = np.array([[math.fsum(of_one), len(of_one)] for of_one in values], dtype=np.float64).reshape(-1, 2)
    return lambda drawn: _ratio(*(drawn @ sums).T)


def precision(hits: Sequence[float], false_alarms: Sequence[float]) -> Statistic:
    """Return the precision, given each dialogue's counts."""
    return mean_of_sums(hits, [hit + false for hit, false in zip(hits, false_alarms, strict=True)])


def recall(hits: Sequence[float], misses: Sequence[float]) -> Statistic:
    """Return the recall, given each dialogue's counts."""
    return mean_of_sums(hits, [hit + missed for hit, missed in zip(hits, misses, strict=True)])


def f1(hits: Sequence[float], false_alarms: Sequence[float], misses: Sequence[float]) -> Statistic:
    """Return the F1 of all dialogues together, given each one's counts; 0 if nothing was hit."""
    doubled = [2 * hit for hit in hits]
    wrong = [false + missed for false, missed in zip(false_alarms, misses, strict=True)]
    return mean_of_sums(doubled, [two + other for two, other in zip(doubled, wrong, strict=True)])


def mean_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> Statistic:
    """Return the sum of the numerators over that of the denominators, one of each a dialogue."""
    sums = np.array([numerators, denominators], dtype=np.float64).T.reshape(-1, 2)
    return lambda drawn: _ratio(*(drawn @ sums).T)


def average_precision(scores: Sequence[Sequence[float]], labels: Sequence[Sequence[bool]]) -> Statistic:
    """Return the average precision of all items together, given those of each dialogue.

    The precision at each score that is reached, weighted by the recall it adds; items of equal score are
    reached together, as scikit-learn has it.
    """
    owner = np.repeat(np.arange(len(scores)), [len(of_one) for of_one in scores])
    score = np.array(list(itertools.chain.from_iterable(scores)), dtype=np.float64)
    label = np.array(list(itertools.chain.from_iterable(labels)), dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    owner, score, label = owner[order], score[order], label[order]
    ends = (
        np.append(np.flatnonzero(np.diff(score)), len(score) - 1) if len(score) else np.array([], dtype=int)
    )

    def statistic(drawn: Array) -> Array:
        if not len(ends):
            return np.full(len(drawn), math.nan)
        weight = drawn[:, owner]
        reached, hits = np.cumsum(weight, axis=1)[:, ends], np.cumsum(weight * label, axis=1)[:, ends]
        added = np.diff(hits, axis=1, prepend=0.0)
        at = np.divide(hits, reached, out=np.zeros_like(hits), where=reached > 0)
        return _ratio((at * added).sum(axis=1), hits[:, -1])

    return statistic


def sign_flip_test(differences: Sequence[float], *, permutations: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p of paired differences, one a dialogue, having no direction.

    All 2**n sign patterns if there are no more than `permutations`; else random ones, the observed one
    counted among them (Phipson and Smyth 2010), so that p is never 0.
    """
    values = np.array([d for d in differences if d], dtype=np.float64)
    if not len(values):
        return 1.0
    observed = abs(values.sum()) * (1 - 1e-12)  # equal sums in another order of adding are equal
    if 2 ** len(values) <= permutations:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
        return float(np.mean(np.abs(signs @ values) >= observed))
    random = np.random.default_rng(seed)
    at_least = 1
    for size in _batches(permutations):
        signs = random.choice((-1.0, 1.0), size=(size, len(values)))
        at_least += int(np.count_nonzero(np.abs(signs @ values) >= observed))
    return at_least / (permutations + 1)


def wilson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of one rate of independent trials (Wilson 1927); (0, 1) of none."""
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate, spread = successes / trials, z * z / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def is_equivalent(
    statistic: Statistic, clusters: int, margin: float, *, alpha: float = 1 - LEVEL, seed: int = 0
) -> bool:
    """Return whether a difference is shown to be smaller than the margin, in either direction.

    Two one-sided tests at `alpha` each (Schuirmann 1987): the interval of level 1 - 2 alpha lies within the
    margin. False also if that is not known, as of fewer dialogues than MIN_EQUIVALENT, so False does not
    mean that there is a difference.
    """
    if clusters < MIN_EQUIVALENT:
        return False
    found = bootstrap(statistic, clusters, level=1 - 2 * alpha, seed=seed)
    return -margin < found.low and found.high < margin


def dialogues_to_detect(wanted: float, found: Interval) -> int:
    """Return how many dialogues would show a difference of `wanted`, if they vary as these do."""
    if not wanted or math.isnan(found.detectable):
        raise ValueError(
            "a difference of zero, or of a figure without an interval, needs no number of dialogues"
        )
    return math.ceil(found.clusters * (found.detectable / wanted) ** 2)


def _ratio(numerator: Array, denominator: Array) -> Array:
    undefined = np.full_like(numerator, math.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def _batches(total: int) -> list[int]:
    full, rest = divmod(total, DRAWS_AT_ONCE)
    return [DRAWS_AT_ONCE] * full + ([rest] if rest else [])
