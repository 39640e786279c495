"""Diversity at equal n, and near-duplicates."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from magid_agents.evaluation import diversity
from magid_agents.evaluation.diversity import difference_hash, near_duplicates, vendi, vendi_figure
from magid_agents.evaluation.moments import Cluster
from tests.evaluation.made import dialogue, digest, kept


def test_vendi_counts_the_different_ones() -> None:
    axes = np.eye(4)
    assert vendi(axes) == pytest.approx(4)
    assert vendi(axes[[0, 0, 0]]) == pytest.approx(1)
    assert vendi(axes[[0, 0, 1, 1]]) == pytest.approx(2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_vendi_is_at_most_the_number_of_directions(places: list[int], seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(6, 5))[places]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert 1 - 1e-9 <= vendi(vectors) <= len(set(places)) + 1e-9


def clusters(count: int, images_each: int = 1) -> list[Cluster]:
    return [
        [dialogue(f"d{i}", *(kept(f"d{i}", u, f"a thing {i} {u}") for u in range(images_each)))]
        for i in range(count)
    ]


def test_a_run_of_twice_the_size_has_the_same_score_at_equal_n() -> None:
    """Ten kinds of images, however many there are of each."""

    def score(count: int) -> float:
        found = clusters(count)
        kinds = {digest(f"d{i}0"): np.eye(10)[i % 10].tolist() for i in range(count)}
        figure = vendi_figure("images", found, kinds)
        assert figure.name == "Vendi score of 100 images"
        return figure.interval.estimate

    assert score(400) == pytest.approx(score(250), rel=0.02)


def test_different_images_have_the_score_of_their_number() -> None:
    found = clusters(6, images_each=2)
    images = [m.image or "" for cluster in found for d in cluster for m in d.kept]
    figure = vendi_figure("images", found, {name: np.eye(12)[i].tolist() for i, name in enumerate(images)})
    assert figure.name == "Vendi score of 6 images"
    assert figure.interval.estimate == pytest.approx(6)


def test_near_duplicates_are_counted_across_dialogues() -> None:
    """Four of eight images are nearly equal; a half of the dialogues has some of them."""
    near = dict.fromkeys(range(4), 0) | {1: 0b111}  # three bits apart is near
    far = {i: 0xFF << 8 * i for i in range(8)}

    def share(values: dict[int, int]) -> float:
        hashes = {digest(f"d{i}0"): value for i, value in values.items()}
        return near_duplicates(clusters(8), hashes).interval.estimate

    # Of 4 drawn, the expected number of near ones is 2, less the cases with only one: 4 * 4 of 70.
    assert share(far | near) == pytest.approx((2 - 16 / 70) / 4, abs=0.02)
    assert share(far) == 0


def test_the_hash_sees_the_picture_and_not_its_size_or_brightness(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 200, (9, 9), dtype=np.uint8)
    other = np.random.default_rng(2).integers(0, 200, (9, 9), dtype=np.uint8)
    pictures = {"a": pixels, "brighter": pixels + 40, "other": other}
    for name, values in pictures.items():
        Image.fromarray(values).resize((144, 144), Image.Resampling.NEAREST).save(tmp_path / f"{name}.png")
    Image.open(tmp_path / "a.png").resize((288, 288), Image.Resampling.NEAREST).save(tmp_path / "larger.png")
    first, brighter, other_hash, larger = (
        difference_hash(tmp_path / f"{name}.png") for name in ("a", "brighter", "other", "larger")
    )
    assert first == brighter == larger
    assert (first ^ other_hash).bit_count() > 15


def test_of_no_image_nothing_is_known() -> None:
    nothing = [[dialogue("d0")], [dialogue("d1")]]
    for figure in (vendi_figure("images", nothing, {}), near_duplicates(nothing, {})):
        assert (math.isnan(figure.interval.estimate), figure.values) == (True, 0)


def test_of_many_images_a_part_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = clusters(40)
    hashes = {digest(f"d{i}0"): 0 for i in range(40)}
    monkeypatch.setattr(diversity, "MAX_COMPARED", 20)
    figure = near_duplicates(found, hashes)
    assert (figure.values, figure.interval.estimate) == (20, 1)
