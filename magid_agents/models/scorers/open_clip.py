"""Image-text match: the cosine of an open_clip dual encoder, -1 to 1 (CLIPScore without its rescaling,
Hessel et al. 2021, section 3).

Knows any open_clip model: the embedded matcher by its name, others as `architecture:pretrained-tag`.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from magid_agents.config import ConfigError, Scorer
from magid_agents.models import embedded, weights
from magid_agents.models.batching import Batcher
from magid_agents.models.embedded import Matcher
from magid_agents.models.images import open_rgb

BATCH = 16


class MatchScorer:
    """How well an image fits a text."""

    reads_text = True

    def __init__(self, settings: Scorer) -> None:
        self._matcher, self.identity = load(settings.model)
        self._batched: Batcher[tuple[Path, str], float] = Batcher(self._score, BATCH)

    async def score(self, image: Path, text: str) -> float:
        return await self._batched((image, text))

    def _score(self, batch: Sequence[tuple[Path, str]]) -> list[float]:
        images = self._matcher.encode_images([open_rgb(path) for path, _ in batch])
        texts = self._matcher.encode_texts([text for _, text in batch])
        # Rounded to what survives another batch size: a score must not flicker around its threshold.
        return [round(float(cosine), 5) for cosine in (images * texts).sum(1)]


@lru_cache(maxsize=4)
def load(model: str) -> tuple[Matcher, str]:
    """A matcher and its identity, loaded once however many scorers share it.

    Raises ConfigError where open_clip does not know the model.
    """
    if model in weights.manifest():
        return embedded.load_matcher(weights.ensure(model)), weights.identity(model)
    import open_clip  # after embedded, which makes torchvision importable first

    architecture, _, tag = model.partition(":")
    try:
        network, preprocess = open_clip.create_model_from_pretrained(architecture, pretrained=tag)
        return Matcher(network.eval(), preprocess, open_clip.get_tokenizer(architecture)), model
    except (RuntimeError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"scorer model {model} cannot be loaded: {first}") from error
