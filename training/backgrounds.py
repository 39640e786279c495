"""Draw backgrounds for scenes, plain colours and places, each in many random variants."""

import colorsys
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.captions import COLOURS, PLACES

SIDE = 128
Colour = tuple[int, int, int]


def _near(colour: Colour, rng: random.Random, by: int = 18) -> Colour:
    r, g, b = (max(0, min(255, v + rng.randint(-by, by))) for v in colour)
    return r, g, b


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    t = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    rows = np.array(top, np.float32) * (1 - t) + np.array(bottom, np.float32) * t
    return Image.fromarray(np.broadcast_to(rows, (SIDE, SIDE, 3)).astype(np.uint8))


def _cloud(d: ImageDraw.ImageDraw, rng: random.Random, x: float, y: float, r: float) -> None:
    for _ in range(4):
        cx, cy = x + rng.uniform(-r, r) * 1.4, y + rng.uniform(-r, r) * 0.3
        d.ellipse([cx - r, cy - r * 0.7, cx + r, cy + r * 0.7], fill=(250, 252, 255))


def _sky(rng: random.Random) -> Image.Image:
    image = _gradient(_near((90, 165, 235), rng), _near((190, 225, 250), rng, 10))
    d = ImageDraw.Draw(image)
    for _ in range(rng.randint(2, 5)):
        _cloud(d, rng, rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(8, 16))
    return image


def _land(rng: random.Random, ground: Colour, horizon: float) -> tuple[Image.Image, int]:
    image = _gradient(_near((110, 180, 240), rng), _near((205, 232, 250), rng, 10))
    d = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        x, y, r = rng.uniform(10, 118), rng.uniform(8, 30), rng.uniform(7, 12)
        d.ellipse([x - r, y - r, x + r, y + r], fill=(255, 224, 90))
    if rng.random() < 0.6:
        _cloud(d, rng, rng.uniform(0, SIDE), rng.uniform(10, 36), rng.uniform(7, 12))
    line = round(SIDE * horizon)
    d.rectangle([0, line, SIDE, SIDE], fill=_near(ground, rng, 12))
    return image, line


def _meadow(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (110, 185, 80), rng.uniform(0.4, 0.65))
    d = ImageDraw.Draw(image)
    for _ in range(rng.randint(6, 24)):
        x, y = rng.uniform(0, SIDE), rng.uniform(line + 4, SIDE)
        d.line([x, y, x + rng.uniform(-2, 2), y - rng.uniform(3, 7)], fill=(70, 145, 55), width=1)
    return image


def _beach(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (240, 214, 150), rng.uniform(0.55, 0.7))
    d = ImageDraw.Draw(image)
    top = line - rng.randint(14, 26)
    d.rectangle([0, top, SIDE, line], fill=_near((50, 150, 210), rng))
    d.rectangle([0, line - 2, SIDE, line + 1], fill=(245, 250, 252))
    return image


def _water(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (48, 130, 205), rng.uniform(0.25, 0.5))
    d = ImageDraw.Draw(image)
    for _ in range(rng.randint(8, 18)):
        x, y, w = rng.uniform(0, SIDE), rng.uniform(line + 3, SIDE), rng.uniform(5, 14)
        d.arc([x, y, x + w, y + 5], 180, 360, fill=(150, 205, 240), width=1)
    return image


def _night(rng: random.Random) -> Image.Image:
    image = _gradient(_near((14, 18, 48), rng, 8), _near((40, 46, 96), rng, 10))
    d = ImageDraw.Draw(image)
    for _ in range(rng.randint(12, 30)):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.choice((0.5, 0.5, 1.0))
        d.ellipse([x - r, y - r, x + r, y + r], fill=(250, 246, 210))
    x, y, r = rng.uniform(10, 118), rng.uniform(10, 32), rng.uniform(6, 10)
    d.ellipse([x - r, y - r, x + r, y + r], fill=(245, 240, 200))
    if rng.random() < 0.4:
        d.rectangle([0, rng.randint(95, 110), SIDE, SIDE], fill=_near((26, 40, 38), rng, 6))
    return image


def _room(rng: random.Random) -> Image.Image:
    hue = colorsys.hsv_to_rgb(rng.random(), 0.14, 0.93)
    wall = (round(hue[0] * 255), round(hue[1] * 255), round(hue[2] * 255))
    image = Image.new("RGB", (SIDE, SIDE), wall)
    d = ImageDraw.Draw(image)
    line = rng.randint(80, 100)
    d.rectangle([0, line, SIDE, SIDE], fill=_near((186, 140, 96), rng))
    d.rectangle([0, line - 3, SIDE, line], fill=(250, 248, 244))
    x = rng.choice((6, 92))
    d.rectangle([x, 12, x + 30, 50], fill=(250, 250, 250))
    d.rectangle([x + 3, 15, x + 27, 47], fill=_near((160, 210, 240), rng))
    d.line([x + 15, 15, x + 15, 47], fill=(250, 250, 250), width=2)
    return image


def _table(rng: random.Random) -> Image.Image:
    wall = _near((236, 228, 214), rng, 14)
    image = Image.new("RGB", (SIDE, SIDE), wall)
    d = ImageDraw.Draw(image)
    line = rng.randint(56, 84)
    wood = _near((176, 118, 66), rng)
    d.rectangle([0, line, SIDE, SIDE], fill=wood)
    d.rectangle([0, line, SIDE, line + 3], fill=_near((206, 150, 96), rng, 8))
    for _ in range(4):
        y = rng.uniform(line + 8, SIDE)
        d.line([0, y, SIDE, y + rng.uniform(-3, 3)], fill=_near((150, 98, 52), rng, 6), width=1)
    return image


def _street(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (96, 98, 104), rng.uniform(0.66, 0.78))
    d = ImageDraw.Draw(image)
    x = -rng.randint(0, 10)
    while x < SIDE:
        w, top = rng.randint(16, 30), rng.randint(8, 55)
        d.rectangle([x, top, x + w, line], fill=_near((170, 150, 140), rng, 45))
        for wy in range(top + 5, line - 6, 10):
            for wx in range(x + 4, x + w - 4, 8):
                d.rectangle([wx, wy, wx + 3, wy + 4], fill=(235, 236, 200))
        x += w + rng.randint(0, 3)
    for lx in range(rng.randint(0, 12), SIDE, 26):
        d.rectangle([lx, line + 15, lx + 12, line + 17], fill=(245, 245, 240))
    return image


def _snow(rng: random.Random) -> Image.Image:
    image = _gradient(_near((170, 195, 220), rng), _near((220, 230, 240), rng, 8))
    d = ImageDraw.Draw(image)
    line = rng.randint(58, 84)
    d.ellipse([-40, line, SIDE + 40, SIDE + 90], fill=(248, 251, 254))
    for _ in range(rng.randint(20, 45)):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(0.8, 1.8)
        d.ellipse([x - r, y - r, x + r, y + r], fill=(255, 255, 255))
    return image


def _forest(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (74, 130, 60), rng.uniform(0.6, 0.75))
    d = ImageDraw.Draw(image)
    for x in range(-6, SIDE, rng.randint(13, 19)):
        h, w = rng.randint(40, 70), rng.randint(10, 15)
        d.rectangle([x + w - 2, line - 8, x + w + 2, line + 5], fill=(96, 66, 40))
        green = _near((36, 104, 54), rng)
        d.polygon([(x, line - 4), (x + w, line - h), (x + 2 * w, line - 4)], fill=green)
    return image


def _mountains(rng: random.Random) -> Image.Image:
    image, line = _land(rng, (126, 168, 98), rng.uniform(0.62, 0.78))
    d = ImageDraw.Draw(image)
    for _ in range(rng.randint(2, 4)):
        x, w, h = rng.uniform(0, SIDE), rng.uniform(28, 46), rng.uniform(36, 62)
        d.polygon([(x - w, line), (x, line - h), (x + w, line)], fill=_near((116, 122, 140), rng))
        tip = [(x - w * 0.28, line - h * 0.72), (x, line - h), (x + w * 0.28, line - h * 0.72)]
        d.polygon(tip, fill=(246, 248, 252))
    return image


DRAWERS: dict[str, Callable[[random.Random], Image.Image]] = {
    "sky": _sky,
    "meadow": _meadow,
    "beach": _beach,
    "water": _water,
    "night": _night,
    "room": _room,
    "table": _table,
    "street": _street,
    "snow": _snow,
    "forest": _forest,
    "mountains": _mountains,
}


def _pale(rng: random.Random) -> Image.Image:
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.25), rng.uniform(0.85, 1.0))
    return Image.new("RGB", (SIDE, SIDE), (round(r * 255), round(g * 255), round(b * 255)))


class Bank:
    """Variants of every background, drawn once."""

    def __init__(self, variants: int = 64, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.images: dict[str, list[Image.Image]] = {
            place: [DRAWERS[place](rng) for _ in range(variants)] for place in PLACES
        }
        self.images["pale"] = [_pale(rng) for _ in range(variants)]
        for name, rgb in COLOURS.items():
            by = 4 if name == "white" else 14
            self.images[name] = [Image.new("RGB", (SIDE, SIDE), _near(rgb, rng, by)) for _ in range(variants)]
        self.images["white"][: variants // 2] = [
            Image.new("RGB", (SIDE, SIDE), (255, 255, 255)) for _ in range(variants // 2)
        ]

    def pick(self, ground: str, seed: int) -> Image.Image:
        variants = self.images[ground]
        return variants[seed % len(variants)]

    def random(self, rng: random.Random) -> Image.Image:
        """Return any background, sometimes blurred, for augmentation."""
        image = rng.choice(self.images[rng.choice(list(self.images))])
        return image.filter(ImageFilter.GaussianBlur(2)) if rng.random() < 0.3 else image
