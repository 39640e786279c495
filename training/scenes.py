"""Compose scenes of the vendors' drawings: which objects, where, in what colour, on what background.

The wording of their captions is in captions.py.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from training import backgrounds
from training.captions import COLOURS, PLACES, caption, countable, trim
from training.concepts import THINGS, Concept
from training.natural_colour import natural_colour

SIDE = 128
# A single object fills the canvas: at half the size, an autoencoder would lose its details.
SIZES = {"plain": (0.76, 1.0), "colour": (0.66, 1.0)}
# Centres and size of two, three and four equal objects, as fractions of the canvas.
ROWS = {
    2: (((0.26, 0.5), (0.74, 0.5)), 0.48),
    3: (((0.5, 0.27), (0.26, 0.72), (0.74, 0.72)), 0.44),
    4: (((0.26, 0.27), (0.74, 0.27), (0.26, 0.73), (0.74, 0.73)), 0.42),
}


@dataclass(frozen=True)
class Placed:
    """One object in a scene. Centre and size are fractions of the canvas."""

    concept: int
    style: str
    colour: str | None
    x: float
    y: float
    size: float
    flip: bool


@dataclass(frozen=True)
class Scene:
    objects: tuple[Placed, ...]
    ground: str  # a key of PLACES, a colour name, or "pale"
    seed: int


class Sprites:
    """The drawings of all styles, memory-mapped.

    `styles` maps each name to its sampling weight; `exceptions` gives a concept a style of its own.
    """

    def __init__(
        self, folder: Path, styles: dict[str, float], exceptions: Mapping[int, str] | None = None
    ) -> None:
        self.weights = styles
        self.exceptions = exceptions or {}
        names = {*styles, *self.exceptions.values()}
        self.pixels = {s: np.load(folder / f"sprites-{s}.npy", mmap_mode="r") for s in names}
        self.index = {s: np.load(folder / f"sprites-{s}-index.npy") for s in names}
        self._colours: dict[tuple[str, int], str | None] = {}

    def choose(self, concept: int, rng: random.Random) -> str:
        """Choose a style that has this concept."""
        if concept in self.exceptions:
            return self.exceptions[concept]
        able = [s for s in self.weights if self.index[s][concept] >= 0]
        return rng.choices(able, [self.weights[s] for s in able])[0]

    def get(self, style: str, concept: int) -> Image.Image:
        return Image.fromarray(self.pixels[style][self.index[style][concept]], "RGBA")

    def natural_colour(self, style: str, concept: int) -> str | None:
        """Return the name of the drawing's own colour, if it has one."""
        if (style, concept) not in self._colours:
            self._colours[style, concept] = natural_colour(self.get(style, concept))
        return self._colours[style, concept]


def recolour(sprite: Image.Image, colour: str) -> Image.Image:
    """Tint every pixel by its own lightness, so that shapes and outlines remain."""
    rgba = np.asarray(sprite).astype(np.float32)
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    seen = rgba[..., 3] > 128
    mean = light[seen].mean() if seen.any() else 128.0
    # Lightness relative to the object's own mean, so that the mean pixel gets the named colour.
    gain = np.clip(1 + (light - mean) / 200, 0.35, 1.45)[..., None]
    target = np.array(COLOURS[colour], np.float32)
    rgba[..., :3] = np.clip(target * gain + np.maximum(gain - 1, 0) * 90, 0, 255)
    return Image.fromarray(rgba.astype(np.uint8), "RGBA")


def draw(scene: Scene, sprites: Sprites, grounds: backgrounds.Bank) -> Image.Image:
    """Draw the scene, SIDE x SIDE RGB; the same scene always gives the same pixels."""
    canvas = grounds.pick(scene.ground, scene.seed).copy()
    for item in scene.objects:
        sprite = sprites.get(item.style, item.concept)
        if item.colour:
            sprite = recolour(sprite, item.colour)
        if item.flip:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = max(8, round(item.size * SIDE))
        sprite = sprite.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        corner = round(item.x * SIDE - side / 2), round(item.y * SIDE - side / 2)
        canvas.paste(sprite, corner, sprite)
    return canvas


def _near(low: float, high: float, jitter: float, rng: random.Random) -> float:
    """Return a number near the middle of the range; anywhere in the range if jitter is 1."""
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + rng.uniform(-half, half) * jitter


class Sampler:
    """Draws random scenes and their captions.

    Args:
        shares: sampling weights of the kinds: plain, colour, place, pair, mixed, count.
        jitter: 0 to 1, how much size and position of objects vary within one kind of scene.
        natural: how often a caption names the colour of objects that are drawn in their own.
        trims: how often a caption gives a single object stripes or the like, which no drawing shows.
    """

    def __init__(
        self,
        concepts: list[Concept],
        sprites: Sprites,
        shares: Mapping[str, float],
        jitter: float = 1.0,
        natural: float = 0.0,
        trims: float = 0.0,
    ) -> None:
        self.concepts, self.sprites, self.shares, self.jitter = concepts, sprites, shares, jitter
        self.natural, self.trims = natural, trims
        self.things = [i for i, c in enumerate(concepts) if c.group in THINGS]

    def scene(self, rng: random.Random, concept: int | None = None) -> tuple[Scene, str]:
        """Return a random scene with one caption; of `concept`, if given."""
        kind = rng.choices(list(self.shares), list(self.shares.values()))[0]
        # Mostly things: dialogues ask for them, and people are hard to recolour or move sensibly.
        first = concept if concept is not None else self._thing(rng)
        size = SIZES.get(kind, (0.45, 0.85))
        style = self.sprites.choose(first, rng)
        objects = [self._placed(first, style, rng, size)]
        if kind in ("colour", "mixed") and (kind == "colour" or rng.random() < 0.6):
            objects[0] = _with_colour(objects[0], rng)
        if kind == "pair" or (kind == "mixed" and rng.random() < 0.5):
            objects = self._pair(objects[0], rng)
        if kind == "count" and countable(self.concepts[first].label):
            objects = self._several(objects[0], rng)
        ground = "pale" if rng.random() < 0.45 else "white"
        place: str | None = None
        if kind in ("place", "mixed") or (kind == "count" and rng.random() < 0.2):
            ground = place = rng.choice(list(PLACES)) if rng.random() < 0.85 else _colour(rng)
        scene = Scene(tuple(objects), ground, rng.randrange(1 << 30))
        return scene, self.words(scene, place, rng)

    def words(self, scene: Scene, place: str | None, rng: random.Random) -> str:
        """Return one caption for the scene."""
        alone = len(scene.objects) == 1
        sizes = [
            ("small" if o.size < 0.55 else "big" if o.size > 0.95 else None) if alone else None
            for o in scene.objects
        ]
        named = [self.concepts[o.concept] for o in scene.objects]
        own = self.natural > 0 and rng.random() < self.natural
        colours = [o.colour or (self.natural_colour(o) if own else None) for o in scene.objects]
        trimmed = alone and self.trims > 0 and rng.random() < self.trims
        return caption(named, colours, sizes, place, rng, trim(rng) if trimmed else "")

    def natural_colour(self, item: Placed) -> str | None:
        """Return the colour of the drawing itself, unless the label names one."""
        if set(self.concepts[item.concept].label.split()) & COLOURS.keys():
            return None
        return self.sprites.natural_colour(item.style, item.concept)

    def _thing(self, rng: random.Random) -> int:
        return rng.choice(self.things) if rng.random() < 0.85 else rng.randrange(len(self.concepts))

    def _pair(self, first: Placed, rng: random.Random) -> list[Placed]:
        second = self._thing(rng)
        style = self.sprites.choose(second, rng)
        j = self.jitter
        a = Placed(
            first.concept,
            first.style,
            first.colour,
            _near(0.22, 0.30, j, rng),
            _near(0.4, 0.6, j, rng),
            _near(0.46, 0.62, j, rng),
            first.flip,
        )
        b = Placed(
            second,
            style,
            _colour(rng) if rng.random() < 0.15 else None,
            _near(0.70, 0.78, j, rng),
            _near(0.4, 0.6, j, rng),
            _near(0.46, 0.62, j, rng),
            rng.random() < 0.3 * j,
        )
        return [a, b]

    def _several(self, one: Placed, rng: random.Random) -> list[Placed]:
        """Return two to four copies side by side, some of them in one colour."""
        centres, size = ROWS[rng.choices((2, 3, 4), (0.55, 0.3, 0.15))[0]]
        colour = _colour(rng) if rng.random() < 0.15 else None
        by = 0.025 * self.jitter
        return [
            replace(
                one,
                colour=colour,
                x=x + rng.uniform(-by, by),
                y=y + rng.uniform(-by, by),
                size=size + rng.uniform(-by, by),
            )
            for x, y in centres
        ]

    def _placed(self, concept: int, style: str, rng: random.Random, size: tuple[float, float]) -> Placed:
        side = _near(*size, self.jitter, rng)
        slack = max(0.0, 1 - side) / 2 * 0.6
        x, y = (0.5 + _near(-slack, slack, self.jitter, rng) for _ in range(2))
        return Placed(concept, style, None, x, y, side, rng.random() < 0.2 * self.jitter)


def _colour(rng: random.Random) -> str:
    return rng.choice(list(COLOURS))


def _with_colour(item: Placed, rng: random.Random) -> Placed:
    return Placed(item.concept, item.style, _colour(rng), item.x, item.y, item.size, item.flip)
