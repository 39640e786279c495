"""Misdrawn scenes: parts are missing or belong to another object, and the background stays."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from training.broken import blend, misdraw, with_blob
from training.scenes import Placed, Scene

INKS = {0: (200, 30, 30), 1: (30, 60, 200)}
seeds = st.integers(0, 10**6)


def draw(scene: Scene) -> Image.Image:
    """Draw a disc for each object, in its concept's colour, on white."""
    image = Image.new("RGB", (128, 128), "white")
    pen = ImageDraw.Draw(image)
    for o in scene.objects:
        x, y, r = o.x * 128, o.y * 128, o.size * 64
        pen.ellipse((x - r, y - r, x + r, y + r), fill=INKS[o.concept])
    return image


def placed(concept: int, x: float, size: float = 0.44) -> Placed:
    return Placed(concept, "any", None, x, 0.5, size, False)


def ink(image: Image.Image, concept: int) -> np.ndarray:
    """Return where the image has nearly the concept's colour."""
    return np.abs(np.asarray(image).astype(int) - INKS[concept]).max(2) < 40


@settings(deadline=None)
@given(seeds)
def test_a_blend_replaces_about_half_of_the_difference(seed: int) -> None:
    one, other = draw(Scene((placed(0, 0.5, 0.8),), "white", 0)), Image.new("RGB", (128, 128), "white")
    share = ink(blend(one, other, random.Random(seed)), 0).sum() / ink(one, 0).sum()
    assert 0.2 < share < 0.7
    assert blend(one, one, random.Random(seed)) == one


@settings(deadline=None)
@given(seeds)
def test_a_single_object_is_half_there(seed: int) -> None:
    scene = Scene((placed(0, 0.5, 0.8),), "white", 0)
    there, whole = ink(misdraw(scene, draw, random.Random(seed)), 0), ink(draw(scene), 0)
    if (there & ~whole).sum() < 20:  # otherwise a blob is beside it
        assert 0.2 < there.sum() / whole.sum() < 0.7


@settings(deadline=None)
@given(seeds)
def test_a_blob_lies_beside_an_object_that_is_whole(seed: int) -> None:
    scene = Scene((placed(0, 0.5, 0.8),), "white", 0)
    image = with_blob(scene, draw, random.Random(seed))
    halves = np.split(np.asarray(image), 2, axis=1)
    discs = [ink(Image.fromarray(half), 0).sum() for half in halves]
    # Discs of 0.42 to 0.58 of the canvas, less what a soft seam takes.
    assert any(0.8 * np.pi * 27**2 < disc < 1.05 * np.pi * 37**2 for disc in discs)
    assert all((half.min(2) < 235).sum() > 100 for half in halves)


def test_a_single_object_is_half_there_or_has_a_blob_beside_it() -> None:
    scene = Scene((placed(0, 0.5, 0.8),), "white", 0)
    blobs = sum(
        bool((ink(misdraw(scene, draw, random.Random(seed)), 0) & ~ink(draw(scene), 0)).any())
        for seed in range(30)
    )
    assert 4 < blobs < 18


def test_of_two_objects_one_is_half_there_or_they_merge() -> None:
    scene = Scene((placed(0, 0.26), placed(1, 0.74)), "white", 0)
    whole = draw(scene)
    merged = []
    for seed in range(20):
        image = misdraw(scene, draw, random.Random(seed))
        assert image == misdraw(scene, draw, random.Random(seed))
        lost = sorted((ink(whole, c) & ~ink(image, c)).sum() / ink(whole, c).sum() for c in (0, 1))
        merged.append(bool(ink(image, 0)[:, 66:].any() or ink(image, 1)[:, :62].any()))
        assert lost[1] > 0.3
        assert merged[-1] or lost[0] < 0.02
    assert 5 < sum(merged) < 18


def test_of_equal_objects_one_is_half_there() -> None:
    scene = Scene((placed(0, 0.26), placed(0, 0.74)), "white", 0)
    image = ink(misdraw(scene, draw, random.Random(3)), 0)
    left, right = image[:, :64].sum(), image[:, 64:].sum()
    assert min(left, right) < 0.7 * max(left, right)
