"""Break drawings in various ways: blur, noise, smears, merged and half-drawn objects, empty canvases.

train_quality.py trains the head that recognises them; train_matcher.py takes some as negatives.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from training.captions import COLOURS
from training.scenes import Scene

KINDS = ("blur", "noise", "smear", "shuffle", "empty", "half-formed", "misdrawn")


def blur(image: Image.Image, rng: random.Random) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(image.width * rng.uniform(0.025, 0.06)))


def noise(image: Image.Image, rng: random.Random) -> Image.Image:
    pixels = np.asarray(image).astype(np.float32)
    generator = np.random.default_rng(rng.randrange(1 << 30))
    side = rng.choice((1, 1, 2, 4))  # coarse grain too, as a latent model leaves it
    small = generator.normal(0, rng.uniform(28, 80), (-(-image.height // side), -(-image.width // side), 3))
    grain = small.repeat(side, 0).repeat(side, 1)[: image.height, : image.width]
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def _field(side: int, cells: int, rng: random.Random) -> np.ndarray:
    """Return a smooth random field, (side, side), with about zero mean and unit variance."""
    coarse = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 1, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def smear(image: Image.Image, rng: random.Random) -> Image.Image:
    """Displace pixels along a smooth random field that is strong enough to tear shapes."""
    side = image.width
    field = np.stack([_field(side, 7, rng) for _ in range(2)]) * side * rng.uniform(0.07, 0.16)
    grid = np.mgrid[0:side, 0:side]
    rows, cols = np.clip(np.round(grid + field), 0, side - 1).astype(int)
    torn = Image.fromarray(np.asarray(image)[rows, cols])
    return torn.filter(ImageFilter.GaussianBlur(side / 100))


def shuffle(image: Image.Image, rng: random.Random) -> Image.Image:
    """Shuffle blocks, so that there are parts but no whole."""
    pixels = np.asarray(image)
    n = rng.choice((3, 4, 5))
    side = image.width // n
    out = pixels.copy()
    cells = [(r, c) for r in range(n) for c in range(n)]
    for (r, c), (s, d) in zip(cells, rng.sample(cells, len(cells)), strict=True):
        block = pixels[s * side : (s + 1) * side, d * side : (d + 1) * side]
        out[r * side : (r + 1) * side, c * side : (c + 1) * side] = block
    return Image.fromarray(out)


def empty(image: Image.Image, rng: random.Random) -> Image.Image:
    colour = np.array(rng.choice(list(COLOURS.values())), np.float32)
    fade = np.linspace(0, rng.uniform(-40, 40), image.height)[:, None, None]
    flat = np.broadcast_to(colour + fade, (image.height, image.width, 3)).copy()
    generator = np.random.default_rng(rng.randrange(1 << 30))
    flat += generator.normal(0, rng.choice((0, 0, 3)), flat.shape)
    return Image.fromarray(np.clip(flat, 0, 255).astype(np.uint8))


def blend(image: Image.Image, other: Image.Image, rng: random.Random) -> Image.Image:
    """Replace patches, 40 to 65 % of where the two images differ, by the other image, with soft edges."""
    a, b = (np.asarray(i).astype(np.float32) for i in (image, other))
    differ = np.abs(a - b).max(2) > 24
    if not differ.any():
        return image
    field = _field(image.width, rng.choice((3, 4, 5)), rng)
    share = np.clip((np.quantile(field[differ], rng.uniform(0.4, 0.65)) - field) * 6 + 0.5, 0, 1)[..., None]
    return Image.fromarray((a * (1 - share) + b * share).astype(np.uint8))


def misdraw(scene: Scene, draw: Callable[[Scene], Image.Image], rng: random.Random) -> Image.Image:
    """Draw the scene with its two objects merged, one object half there, or a blob beside the only one.

    These are the faults of a small painter, made from drawings and without a painter.
    """
    objects = scene.objects
    if len({o.concept for o in objects}) == 2 and rng.random() < 0.6:
        x, y = (np.mean([getattr(o, axis) for o in objects]) for axis in "xy")
        near = [replace(o, x=x + (o.x - x) * 0.3, y=y + (o.y - y) * 0.3, size=o.size * 1.2) for o in objects]
        first, second = (draw(replace(scene, objects=(o,))) for o in near)
        return blend(first, second, rng)
    if len(objects) == 1 and rng.random() < 0.35:
        return with_blob(scene, draw, rng)
    missing = rng.choice(objects)
    without = replace(scene, objects=tuple(o for o in objects if o is not missing))
    return blend(draw(scene), draw(without), rng)


def with_blob(scene: Scene, draw: Callable[[Scene], Image.Image], rng: random.Random) -> Image.Image:
    """Draw the only object smaller, and beside it another one of it, torn beyond recognition."""
    left = rng.random() < 0.5
    whole, torn = (
        replace(scene.objects[0], x=x, y=rng.uniform(0.45, 0.6), size=rng.uniform(0.42, 0.58))
        for x in ((0.27, 0.74) if left else (0.74, 0.27))
    )
    alone, both = (draw(replace(scene, objects=objects)) for objects in ((whole,), (whole, torn)))
    ruined = smear(smear(both, rng), rng).filter(ImageFilter.GaussianBlur(both.width * 0.02))
    side = np.zeros((both.height, both.width), np.float32)
    half = both.width // 2
    side[:, half:] = 1 if left else 0
    side[:, :half] = 0 if left else 1
    share = np.asarray(Image.fromarray(side).resize((32, 32)).resize(both.size, Image.Resampling.BICUBIC))
    a, b = (np.asarray(i).astype(np.float32) for i in (alone, ruined))
    mixed = a + (b - a) * np.clip(share, 0, 1)[..., None]
    return Image.fromarray(mixed.astype(np.uint8))


class HalfFormed:
    """Show any image as a sampler that stopped early would, using the painter's own parts."""

    def __init__(self, vae: Any, unet: Any, empty_text: torch.Tensor) -> None:
        self.vae, self.unet, self.text = vae, unet, empty_text

    @torch.inference_mode()
    def __call__(self, image: Image.Image, rng: random.Random) -> Image.Image:
        """Add noise to the image's latent, then decode it, or decode the model's one-step prediction."""
        generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
        latent = encode(self.vae, [image])
        t = rng.uniform(0.3, 0.8)
        mixed = (1 - t) * latent + t * torch.randn(latent.shape, generator=generator)
        if rng.random() < 0.6:
            t = rng.uniform(0.75, 0.97)
            mixed = (1 - t) * latent + t * torch.randn(latent.shape, generator=generator)
            guess = self.unet(mixed, torch.tensor([t * 1000]), self.text).sample
            mixed = mixed - t * guess
        return decode(self.vae, mixed)[0].resize(image.size, Image.Resampling.BICUBIC)


@torch.inference_mode()
def encode(vae: Any, images: list[Image.Image]) -> torch.Tensor:
    """Encode images as the painter's scaled latents."""
    small = [np.asarray(i.resize((64, 64), Image.Resampling.BOX)) for i in images]
    x = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return vae.encode(x).latent_dist.mean * vae.config.scaling_factor


@torch.inference_mode()
def decode(vae: Any, latents: torch.Tensor) -> list[Image.Image]:
    """Decode scaled latents to 64 x 64 images."""
    y = vae.decode(latents / vae.config.scaling_factor).sample
    pixels = y.add(1).mul(127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(p) for p in pixels]


SPOILERS = {"blur": blur, "noise": noise, "smear": smear, "shuffle": shuffle, "empty": empty}
