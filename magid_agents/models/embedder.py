"""Embed images and texts in the shared space of an open_clip dual encoder."""

from collections.abc import Sequence
from pathlib import Path

from magid_agents.models import devices
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.memory import out_of_memory
from magid_agents.models.scorers import open_clip

DIGITS = 5  # so that the batch size does not change a vector

Vector = list[float]  # of unit length


class MatcherEmbedder:
    """Gives the vectors whose cosine is the match scorer's score."""

    def __init__(self, model: str, device: str = devices.AUTO) -> None:
        """Find the model's files, which are loaded for the first item. Raises what `matcher` raises."""
        self._matcher = open_clip.matcher(model, device)
        self.identity = open_clip.identity(model)
        self._images: Batcher[Path, Vector] = Batcher([self._embed_images], open_clip.BATCH)
        self._texts: Batcher[str, Vector] = Batcher([self._embed_texts], open_clip.BATCH)

    async def embed_image(self, image: Path) -> Vector:
        return await self._images(image)

    async def embed_text(self, text: str) -> Vector:
        return await self._texts(text)

    @out_of_memory(too_large("open_clip"))
    def _embed_images(self, batch: Sequence[Path]) -> list[Vector]:
        return _rounded(self._matcher().encode_images([open_rgb(path) for path in batch]).tolist())

    @out_of_memory(too_large("open_clip"))
    def _embed_texts(self, batch: Sequence[str]) -> list[Vector]:
        return _rounded(self._matcher().encode_texts(batch).tolist())


def _rounded(vectors: Sequence[Vector]) -> list[Vector]:
    return [[round(value, DIGITS) for value in vector] for vector in vectors]
