"""A scorer that says how bright an image is, 0 to 1."""

from pathlib import Path
from typing import ClassVar

from PIL import Image, ImageStat

from magid_agents.config import ScorerSettings


class BrightnessScorer:
    lower_is_better = False
    blocking = False  # a dark image may still be the best of an attempt; an unsafe one never is
    thresholds: ClassVar = {"mean": 0.01}  # by `model`; for another one, the settings must give it
    reads_text = False  # the same score whatever text belongs to the image

    def __init__(self, settings: ScorerSettings) -> None:
        self.identity = f"brightness-{settings.model}@1"  # change it whenever an image gets another score
        self._scale = settings.arguments.get("scale", 255)

    async def score(self, image: Path, text: str) -> float:
        with Image.open(image) as picture:
            return ImageStat.Stat(picture.convert("L")).mean[0] / self._scale
