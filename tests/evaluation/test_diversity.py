"""Diversity at equal n, and near-duplicates."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from magid_agents.evaluation.diversity import difference_hash, near_duplicates, vendi, vendi_figures
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
        few, many = vendi_figures("images", found, kinds)
        assert (few.name, many.name) == ("Vendi score of 10 images", "Vendi score of 100 images")
        return many.interval.estimate

    assert score(400) == pytest.approx(score(250), rel=0.02)


def test_different_images_have_the_score_of_their_number() -> None:
    found = clusters(6, images_each=2)
    images = [m.image or "" for cluster in found for d in cluster for m in d.kept]
    vectors = {name: np.eye(12)[i].tolist() for i, name in enumerate(images)}
    (figure,) = vendi_figures("images", found, vectors)
    assert figure.name == "Vendi score of 6 images"
    assert figure.interval.estimate == pytest.approx(6)


def test_near_duplicates_are_counted_across_dialogues() -> None:
    """Four of eight images are nearly equal; a half of the dialogues has some of them."""
    near = dict.fromkeys(range(4), 0) | {1: 0b111}  # three bits apart is near
    far = {i: 0xFF << 8 * i for i in range(8)}

    def share(values: dict[int, int]) -> float:
        hashes = {digest(f"d{i}0"): value for i, value in values.items()}
        (figure,) = near_duplicates(clusters(8), hashes)
        assert figure.name == "near-duplicates among 4 images"
        return figure.interval.estimate

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
    assert vendi_figures("images", nothing, {}) == near_duplicates(nothing, {}) == []


@given(st.lists(st.integers(0, 2), min_size=8, max_size=45))
@settings(deadline=None, max_examples=25)
def test_whatever_the_dialogues_have_there_is_a_score(images_each: list[int]) -> None:
    """Also of an odd number of dialogues, whose halves are not of one size."""
    found = [
        [dialogue(f"d{i}", *(kept(f"d{i}", u, f"a thing {i} {u}") for u in range(n)))]
        for i, n in enumerate(images_each)
    ]
    names = [m.image or "" for cluster in found for d in cluster for m in d.kept]
    figures = vendi_figures("images", found, {n: np.eye(100)[i].tolist() for i, n in enumerate(names)})
    figures += near_duplicates(found, {name: 0xFF << 8 * (i % 8) for i, name in enumerate(names)})
    assert figures or len(names) < 10
    for figure in figures:
        assert not math.isnan(figure.interval.estimate)


def test_runs_of_any_size_share_a_number_of_images() -> None:
    """More images of the same kinds have more near-duplicates, but not among ten."""

    def shares(count: int) -> dict[str, float]:
        hashes = {digest(f"d{i}0"): 0xFF << 8 * (i % 8) for i in range(count)}
        return {f.name: f.interval.estimate for f in near_duplicates(clusters(count), hashes)}

    few, many, ten = shares(40), shares(400), "near-duplicates among 10 images"
    assert few.keys() < many.keys()
    # One of ten is unlike the nine others, of five or of fifty of each kind.
    expected = [1 - math.comb(c - c // 8, 9) / math.comb(c - 1, 9) for c in (40, 400)]
    assert [few[ten], many[ten]] == pytest.approx(expected, abs=0.02)
    assert many["near-duplicates among 100 images"] > 0.99
