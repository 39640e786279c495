"""Thresholds from matched and mismatched pairs: found on one half of the dialogues, judged on the other."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from magid_agents.config import ConfigError
from magid_agents.evaluation.calibration import (
    Calibration,
    Scored,
    calibrate,
    choose_threshold,
    half_of,
    score_halves,
)
from magid_agents.evaluation.scoring import NamedScorer
from magid_agents.models.fakes import FakeScorer
from magid_agents.store.rundir import RunDir
from tests.fake_run import run


def dialogues(seed: int, count: int, shift: float = 2.0) -> list[Scored]:
    """Two images each; their own text scores higher by `shift` deviations."""
    random = np.random.default_rng(seed)
    return [
        Scored(random.normal(shift, 1, 2).tolist(), random.normal(0, 1, 16).tolist()) for _ in range(count)
    ]


def find(
    halves: tuple[Sequence[Scored], Sequence[Scored]], rate: float = 0.05, *, lower_is_better: bool = False
) -> Calibration:
    return choose_threshold("match", "scorer@1", halves, rate, 1.0, lower_is_better)


def figures(found: Calibration) -> dict[str, float]:
    return {figure.name: figure.interval.estimate for figure in found.figures}


def test_the_threshold_lets_the_stated_share_pass_on_dialogues_it_has_not_seen() -> None:
    found = find((dialogues(1, 400), dialogues(2, 400)))
    assert found.threshold.estimate == pytest.approx(stats.norm.ppf(0.95), abs=0.06)
    assert found.threshold.low < stats.norm.ppf(0.95) < found.threshold.high
    shares = figures(found)
    assert shares["mismatched pairs accepted"] == pytest.approx(0.05, abs=0.01)
    assert shares["matched pairs accepted"] == pytest.approx(
        stats.norm.sf(stats.norm.ppf(0.95) - 2), abs=0.05
    )
    assert shares["area under the ROC curve"] == pytest.approx(stats.norm.cdf(2 / 2**0.5), abs=0.02)
    assert shares["mismatched pairs accepted by the run's threshold"] == pytest.approx(
        stats.norm.sf(1), abs=0.02
    )


def test_a_check_for_which_lower_is_better_is_its_mirror_image() -> None:
    halves = dialogues(1, 60), dialogues(2, 60)
    mirrored = tuple([Scored([-v for v in s.matched], [-v for v in s.mismatched]) for s in h] for h in halves)
    forth, back = find(halves), find((mirrored[0], mirrored[1]), lower_is_better=True)
    assert back.threshold.estimate == -forth.threshold.estimate
    assert (back.threshold.low, back.threshold.high) == (-forth.threshold.high, -forth.threshold.low)
    assert figures(back)["mismatched pairs accepted"] == figures(forth)["mismatched pairs accepted"]


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5]), min_size=1, max_size=6), min_size=4, max_size=8),
    st.sampled_from([0.01, 0.1, 0.3, 0.9]),
)
@settings(max_examples=25, deadline=None)
def test_no_more_than_the_stated_share_passes_even_with_ties(scores: list[list[float]], rate: float) -> None:
    half = [Scored([1.0], mismatched) for mismatched in scores]
    found = find((half, half), rate)
    assert figures(found)["mismatched pairs accepted"] <= rate + 1e-12


def test_the_setting_is_rounded_to_the_stricter_side() -> None:
    half = [Scored([1.0], [0.123456] * 20)] * 4
    loose = find((half, half), 0.9)
    assert loose.threshold.estimate > 0.123456  # all pass or none
    assert loose.setting == "scorers.match.threshold=0.1235"
    mirrored = [Scored([-1.0], [-0.123456] * 20)] * 4
    assert find((mirrored, mirrored), lower_is_better=True).setting == "scorers.match.threshold=-0.1235"


def test_the_roc_curve_goes_from_nothing_to_everything() -> None:
    found = find((dialogues(1, 50), dialogues(2, 50)))
    assert found.roc[-1] == (1.0, 1.0)
    assert all(np.diff([x for x, _ in found.roc]) >= 0)
    assert all(np.diff([y for _, y in found.roc]) >= 0)
    assert json.loads(json.dumps(found.as_dict()))["setting"] == found.setting


def test_too_few_dialogues_are_counted() -> None:
    with pytest.raises(ConfigError, match="the halves have 3 and 9 dialogues"):
        find((dialogues(1, 3), dialogues(2, 9)))


def test_images_are_scored_against_their_own_text_and_others_of_the_same_half(tmp_path: Path) -> None:
    things = [f"thing{i}" for i in range(12)]
    run(tmp_path, *things)
    seen = []

    def shows(prompt: str, text: str) -> float:
        seen.append((prompt, text.removeprefix("a ")))
        return float(prompt == text.removeprefix("a "))

    by = NamedScorer("image_text_match", FakeScorer(shows, identity="fake-shows"))
    halves = asyncio.run(score_halves([RunDir(tmp_path / "out")], by, "description"))
    sizes = [sum(half_of(t) == i for t in things) for i in (0, 1)]
    assert [len(half) for half in halves] == sizes
    for scored in (*halves[0], *halves[1]):
        assert scored.matched == [1.0, 1.0]  # both candidates
        assert len(scored.mismatched) >= 2
        assert set(scored.mismatched) == {0.0}
    assert all(half_of(prompt) == half_of(text) for prompt, text in seen)


def test_a_mistyped_check_is_named(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with pytest.raises(ConfigError, match=r"Unknown check 'image_match'.*image_text_match"):
        calibrate("image_match", [tmp_path / "out"])


def test_a_scorer_that_the_run_did_not_use_is_not_calibrated_for_it(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with pytest.raises(ConfigError, match=r"was judged by fake-scorer, and its settings now name matcher@"):
        calibrate("image_text_match", [tmp_path / "out"])
