"""Histograms and meters as geometry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.reading.query import Histogram
from magid_agents.thresholds import Threshold
from magid_agents.viewer.charts import HEIGHT, WIDTH, chart, meter

bins = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=50)


def histogram(counts: list[int], failed: list[int], low: float = 0.0, high: float = 1.0) -> Histogram:
    return Histogram(low, high, counts, failed, 0.5, lower_is_better=False)


@given(bins, st.floats(-100, 100), st.floats(0.01, 100))
def test_bars_stand_in_their_places_and_add_up(found: list[tuple[int, int]], low: float, span: float) -> None:
    counts, failed = [sum(pair) for pair in found], [bad for _, bad in found]
    drawn = chart("aesthetics", histogram(counts, failed, low, low + span))
    assert [(bar.count, bar.failed) for bar in drawn.bars] == [
        pair for pair in zip(counts, failed, strict=True) if pair[0]
    ]
    assert (drawn.total, drawn.failed) == (sum(counts), sum(failed))
    for bar in drawn.bars:
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH
        assert -1e-2 <= bar.passed_y <= bar.failed_y <= HEIGHT + 1e-2
        assert math.isclose(bar.passed_y + bar.passed_height, bar.failed_y, abs_tol=1e-2)
        assert math.isclose(bar.failed_y + bar.failed_height, HEIGHT, abs_tol=1e-2)
    if drawn.bars:
        tallest = max(drawn.bars, key=lambda bar: bar.count)
        assert math.isclose(tallest.passed_y, 0, abs_tol=1e-2)


def test_a_bar_asks_for_the_scores_of_its_bin_the_last_for_the_highest_too() -> None:
    bars = chart("aesthetics", histogram([1, 0, 1, 2], [0] * 4)).bars
    assert [bar.low for bar in bars] == [0.0, 0.5, 0.75]
    assert bars[0].high == 0.25
    assert bars[-1].high > 1.0


def test_the_line_stands_at_the_threshold() -> None:
    assert chart("aesthetics", histogram([1, 1], [0, 0], 0.0, 2.0)).threshold_x == WIDTH / 4


@pytest.mark.parametrize(
    ("score", "threshold", "at", "limit_at", "passes"),
    [
        (0.75, Threshold("aesthetics", 0.5), 75, 50, True),
        (0.5, Threshold("aesthetics", 0.5), 50, 50, True),
        (-0.2, Threshold("aesthetics", 0.5), 0, 50, False),
        (0.3, Threshold("image_text_match", 0.2), 60, 40, True),  # cosines: half the scale
        (0.25, Threshold("unsafe", 0.2, lower_is_better=True, blocking=True), 25, 20, False),
        (6.0, Threshold("laion", 5.0), 60, 50, True),  # a scale of its own
        (30.0, Threshold("laion", 5.0), 100, 50, True),
        (0.4, None, 40, 0, True),
        (math.nan, Threshold("aesthetics", 0.5), 0, 50, False),
    ],
)
def test_a_meter(score: float, threshold: Threshold | None, at: float, limit_at: float, passes: bool) -> None:
    found = meter("check", score, threshold)
    assert (found.at, found.limit_at, found.passes) == (at, limit_at, passes)
