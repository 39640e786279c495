"""Images found and not painted: those of a folder that fit the prompt best (the MMDD-style baseline,
Lee et al. 2021).

Knows an open_clip index over the folder, kept in the cache and built anew when the folder changes. The seed
is the rank, 0 the best.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import Image

from magid_agents.config import Painter as Settings
from magid_agents.errors import StopRun
from magid_agents.models.batching import Batcher
from magid_agents.models.endpoint import Rejected
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy
from magid_agents.models.progress import note
from magid_agents.models.protocols import PaintedImage
from magid_agents.models.scorers import open_clip

KINDS = {".png", ".jpg", ".jpeg", ".webp"}
BATCH = 32


class RetrievalError(StopRun):
    """The folder cannot be used; the message names the setting to change."""


class RetrievalPainter:
    """The image generation tool that generates nothing."""

    token_limit: int | None = None
    sampled = False
    parameters: Mapping[str, Any] = {}

    def __init__(self, settings: Settings) -> None:
        """Lists the folder. Raises RetrievalError where it holds no image, WeightsError or ConfigError where
        the model that reads them cannot be had."""
        self._folder = Path(settings.folder or "")
        if settings.folder is None or not self._folder.is_dir():
            raise RetrievalError(f"painter.folder={settings.folder}: name a folder of images to choose from")
        self._paths = sorted(p for p in self._folder.rglob("*") if p.suffix.lower() in KINDS)
        if not self._paths:
            raise RetrievalError(
                f"painter.folder={self._folder}: holds no image ({', '.join(sorted(KINDS))})"
            )
        self._matcher = open_clip.matcher(settings.model, settings.device)
        encoder = open_clip.identity(settings.model)
        self._digest = hashlib.sha256("\n".join([encoder, *self._listing()]).encode()).hexdigest()[:16]
        self.identity = f"retrieval@{self._digest}+{encoder}"
        self._index = Lazy(self._read)
        self._ranked: Batcher[str, np.ndarray] = Batcher([self._rank], BATCH)

    def count_tokens(self, prompt: str) -> int:  # noqa: ARG002  (the encoder's own business)
        """Unlimited: 0."""
        return 0

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        """The image of that rank. Raises Rejected where there are not so many."""
        ranked = await self._ranked(prompt)
        if seed >= len(ranked):
            raise Rejected(f"painter.folder={self._folder}: holds {len(ranked)} images, not {seed + 1}")
        return PaintedImage(await asyncio.to_thread(open_rgb, self._paths[ranked[seed]]))

    def _listing(self) -> Iterator[str]:
        for path in self._paths:
            stat = path.stat()
            yield f"{path.relative_to(self._folder)} {stat.st_size} {stat.st_mtime_ns}"

    def _rank(self, prompts: Sequence[str]) -> list[np.ndarray]:
        texts = self._matcher().encode_texts(prompts).numpy()
        # Stable, so that equal images keep the order of their names.
        return list(np.argsort(-(texts @ self._index().T), axis=1, kind="stable"))

    def _read(self) -> np.ndarray:
        """Unit vectors of the images, (n, width); read from the cache where they are there."""
        path = Path(platformdirs.user_cache_dir("magid-agents")) / "retrieval" / f"{self._digest}.npy"
        if path.exists():
            return np.asarray(np.load(path))
        note(f"indexing {len(self._paths)} images of {self._folder}, once")
        parts = []
        for at in range(0, len(self._paths), BATCH):
            images = [_readable(p) for p in self._paths[at : at + BATCH]]
            parts.append(self._matcher().encode_images(images).numpy())
        index = np.concatenate(parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.tmp")
        with half.open("wb") as file:
            np.save(file, index)
        half.replace(path)
        return index


def _readable(path: Path) -> Image.Image:
    try:
        return open_rgb(path)
    except (OSError, ValueError) as error:
        raise RetrievalError(f"painter.folder: {path} is no image that can be read; take it out") from error
