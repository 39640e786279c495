"""False captions of a scene: one fact is changed, or one is added that the image does not show.

They are the matcher's hard negatives (NegCLIP, Yuksekgonul et al. 2023, section 4), and let it learn that
every colour, place, number and object of a caption counts.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from training.captions import COLOURS, NUMBERS, PLACES, countable
from training.scenes import Placed, Sampler, Scene


def alter(scene: Scene, sampler: Sampler, rng: random.Random) -> str:
    """Return a caption of the scene that is false in one fact, more often in one that the scene has."""
    kinds = {o.concept for o in scene.objects}
    equal = len(kinds) < len(scene.objects)
    changes: list[tuple[float, Callable[[Scene, Sampler, random.Random], tuple[Scene, str | None]]]] = [
        (3.0 if scene.ground in PLACES else 1.0, _place),
        (3.0 if any(o.colour for o in scene.objects) else 1.0, _colour),
    ]
    if len(kinds) == 2 or not equal:
        changes.append((3.0 if len(kinds) == 2 else 1.0, _object))
    if len(kinds) == 1 and countable(sampler.concepts[scene.objects[0].concept].label):
        changes.append((3.0 if equal else 1.0, _number))
    change = rng.choices([c for _, c in changes], [weight for weight, _ in changes])[0]
    return sampler.words(*change(scene, sampler, rng), rng)


def place_of(scene: Scene) -> str | None:
    return scene.ground if scene.ground in PLACES else None


def _place(scene: Scene, _sampler: Sampler, rng: random.Random) -> tuple[Scene, str | None]:
    return scene, rng.choice([p for p in PLACES if p != scene.ground])


def _colour(scene: Scene, sampler: Sampler, rng: random.Random) -> tuple[Scene, str | None]:
    """Give one kind of object a colour that is neither the caption's nor the drawing's own."""
    kind = rng.choice(scene.objects)
    own = {kind.colour or sampler.natural_colour(kind), *sampler.concepts[kind.concept].label.split()}
    other = rng.choice([c for c in COLOURS if c not in own])
    objects = tuple(replace(o, colour=other) if o.concept == kind.concept else o for o in scene.objects)
    return replace(scene, objects=objects), place_of(scene)


def _object(scene: Scene, sampler: Sampler, rng: random.Random) -> tuple[Scene, str | None]:
    """Put another thing in the place of one of two, or beside the only one."""
    there = {o.concept for o in scene.objects}
    thing = rng.choice([t for t in sampler.things if t not in there])
    first = scene.objects[0]
    other = Placed(thing, sampler.sprites.choose(thing, rng), None, first.x, first.y, first.size, False)
    kept = rng.choice(scene.objects)
    objects = (kept, other) if rng.random() < 0.5 else (other, kept)
    return replace(scene, objects=objects), place_of(scene)


def _number(scene: Scene, _sampler: Sampler, rng: random.Random) -> tuple[Scene, str | None]:
    number = rng.choice([n for n in (1, *NUMBERS) if n != len(scene.objects)])
    return replace(scene, objects=scene.objects[:1] * number), place_of(scene)
