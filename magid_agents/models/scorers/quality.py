"""Aesthetics in the embedded profile: the probability, 0 to 1, that a drawing is clean and complete.

The shipped quality head reads the embedded matcher's trunk. The score says nothing about beauty or content.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from magid_agents.config import ScorerSettings
from magid_agents.models import weights
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy
from magid_agents.models.memory import out_of_memory
from magid_agents.models.scorers import open_clip

if TYPE_CHECKING:
    from magid_agents.models.embedded import QualityHead

TRUNK = "matcher"


class QualityScorer:
    """How likely a drawing came out clean and complete."""

    reads_text = lower_is_better = blocking = False
    thresholds: ClassVar = {"quality": 0.5}

    def __init__(self, settings: ScorerSettings) -> None:
        """Find the model's files, which are loaded for the first image. Raises WeightsError."""
        self._matcher = open_clip.matcher(TRUNK, settings.device)
        folder = weights.ensure(settings.model)
        self._head = Lazy(lambda: _load(folder))
        self.identity = f"{weights.identity(settings.model)}+{open_clip.identity(TRUNK)}"
        self._batched: Batcher[Path, float] = Batcher([self._score], open_clip.BATCH)

    async def load(self) -> None:
        """Load trunk and head now instead of at the first image. Raises what loading raises."""
        await self._matcher.wait()
        await self._head.wait()

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (the protocol's text)
        return await self._batched(image)

    @out_of_memory(too_large("quality"))
    def _score(self, batch: Sequence[Path]) -> list[float]:
        import torch

        features = self._matcher().features([open_rgb(path) for path in batch])
        with torch.inference_mode():
            return [round(float(p), 5) for p in self._head()(features).sigmoid()]


def _load(folder: Path) -> QualityHead:
    from magid_agents.models import embedded

    return embedded.load_quality(folder)
