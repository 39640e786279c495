"""What every measurement of the embedded models needs: the models, and held-out drawings and scenes."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from magid_agents.models import embedded, weights
from training import backgrounds, broken, build_scenes, concepts, scenes
from training.captions import NUMBERS, plural, with_article
from training.sources import HELD_OUT

STEPS, GUIDANCE = 10, 4.0


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the probability that a positive scores above a negative (Mann-Whitney); ties count half."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left")
    upto = np.searchsorted(order, positive, "right")
    return float((below + upto).mean() / 2 / len(negative))


class Bench:
    """The models under evaluation, and what every measurement needs from them."""

    def __init__(self, work_folder: Path, shipped: bool) -> None:
        self.work = work_folder
        self.folder: Callable[[str], Path] = weights.ensure if shipped else lambda name: work_folder / name
        self.concepts = concepts.load(work_folder / "concepts.json")
        self.matcher = embedded.load_matcher(self.folder("matcher"))
        self.labels = self.texts([c.label for c in self.concepts])
        self._painter: DiffusionPipeline | None = None

    @property
    def painter(self) -> DiffusionPipeline:
        if self._painter is None:
            self._painter = embedded.load_painter(self.folder("painter"))
            self._painter.set_progress_bar_config(disable=True)
        return self._painter

    def texts(self, texts: list[str]) -> torch.Tensor:
        parts = [self.matcher.encode_texts(texts[i : i + 128]) for i in range(0, len(texts), 128)]
        return torch.cat(parts)

    def images(self, images: list[Image.Image]) -> torch.Tensor:
        parts = [self.matcher.encode_images(images[i : i + 32]) for i in range(0, len(images), 32)]
        return torch.cat(parts)

    def paint(self, prompts: list[str], seed: int, batch: int = 16, first: int = 0) -> list[Image.Image]:
        """Paint one image per prompt, each from its own noise: the seed's number `first` and following."""
        out: list[Image.Image] = []
        for at in range(0, len(prompts), batch):
            part = prompts[at : at + batch]
            begin = seed * 100_003 + first + at
            generators = [torch.Generator().manual_seed(begin + i) for i in range(len(part))]
            out += self.painter(
                part,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                generator=generators,
                height=64,
                width=64,
            ).images
        return out

    def held_out_pictures(self) -> tuple[list[int], list[Image.Image]]:
        """Return concept numbers and OpenMoji's drawings on white."""
        sprites = scenes.Sprites(self.work, {HELD_OUT.name: 1.0})
        known = [i for i, at in enumerate(sprites.index[HELD_OUT.name]) if at >= 0]
        pictures = []
        for i in known:
            canvas = Image.new("RGB", (scenes.SIDE, scenes.SIDE), "white")
            sprite = sprites.get(HELD_OUT.name, i)
            canvas.paste(sprite, (0, 0), sprite)
            pictures.append(canvas)
        return known, pictures

    def misdrawn_scenes(
        self, kind: str, count: int
    ) -> tuple[list[Image.Image], list[Image.Image], list[str]]:
        """Return scenes of held-out drawings, the same scenes misdrawn, and plain captions.

        Args:
            kind: of scene, "plain" or "pair".
        """
        sampler, draw = self._held_out_sampler(kind)
        rng = random.Random(17)
        made = [sampler.scene(rng)[0] for _ in range(count)]
        captions = [" and ".join(with_article(self._phrase(o)) for o in scene.objects) for scene in made]
        return [draw(s) for s in made], [broken.misdraw(s, draw, rng) for s in made], captions

    def counted_scenes(self, count: int) -> tuple[list[Image.Image], list[tuple[str, str]]]:
        """Return scenes of equal held-out drawings, and captions with the right and with another number."""
        sampler, draw = self._held_out_sampler("count")
        rng = random.Random(19)
        pictures: list[Image.Image] = []
        captions: list[tuple[str, str]] = []
        while len(pictures) < count:
            scene, _ = sampler.scene(rng)
            number, name = len(scene.objects), self._phrase(scene.objects[0])
            if number > 1:
                wordings = {n: f"{NUMBERS[n][0]} {plural(name)}" for n in NUMBERS} | {1: with_article(name)}
                pictures.append(draw(scene))
                captions.append((wordings.pop(number), rng.choice(list(wordings.values()))))
        return pictures, captions

    def _held_out_sampler(self, kind: str) -> tuple[scenes.Sampler, Callable[[scenes.Scene], Image.Image]]:
        sprites, grounds = scenes.Sprites(self.work, {HELD_OUT.name: 1.0}), backgrounds.Bank()
        sampler = scenes.Sampler(self.concepts, sprites, {kind: 1.0}, build_scenes.JITTER)
        return sampler, lambda scene: scenes.draw(scene, sprites, grounds)

    def _phrase(self, item: scenes.Placed) -> str:
        label = self.concepts[item.concept].label
        return f"{item.colour} {label}" if item.colour else label
