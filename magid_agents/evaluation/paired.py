"""How much the figures of two runs over the same dialogues differ, with paired intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magid_agents.evaluation.intervals import Interval, bootstrap, difference, mean_of_sums
from magid_agents.reading.query import OUTCOMES, Queries

# More dialogues than this are resampled in random groups of equal size: the groups are independent too, and
# 100,000 dialogues take no longer than 200.
MAX_CLUSTERS = 200
RESAMPLES = 999  # fewer than elsewhere: a page waits for them

Sums = NDArray[np.float64]  # a row per dialogue: a sum, and the number of values in it


@dataclass(frozen=True)
class Figure:
    """A figure of both runs; the difference is right minus left.

    The name is one of OUTCOMES, a mean per dialogue, or a check, the mean score of the images that were kept.
    A mean of nothing is NaN.
    """

    name: str
    left: float
    right: float
    difference: Interval


@dataclass(frozen=True)
class Paired:
    """Every figure over the dialogues that have ended in both runs.

    `differing` dialogues, which have another text under the same id, are left out.
    """

    dialogues: int
    differing: int
    figures: Sequence[Figure]


def pair(left: Queries, right: Queries) -> Paired:
    """Compare two indexed runs over the dialogues that have ended in both."""
    texts = dict(left.said())
    other = {name for name, said in right.said() if texts.get(name) and said and texts[name] != said}
    ended = {name: values for name, values in left.outcomes() if name not in other}
    others = {name: values for name, values in right.outcomes() if name in ended}
    rows = {name: row for row, name in enumerate(others)}
    outcomes = [_per_dialogue(side, rows) for side in (ended, others)]
    sides = [{name: sums[i] for i, name in enumerate(OUTCOMES)} for sums in outcomes]
    both = [check for check in left.checks() if check in right.checks()]
    for side, index in zip(sides, (left, right), strict=True):
        side |= _kept(index, both, rows)
    return Paired(len(rows), len(other), [_figure(name, sides[0][name], sides[1][name]) for name in sides[0]])


def _per_dialogue(side: Mapping[str, Sequence[float]], rows: Mapping[str, int]) -> list[Sums]:
    values = np.array([side[name] for name in rows], dtype=np.float64).reshape(-1, len(OUTCOMES))
    return [np.column_stack([column, np.ones(len(rows))]) for column in values.T]


def _kept(index: Queries, checks: Sequence[str], rows: Mapping[str, int]) -> dict[str, Sums]:
    sums = {check: np.zeros((len(rows), 2)) for check in checks}
    for name, check, total, count in index.kept_scores():
        if name in rows and check in sums:
            sums[check][rows[name]] = total, count
    return sums


def _figure(name: str, left: Sums, right: Sums) -> Figure:
    clusters = min(len(left), MAX_CLUSTERS)
    means = [mean_of_sums(*_grouped(sums, clusters).T) for sums in (left, right)]
    found = bootstrap(difference(means[1], means[0]), clusters, resamples=RESAMPLES)
    everyone = np.ones((1, clusters))
    return Figure(name, float(means[0](everyone)[0]), float(means[1](everyone)[0]), found)


def _grouped(sums: Sums, clusters: int) -> Sums:
    """Return the sums of random groups; not of neighbours, which may be alike in an input."""
    groups = np.zeros((clusters, 2))
    shuffled = np.random.default_rng(0).permutation(len(sums))
    np.add.at(groups, shuffled % max(clusters, 1), sums)
    return groups
