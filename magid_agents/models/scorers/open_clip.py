"""Image-text match: the cosine of an open_clip dual encoder, -1 to 1 (CLIPScore without its rescaling,
Hessel et al. 2021, section 3).

Knows any open_clip model: the embedded matcher by its name, others as `architecture:pretrained-tag`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from magid_agents.config import ConfigError, Scorer
from magid_agents.models import devices, weights
from magid_agents.models.batching import Batcher
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy

if TYPE_CHECKING:
    from magid_agents.models.embedded import Matcher

BATCH = 16


class MatchScorer:
    """How well an image fits a text."""

    reads_text = True
    at_most = vital = False
    # Of CLIP ViT-B/32: the published pipeline's (MAGID, section 3.4). Of the embedded matcher: see
    # training/README.md, "Limits".
    limits = {"matcher": 0.2, "ViT-B-32:openai": 0.21}  # noqa: RUF012

    def __init__(self, settings: Scorer) -> None:
        """Raises ConfigError where open_clip does not know the model, WeightsError where it cannot be had."""
        self._matcher = matcher(settings.model, settings.device)
        self.identity = identity(settings.model)
        if settings.model not in weights.manifest():
            self._matcher()
        self._batched: Batcher[tuple[Path, str], float] = Batcher([self._score], BATCH)

    async def score(self, image: Path, text: str) -> float:
        return await self._batched((image, text))

    def _score(self, batch: Sequence[tuple[Path, str]]) -> list[float]:
        images = self._matcher().encode_images([open_rgb(path) for path, _ in batch])
        texts = self._matcher().encode_texts([text for _, text in batch])
        # Rounded to what survives another batch size: a score must not flicker around its threshold.
        return [round(float(cosine), 5) for cosine in (images * texts).sum(1)]


def identity(model: str) -> str:
    """What a journal calls the model."""
    return weights.identity(model) if model in weights.manifest() else model


@cache
def matcher(model: str, device: str = devices.AUTO) -> Lazy[Matcher]:
    """The dual encoder, loaded once however many scorers share it; the embedded one's files are found now."""
    if model in weights.manifest():
        weights.ensure(model)
        weights.ensure("minilm")
    return Lazy(lambda: _load(model, device))


def _load(model: str, device: str) -> Matcher:
    from magid_agents.models import embedded  # makes torchvision importable before open_clip

    place = devices.first(device)
    if model in weights.manifest():
        return embedded.load_matcher(weights.ensure(model), place)
    import open_clip

    architecture, _, tag = model.partition(":")
    try:
        network, preprocess = open_clip.create_model_from_pretrained(architecture, pretrained=tag)
        return embedded.Matcher(network, preprocess, open_clip.get_tokenizer(architecture), place)
    except (RuntimeError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"scorer model {model} cannot be loaded: {first}") from error
