"""A painter whose images are gradients of a colour that prompt and seed decide."""

import hashlib
from collections.abc import Mapping
from typing import Any

from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.models.protocols import PaintedImage


class GradientPainter:
    identity = "gradient@1"  # change it whenever the same request gives another image
    token_limit = None  # of a prompt
    sampled = True  # another seed gives another image
    reproducible = True  # the same prompt and seed give the same image

    def __init__(self, settings: PainterSettings) -> None:
        self._size = settings.width, settings.height
        self._direction = settings.arguments.get("direction", "down")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that decides an image besides prompt and seed."""
        return {"size": self._size, "direction": self._direction}

    def count_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        red, green, blue = hashlib.sha256(f"{prompt}/{seed}".encode()).digest()[:3]
        shade = Image.linear_gradient("L").resize(self._size)
        if self._direction == "across":
            shade = shade.transpose(Image.Transpose.ROTATE_90)
        bands = [shade.point(lambda level, top=top: level * top // 255) for top in (red, green, blue)]
        return PaintedImage(Image.merge("RGB", bands))
