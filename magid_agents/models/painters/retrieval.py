"""Retrieve the images of a folder that fit a prompt best (the MMDD-style baseline, Lee et al. 2021).

Images are ranked by an open_clip index of the folder, which is cached and rebuilt when an image is added,
changed or removed. The seed is the rank, with 0 the best.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import ScorerError
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy
from magid_agents.models.painters.errors import PainterError, PromptRefused
from magid_agents.models.painters.image_folder import images_by_digest, writing_cache
from magid_agents.models.progress import note
from magid_agents.models.protocols import PaintedImage
from magid_agents.models.scorers import open_clip
from magid_agents.resources import cache_folder

BATCH = 32
UPRIGHT = "upright, on white"  # how images are read, which decides what they show


class RetrievalPainter:
    """The `retrieval` backend of models.protocols.Painter."""

    token_limit: int | None = None
    sampled = False
    reproducible = True
    parameters: Mapping[str, Any] = {}

    def __init__(self, settings: PainterSettings) -> None:
        """List the folder and find the model that encodes its images.

        Raises PainterError if the folder or the model cannot be used, WeightsError if the embedded matcher
        cannot be fetched.
        """
        images = images_by_digest(settings.folder)
        self._folder, self._paths = settings.folder, list(images.values())
        try:
            self._matcher = open_clip.matcher(settings.model, settings.device)
        except ScorerError as error:
            raise PainterError(f"painter: {error}") from error
        encoder = open_clip.identity(settings.model)
        self._digest = hashlib.sha256("\n".join([UPRIGHT, encoder, *images]).encode()).hexdigest()[:16]
        self.identity = f"retrieval@{self._digest}+{encoder}"
        self._index = Lazy(self._read)
        self._ranked: Batcher[str, np.ndarray] = Batcher([self._rank], BATCH)

    def count_tokens(self, prompt: str) -> int:  # noqa: ARG002  (there is no limit to count for)
        """Return 0: there is no limit."""
        return 0

    async def load(self) -> None:
        """Load encoder and index now instead of at the first image. Raises what loading raises."""
        await self._matcher.wait()
        await self._index.wait()

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        """Return the image of that rank.

        Raises PromptRefused if there are fewer images, PainterError if one cannot be read.
        """
        ranked = await self._ranked(prompt)
        if seed >= len(ranked):
            raise PromptRefused(f"painter.folder={self._folder}: holds {len(ranked)} images, not {seed + 1}")
        image = await asyncio.to_thread(_readable, self._paths[ranked[seed]])
        return PaintedImage(image, synthetic=False)

    def _rank(self, prompts: Sequence[str]) -> list[np.ndarray]:
        texts = self._matcher().encode_texts(prompts).numpy()
        # Stable, so that images with equal scores keep the order of their digests.
        return list(np.argsort(-(texts @ self._index().T), axis=1, kind="stable"))

    def _read(self) -> np.ndarray:
        """Return the images' unit vectors, (n, width), from the cache if possible."""
        path = cache_folder("retrieval") / f"{self._digest}.npy"
        if path.exists():
            return np.asarray(np.load(path))
        note(f"indexing {len(self._paths)} images of {self._folder}, once")
        parts = []
        for at in range(0, len(self._paths), BATCH):
            images = [_readable(p) for p in self._paths[at : at + BATCH]]
            parts.append(self._matcher().encode_images(images).numpy())
        index = np.concatenate(parts)
        with writing_cache(path) as file:
            np.save(file, index)
        return index


def _readable(path: Path) -> Image.Image:
    try:
        return open_rgb(path)
    except (OSError, ValueError) as error:
        raise PainterError(f"painter.folder: {path} cannot be read as an image; take it out") from error
