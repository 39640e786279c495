"""Charts as geometry: numbers that a template draws as SVG, without a style of its own."""

from dataclasses import dataclass
from typing import NamedTuple

from magid_agents.reading.query import Histogram
from magid_agents.thresholds import Threshold

WIDTH, HEIGHT = 320, 72  # of a histogram, in its own units


@dataclass(frozen=True)
class Bar:
    """A bin of a histogram, and the range of scores that a click on it asks for."""

    x: float
    width: float
    passed_y: float
    passed_height: float
    failed_y: float
    failed_height: float
    low: float
    high: float
    count: int
    failed: int


class Chart(NamedTuple):
    """A histogram with its threshold."""

    check: str
    bars: list[Bar]
    low: float
    high: float
    threshold: float | None
    threshold_x: float | None
    step: float  # of the slider
    lower_is_better: bool
    total: int
    failed: int


def chart(check: str, found: Histogram) -> Chart:
    """Return the geometry of a histogram; the failed part of a bar stands below the passed one."""
    bins, span = len(found.counts), found.high - found.low
    most = max(found.counts, default=0) or 1
    bars = []
    for i, (count, failed) in enumerate(zip(found.counts, found.failed, strict=True)):
        if not count:
            continue
        tall, bad = HEIGHT * count / most, HEIGHT * failed / most
        low = found.low + span * i / bins
        # The last bin holds its upper end too, and a click on it must find that.
        high = found.low + span * (i + 1) / bins if i + 1 < bins else found.high + span * 1e-6
        x, width = WIDTH * i / bins, WIDTH / bins
        bars.append(
            Bar(
                round(x + 0.5, 3),
                round(width - 1, 3),
                round(HEIGHT - tall, 3),
                round(tall - bad, 3),
                round(HEIGHT - bad, 3),
                round(bad, 3),
                low,
                high,
                count,
                failed,
            )
        )
    at = None if found.threshold is None else round(WIDTH * (found.threshold - found.low) / span, 3)
    return Chart(
        check,
        bars,
        found.low,
        found.high,
        found.threshold,
        at,
        span / 400,
        found.lower_is_better,
        sum(found.counts),
        sum(found.failed),
    )


class Meter(NamedTuple):
    """A score against its threshold, both as a share of 100."""

    check: str
    score: float
    at: float
    limit: float | None
    limit_at: float
    sign: str
    passes: bool


def meter(check: str, score: float, threshold: Threshold | None) -> Meter:
    """Return how a score stands. The scale is 0 to 1, or twice the threshold if that is wider."""
    limit = threshold.value if threshold else None
    top = max(1.0, 2 * limit if limit is not None and limit > 1 else 1.0)
    # Cosines of image and text lie in a narrow range near 0.3: half the scale shows them better.
    if threshold and limit is not None and 0 < limit <= 0.35 and not threshold.lower_is_better:
        top = 0.5

    def share(value: float) -> float:
        return round(100 * min(1.0, max(0.0, value / top)), 2)

    return Meter(
        check,
        score,
        share(score),
        limit,
        share(limit) if limit is not None else 0.0,
        "≤" if threshold and threshold.lower_is_better else "≥",
        threshold is None or threshold.margin(score) >= 0,
    )
