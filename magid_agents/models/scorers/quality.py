"""Aesthetics of the embedded profile: the probability, 0 to 1, that a drawing is clean and whole.

Reads the embedded matcher's trunk through the shipped quality head; says nothing of beauty or content.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from magid_agents.config import Scorer
from magid_agents.models import embedded, weights
from magid_agents.models.batching import Batcher
from magid_agents.models.images import open_rgb
from magid_agents.models.scorers import open_clip

TRUNK = "matcher"


class QualityScorer:
    """Whether a drawing came out whole."""

    reads_text = False

    def __init__(self, settings: Scorer) -> None:
        self._matcher, trunk = open_clip.load(TRUNK)
        self._head = embedded.load_quality(weights.ensure(settings.model))
        self.identity = f"{weights.identity(settings.model)}+{trunk}"
        self._batched: Batcher[Path, float] = Batcher(self._score, open_clip.BATCH)

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (the protocol's text)
        return await self._batched(image)

    @torch.inference_mode()
    def _score(self, batch: Sequence[Path]) -> list[float]:
        features = self._matcher.features([open_rgb(path) for path in batch])
        return [round(float(p), 5) for p in self._head(features).sigmoid()]
