"""Tell in words what the embedded matcher sees in an image, for a critic without vision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from magid_agents.models import devices, weights
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy
from magid_agents.models.memory import out_of_memory
from magid_agents.models.scorers import open_clip

if TYPE_CHECKING:
    import torch

MATCHER = "matcher"
THINGS, PLACES = 6, 2  # number of words of each kind


@dataclass(frozen=True)
class _Words:
    words: list[str]
    vectors: torch.Tensor  # (words, width), unit length


class MatcherTagger:
    """The words of the matcher's vocabulary that fit an image best, with their cosines."""

    def __init__(self, device: str = devices.AUTO) -> None:
        """Find the model. On the match scorer's `device` the two share the model in memory."""
        self._matcher = open_clip.matcher(MATCHER, device)
        self._vocabulary = Lazy(self._load)
        self.identity = open_clip.identity(MATCHER)
        self._batched: Batcher[Path, list[tuple[str, float]]] = Batcher([self._look], open_clip.BATCH)
        self._compared: Batcher[tuple[Path, Sequence[str]], list[float]] = Batcher(
            [self._fit], open_clip.BATCH
        )

    async def tag_image(self, image: Path) -> list[tuple[str, float]]:
        """Return (word, cosine) pairs: the best-fitting things first, or several equal ones, then places."""
        return await self._batched(image)

    async def compare(self, image: Path, texts: Sequence[str]) -> list[float]:
        """Return each text's cosine with the image."""
        return await self._compared((image, texts))

    def _load(self) -> dict[str, _Words]:
        text = (weights.where(MATCHER) / "vocabulary.json").read_text(encoding="utf-8")
        return {
            kind: _Words(words, self._matcher().encode_texts(words))
            for kind, words in json.loads(text).items()
        }

    @out_of_memory(too_large("observer"))
    def _look(self, batch: Sequence[Path]) -> list[list[tuple[str, float]]]:
        seen = self._matcher().encode_images([open_rgb(path) for path in batch])
        vocabulary = self._vocabulary()
        things = _top(seen, vocabulary["things"], THINGS)
        # An image of two dogs looks less like "dog" than like "two dogs".
        several = _top(seen, vocabulary["several"], THINGS)
        places = _top(seen, vocabulary["places"], PLACES)
        return [max(a, b, key=_best) + c for a, b, c in zip(things, several, places, strict=True)]

    @out_of_memory(too_large("observer"))
    def _fit(self, batch: Sequence[tuple[Path, Sequence[str]]]) -> list[list[float]]:
        seen = self._matcher().encode_images([open_rgb(path) for path, _ in batch])
        fits = []
        for image, (_, texts) in zip(seen, batch, strict=True):
            cosines = (self._matcher().encode_texts(list(texts)) @ image).tolist()
            fits.append([round(cosine, 4) for cosine in cosines])
        return fits


def _best(seen: list[tuple[str, float]]) -> float:
    return seen[0][1]


def _top(seen: torch.Tensor, vocabulary: _Words, count: int) -> list[list[tuple[str, float]]]:
    best = (seen @ vocabulary.vectors.T).topk(count)
    return [
        [(vocabulary.words[i], round(v, 4)) for i, v in zip(places, values, strict=True)]
        for places, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
