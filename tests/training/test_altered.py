"""False captions: one fact differs from what is drawn, and all others still hold."""

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.training.drawn import CONCEPTS
from training import everyday, kinds, scenes
from training.altered import alter
from training.captions import COLOURS, NUMBERS, PLACES, plural

SHARES = dict.fromkeys(("colour", "place", "pair", "mixed", "count"), 1.0)
OWN = {0: "brown", 1: "red", 2: "blue"}
seeds = st.integers(0, 10_000)


def names_of(concept: int) -> tuple[str, ...]:
    label = CONCEPTS[concept].label
    return (label, *everyday.NAMES.get(label, ()), *kinds.KINDS.get(label, ()))


def said(words: str) -> tuple[set[int], set[str], str | None, int]:
    """Return which concepts, colours, place and number a caption names."""
    there = {c for c in range(len(CONCEPTS)) if any(n in words or plural(n) in words for n in names_of(c))}
    place, where = next(((p, w) for p in PLACES for w in PLACES[p] if w in words), (None, ""))
    bare = words.replace("red apple", "apple").replace(where, "").replace(",", "")
    colours = {c for c in COLOURS if c in bare.split()}
    number = next((n for n in NUMBERS if any(f"{w} " in words for w in NUMBERS[n])), len(there))
    return there, colours, place, number


@given(seeds)
def test_one_fact_is_false(sprites: scenes.Sprites, seed: int) -> None:
    rng = random.Random(seed)
    sampler = scenes.Sampler(CONCEPTS, sprites, SHARES)
    sampler.things = [0, 1, 2]
    scene, _ = sampler.scene(rng)
    assume(len({(o.concept, o.colour) for o in scene.objects}) == len({o.concept for o in scene.objects}))
    there, colours, place, number = said(alter(scene, sampler, rng))
    drawn = {o.concept for o in scene.objects}
    own = {o.colour or OWN[o.concept] for o in scene.objects}
    false = [
        bool(there - drawn),
        bool(colours - own) or (len(drawn) == 2 and bool(colours)),  # the other one's colour
        place is not None and place != scene.ground,
        there == drawn and number != len(scene.objects),
    ]
    assert sum(false) >= 1, (scene, there, colours, place, number)
    assert len(drawn) == 2 or sum(false[:3]) <= 1


@pytest.mark.parametrize("concepts", [(0, 2), (0,), (0, 0)])
def test_every_fact_may_become_the_false_one(sprites: scenes.Sprites, concepts: tuple[int, ...]) -> None:
    sampler = scenes.Sampler(CONCEPTS, sprites, {"plain": 1.0})
    placed = sampler.scene(random.Random(1), 0)[0].objects[0]
    objects = tuple(replace(placed, concept=c, colour="green", style="one") for c in concepts)
    scene = scenes.Scene(objects, "beach", 0)
    changed = set()
    for seed in range(60):
        there, colours, place, number = said(alter(scene, sampler, random.Random(seed)))
        changed |= {
            fact
            for fact, differs in {
                "object": bool(there - set(concepts)),
                "colour": bool(colours - {"green"}),
                "place": place != "beach",
                "number": there == set(concepts) and number != len(concepts),
            }.items()
            if differs
        }
    expected = {"colour", "place"} | ({"object"} if len(concepts) == len(set(concepts)) else set())
    assert changed >= expected | ({"number"} if len(set(concepts)) == 1 else set())
