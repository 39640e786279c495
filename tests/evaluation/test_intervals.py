"""Intervals against scipy, against published figures, and against what must hold of any."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from magid_agents.evaluation.intervals import (
    Array,
    Interval,
    average_precision,
    bootstrap,
    dialogues_to_detect,
    difference,
    f1,
    half_samples,
    is_equivalent,
    mean,
    precision,
    rate,
    recall,
    sign_flip_test,
    wilson,
)

RANDOM = np.random.default_rng(7)
SAMPLE = RANDOM.gamma(2.0, size=60).tolist()


def test_single_values_have_scipys_percentile_interval() -> None:
    ours = bootstrap(mean([[value] for value in SAMPLE]), len(SAMPLE))
    theirs = stats.bootstrap((SAMPLE,), np.mean, method="percentile", random_state=1)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.estimate == pytest.approx(np.mean(SAMPLE))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.05)


def test_paired_runs_have_scipys_paired_interval() -> None:
    other = [value + RANDOM.normal(0.1, 0.2) for value in SAMPLE]
    ours = bootstrap(difference(mean([[v] for v in other]), mean([[v] for v in SAMPLE])), len(SAMPLE))

    def theirs(left: np.ndarray, right: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(left, axis=axis) - np.mean(right, axis=axis)

    result = stats.bootstrap((other, SAMPLE), theirs, paired=True, method="percentile", random_state=1)
    width = result.confidence_interval.high - result.confidence_interval.low
    assert ours.low == pytest.approx(result.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(result.confidence_interval.high, abs=0.05 * width)


def test_the_standard_error_is_that_of_clusters() -> None:
    """Miller 2024, section 2.2: cross terms within a cluster count."""
    clusters = [[float(RANDOM.random() < rate)] * 5 for rate in RANDOM.random(200)]
    ours = bootstrap(mean(clusters), len(clusters))
    overall = np.mean([v for c in clusters for v in c])
    clustered = math.sqrt(sum(sum(v - overall for v in c) ** 2 for c in clusters)) / 1000
    independent = math.sqrt(overall * (1 - overall) / 1000)
    assert ours.standard_error == pytest.approx(clustered, rel=0.05)
    assert ours.standard_error > 1.8 * independent


def test_the_same_seed_gives_the_same_interval() -> None:
    statistic = mean([[value] for value in SAMPLE])
    assert bootstrap(statistic, len(SAMPLE)) == bootstrap(statistic, len(SAMPLE))
    assert bootstrap(statistic, len(SAMPLE), seed=1) != bootstrap(statistic, len(SAMPLE))


def test_an_interval_covers_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        drawn = np.random.default_rng(trial).random(50)
        found = bootstrap(mean([[value] for value in drawn]), 50, resamples=499, seed=trial)
        covered += found.low <= 0.5 <= found.high
    assert 178 <= covered <= 199  # of 200; 190 expected


def test_precision_recall_and_f1_are_of_all_dialogues_together() -> None:
    hits, false, missed = [2, 0, 1], [1, 0, 3], [0, 2, 1]
    everyone = np.ones((1, 3))
    assert precision(hits, false)(everyone)[0] == pytest.approx(3 / 7)
    assert recall(hits, missed)(everyone)[0] == pytest.approx(3 / 6)
    assert f1(hits, false, missed)(everyone)[0] == pytest.approx(6 / 13)
    assert f1([0, 0], [1, 0], [0, 1])(np.ones((1, 2)))[0] == 0
    assert math.isnan(precision([0, 0], [0, 0])(np.ones((1, 2)))[0])


def test_a_figure_that_most_draws_do_not_have_has_no_interval() -> None:
    found = bootstrap(precision([1] + [0] * 99, [0] * 100), 100)
    assert found.estimate == 1.0
    assert not math.isnan(found.low)  # two thirds of the draws hold the one prediction
    found = bootstrap(precision([0] * 100, [0] * 100), 100)
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)


def test_average_precision_is_that_of_the_published_example() -> None:
    """scikit-learn's documentation of average_precision_score: 0.83."""
    statistic = average_precision([[0.1, 0.4], [0.35, 0.8]], [[False, False], [True, True]])
    assert statistic(np.ones((1, 2)))[0] == pytest.approx(0.8333, abs=1e-4)
    doubled = statistic(np.array([[2.0, 2.0]]))[0]
    assert doubled == pytest.approx(0.8333, abs=1e-4)


def test_equal_scores_are_reached_together() -> None:
    statistic = average_precision([[0.5, 0.5], [0.5, 0.5]], [[True, False], [False, False]])
    assert statistic(np.ones((1, 2)))[0] == pytest.approx(0.25)
    assert math.isnan(average_precision([[], []], [[], []])(np.ones((1, 2)))[0])


def test_sign_flips_agree_with_scipy() -> None:
    few = [0.3, -0.1, 0.4, 0.2, 0.0, 0.5]
    exact = stats.permutation_test(
        (np.array(few),), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_test(few) == pytest.approx(exact.pvalue)
    many = RANDOM.normal(0.2, 1.0, size=80)
    sampled = stats.permutation_test((many,), np.sum, permutation_type="samples", random_state=1)
    assert sign_flip_test(many.tolist()) == pytest.approx(sampled.pvalue, abs=0.02)
    assert sign_flip_test([0.0, 0.0]) == 1.0
    assert sign_flip_test([1.0] * 100) == pytest.approx(1 / 10_000)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_as_published(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_what_a_sample_could_have_seen() -> None:
    """60 against 50 % at 80 % power takes 194 independent comparisons."""
    found = Interval(0.5, 0.0, 0.0, math.sqrt(0.5 * 0.5 / 194), 194)
    assert found.detectable == pytest.approx(0.1, abs=0.001)
    assert dialogues_to_detect(0.05, found) == pytest.approx(4 * 194, abs=20)
    with pytest.raises(ValueError, match="needs no number"):
        dialogues_to_detect(0.0, found)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), min_size=2, max_size=20))
@settings(max_examples=50)
def test_any_mean_lies_between_the_least_and_the_most(values: list[list[float]]) -> None:
    found = bootstrap(mean(values), len(values), resamples=199)
    least, most = (side(v for of_one in values for v in of_one) for side in (min, max))
    slack = 1e-9 * max(1.0, abs(least), abs(most))
    assert least - slack <= found.low <= found.high <= most + slack
    assert found.clusters == len(values)


def test_one_dialogue_has_no_interval() -> None:
    found = bootstrap(mean([[0.5, 0.7]]), 1)
    assert found.estimate == pytest.approx(0.6)
    assert math.isnan(found.high)
    assert not found.excludes_zero
    assert math.isnan(bootstrap(mean([]), 0).estimate)


def test_halves_vary_as_much_as_the_bootstrap_for_a_mean() -> None:
    whole = bootstrap(mean([[value] for value in SAMPLE]), len(SAMPLE))
    halves = half_samples(mean([[value] for value in SAMPLE]), len(SAMPLE))
    assert halves.estimate == pytest.approx(whole.estimate, rel=0.02)
    assert halves.standard_error == pytest.approx(whole.standard_error, rel=0.15)
    assert halves == half_samples(mean([[value] for value in SAMPLE]), len(SAMPLE))


def test_a_half_draws_no_dialogue_twice() -> None:
    seen = []

    def statistic(drawn: Array) -> Array:
        seen.append(drawn)
        return drawn.sum(axis=1)

    half_samples(statistic, 9)
    assert set(np.unique(seen[0])) == {0.0, 1.0}
    assert set(seen[0].sum(axis=1)) == {4.0}


def test_too_few_dialogues_have_no_halves() -> None:
    assert math.isnan(half_samples(mean([[1.0]] * 3), 3).estimate)


def test_a_rate_of_none_or_all_is_not_sure() -> None:
    """Wilson (1927): of 0 in 14, up to 0.215; the bootstrap alone would say exactly 0."""
    none, every = rate([[0.0]] * 14), rate([[1.0, 1.0]] * 10)
    assert (none.low, none.high) == pytest.approx((0, 0.2153), abs=5e-4)
    assert (every.low, every.high) == pytest.approx((0.7225, 1), abs=5e-4)
    assert math.isnan(none.detectable)
    assert rate([[0.0] * 100] * 10, 1000).high == pytest.approx(0.0038, abs=1e-4)  # groups of dialogues
    some = [[0.0], [1.0], [0.0], [0.0]]
    assert rate(some) == bootstrap(mean(some), 4)


def test_few_dialogues_show_no_equivalence() -> None:
    def equivalent(count: int) -> bool:
        return is_equivalent(mean([[0.004]] * count), count, 0.02)

    assert [equivalent(count) for count in (2, 4, 5, 30)] == [False, False, True, True]
