"""Scenes: the caption says what is drawn, and the same scene gives the same pixels."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.drawn import CONCEPTS
from training import backgrounds, everyday, kinds, scenes
from training.captions import COLOURS, NUMBERS, PLACES, caption, countable, plural
from training.concepts import Concept, slug_of

SHARES = dict.fromkeys(("plain", "colour", "place", "pair", "mixed", "count"), 1.0)


@pytest.fixture(scope="module")
def grounds() -> backgrounds.Bank:
    return backgrounds.Bank(variants=4)


def names_of(concept: Concept) -> tuple[str, ...]:
    label = concept.label
    return (label, *everyday.NAMES.get(label, ()), *kinds.KINDS.get(label, ()))


def test_an_exception_is_drawn_in_its_own_style(folder: Path) -> None:
    sprites = scenes.Sprites(folder, {"one": 1.0}, {1: "two"})
    assert [sprites.choose(concept, random.Random(0)) for concept in (0, 1, 2)] == ["one", "two", "one"]
    assert sprites.get("two", 1).mode == "RGBA"


@given(st.integers(0, 10_000))
@settings(max_examples=200)
def test_the_caption_names_every_object_and_colour(sprites: scenes.Sprites, seed: int) -> None:
    sampler = scenes.Sampler(CONCEPTS, sprites, SHARES)
    scene, words = sampler.scene(random.Random(seed))
    for item in scene.objects:
        names = names_of(CONCEPTS[item.concept])
        assert any(name in words or plural(name) in words for name in names)
        assert item.colour is None or item.colour in words
        assert sprites.index[item.style][item.concept] >= 0
    if scene.ground in PLACES:
        assert any(where in words for where in PLACES[scene.ground])
    assert "{" not in words


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_same_scene_gives_the_same_pixels(
    sprites: scenes.Sprites, grounds: backgrounds.Bank, seed: int
) -> None:
    sampler = scenes.Sampler(CONCEPTS, sprites, SHARES)
    scene, _ = sampler.scene(random.Random(seed))
    one, two = (np.asarray(scenes.draw(scene, sprites, grounds)) for _ in range(2))
    assert one.shape == (128, 128, 3)
    assert (one == two).all()


@given(st.integers(0, 10_000))
def test_equal_objects_are_counted_and_do_not_touch(sprites: scenes.Sprites, seed: int) -> None:
    scene, words = scenes.Sampler(CONCEPTS[:2], sprites, {"count": 1.0}).scene(random.Random(seed))
    count = len(scene.objects)
    assert any(f"{number} " in words for number in NUMBERS[count])
    assert any(plural(name) in words for name in names_of(CONCEPTS[scene.objects[0].concept]))
    for one, two in itertools.combinations(scene.objects, 2):
        # The drawings leave a margin of a tenth of their square.
        assert max(abs(one.x - two.x), abs(one.y - two.y)) > 0.8 * (one.size + two.size) / 2


@pytest.mark.parametrize(
    ("label", "several"),
    [
        ("mouse", "mice"),
        ("fish", "fish"),
        ("butterfly", "butterflies"),
        ("birthday cake", "birthday cakes"),
        ("grapes", None),
        ("nine o'clock", None),
        ("glass of milk", None),
    ],
)
def test_the_plural_of_what_can_be_counted(label: str, several: str | None) -> None:
    assert (plural(label) if countable(label) else None) == several


@given(st.integers(0, 1000))
def test_what_has_no_plural_is_named_twice(seed: int) -> None:
    fries = Concept("french fries", "french-fries", "1F35F", "food-drink", (), ())
    words = caption([fries, fries], [None, None], [None, None], None, random.Random(seed))
    assert words.count("fries") == 2
    assert "frieses" not in words


@pytest.mark.parametrize("colour", COLOURS)
def test_a_recoloured_object_has_the_named_colour(sprites: scenes.Sprites, colour: str) -> None:
    pixels = np.asarray(scenes.recolour(sprites.get("one", 0), colour))
    middle = pixels[64, 64, :3].astype(int)
    distance = {name: np.abs(middle - np.array(rgb)).sum() for name, rgb in COLOURS.items()}
    assert min(distance, key=lambda name: distance[name]) == colour


@given(st.integers(0, 10_000))
def test_a_caption_may_name_the_colour_in_which_a_thing_is_drawn(sprites: scenes.Sprites, seed: int) -> None:
    sampler = scenes.Sampler(CONCEPTS, sprites, {"plain": 1.0}, natural=1.0)
    scene, words = sampler.scene(random.Random(seed))
    # The dog and the nurse are discs of one colour; a red apple needs no second "red".
    expected = {0: "brown", 1: "red", 2: "blue"}[scene.objects[0].concept]
    assert scene.objects[0].colour is None
    named = words.replace(",", "").split().count(expected)
    assert named == 1 or (scene.objects[0].concept == 1 and named == 0)


def test_every_place_can_be_drawn_and_looks_like_no_other(grounds: backgrounds.Bank) -> None:
    means = {
        place: np.mean([np.asarray(i).mean((0, 1)) for i in grounds.images[place]], 0) for place in PLACES
    }
    assert len({tuple(m.round()) for m in means.values()}) == len(PLACES)


def test_slugs_are_iconify_names() -> None:
    assert slug_of("person: blond hair") == "person-blond-hair"
    assert slug_of("piñata") == "pinata"
    assert slug_of("twelve o\u2019clock") == "twelve-oclock"
