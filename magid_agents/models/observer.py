"""What the embedded matcher sees in a picture, in words: the likeliest things and places it knows.

For a critic that cannot look. Knows the matcher's vocabulary; judges nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from magid_agents.models import weights
from magid_agents.models.batching import Batcher
from magid_agents.models.images import open_rgb
from magid_agents.models.scorers import open_clip

MATCHER = "matcher"
THINGS, PLACES = 6, 2  # how many of each are named


class MatcherObserver:
    """The best-fitting words of the vocabulary, with their cosines."""

    def __init__(self) -> None:
        self._matcher, self.identity = open_clip.load(MATCHER)
        words = json.loads((weights.where(MATCHER) / "vocabulary.json").read_text(encoding="utf-8"))
        self._things: list[str] = words["things"]
        self._places: list[str] = words["places"]
        self._thing_vectors = self._matcher.encode_texts(self._things)
        self._place_vectors = self._matcher.encode_texts(self._places)
        self._batched: Batcher[Path, list[tuple[str, float]]] = Batcher(self._look, open_clip.BATCH)

    async def look(self, image: Path) -> list[tuple[str, float]]:
        """(word, cosine): the likeliest things first, then the likeliest places."""
        return await self._batched(image)

    def _look(self, batch: Sequence[Path]) -> list[list[tuple[str, float]]]:
        seen = self._matcher.encode_images([open_rgb(path) for path in batch])
        things = _top(seen @ self._thing_vectors.T, self._things, THINGS)
        places = _top(seen @ self._place_vectors.T, self._places, PLACES)
        return [a + b for a, b in zip(things, places, strict=True)]


def _top(scores: torch.Tensor, words: list[str], count: int) -> list[list[tuple[str, float]]]:
    best = scores.topk(count)
    return [
        [(words[i], round(v, 4)) for i, v in zip(places, values, strict=True)]
        for places, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
