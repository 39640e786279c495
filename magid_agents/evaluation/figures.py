"""A figure with its interval over dialogues, and how it is written as JSON."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from magid_agents.evaluation.intervals import Interval, Statistic, bootstrap, mean, mean_of_sums, rate
from magid_agents.evaluation.moments import Cluster, EndedDialogue


@dataclass(frozen=True)
class Figure:
    """One number about a run. NaN if there is nothing to compute it from."""

    name: str
    interval: Interval
    values: int  # number of images, moments or questions that it is made of

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"name": self.name, **self.interval.as_dict(), "values": self.values}


Values = Callable[[EndedDialogue], Iterable[float]]  # of one dialogue
Amount = Callable[[EndedDialogue], float]


def mean_figure(name: str, clusters: Sequence[Cluster], values: Values) -> Figure:
    """Return the mean of all values of all dialogues."""
    return mean_figure_of(name, [[v for d in cluster for v in values(d)] for cluster in clusters])


def mean_figure_of(name: str, values: Sequence[Sequence[float]]) -> Figure:
    """Return the mean of all values, given those of each cluster. NaN is left out."""
    known = [[value for value in of_one if not math.isnan(value)] for of_one in values]
    return figure(name, mean(known), len(known), sum(map(len, known)))


def rate_figure(name: str, clusters: Sequence[Cluster], values: Values) -> Figure:
    """Return the share of ones among the zeros and ones of all dialogues."""
    return rate_figure_of(name, [[[*values(dialogue)] for dialogue in cluster] for cluster in clusters])


def rate_figure_of(name: str, values: Sequence[Sequence[Sequence[float]]]) -> Figure:
    """Return the share of ones, given the zeros and ones of each dialogue of each cluster."""
    clusters = [[of_one for of_one in cluster if of_one] for cluster in values]
    known = [[value for of_one in cluster for value in of_one] for cluster in clusters if cluster]
    return Figure(name, rate(known, sum(map(len, clusters))), sum(map(len, known)))


def ratio_figure(name: str, clusters: Sequence[Cluster], numerator: Amount, denominator: Amount) -> Figure:
    """Return the sum of one amount over the sum of the other, which is what the figure is made of."""
    above = [math.fsum(map(numerator, cluster)) for cluster in clusters]
    below = [math.fsum(map(denominator, cluster)) for cluster in clusters]
    return figure(name, mean_of_sums(above, below), len(clusters), int(math.fsum(below)))


def figure(name: str, statistic: Statistic, clusters: int, values: int) -> Figure:
    return Figure(name, bootstrap(statistic, clusters), values)
