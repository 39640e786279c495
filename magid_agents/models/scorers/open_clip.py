"""Image-text match: the cosine of an open_clip dual encoder, -1 to 1 (CLIPScore without its rescaling, Hessel
et al. 2021, section 3).

Works with any open_clip model: the embedded matcher by its name, others as `architecture:pretrained`, in
which the second part is one of open_clip's tags or a checkpoint file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from magid_agents.config import ScorerSettings
from magid_agents.errors import first_line
from magid_agents.models import devices, weights
from magid_agents.models.batching import Batcher
from magid_agents.models.digests import file_identity
from magid_agents.models.hub import ScorerError, lazy_model, too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.lazy import Lazy
from magid_agents.models.memory import out_of_memory

if TYPE_CHECKING:
    from magid_agents.models.embedded import Matcher

BATCH = 16
QUICKGELU = "-quickgelu"  # suffix of open_clip's architectures with this activation


class MatchScorer:
    """How well an image matches a text."""

    reads_text = True
    lower_is_better = blocking = False
    # For CLIP ViT-B/32 the published pipeline's (MAGID, section 3.4); docs/evidence.md says how the embedded
    # matcher's was found.
    thresholds: ClassVar = {"matcher": 0.26, "ViT-B-32-quickgelu:openai": 0.21}

    def __init__(self, settings: ScorerSettings) -> None:
        """Find the model's files, which are loaded for the first image. Raises what `matcher` raises."""
        self._matcher = matcher(settings.model, settings.device)
        self.identity = identity(settings.model)
        self._batched: Batcher[tuple[Path, str], float] = Batcher([self._score], BATCH)

    async def load(self) -> None:
        """Load the model now instead of at the first image. Raises what loading raises."""
        await self._matcher.wait()

    async def score(self, image: Path, text: str) -> float:
        return await self._batched((image, text))

    @out_of_memory(too_large("open_clip"))
    def _score(self, batch: Sequence[tuple[Path, str]]) -> list[float]:
        images = self._matcher().encode_images([open_rgb(path) for path, _ in batch])
        texts = self._matcher().encode_texts([text for _, text in batch])
        # Rounded so that the batch size does not change it: a score must not flicker around its threshold.
        return [round(float(cosine), 5) for cosine in (images * texts).sum(1)]


def identity(model: str) -> str:
    """Return the model's name in the journal, with a digest if its content can change under that name."""
    if model in weights.manifest():
        return weights.identity(model)
    architecture, _, pretrained = model.partition(":")
    path = Path(pretrained)
    return f"{architecture}:{file_identity(path)}" if path.is_file() else model


@cache
def matcher(model: str, device: str = devices.AUTO) -> Lazy[Matcher]:
    """Find a dual encoder's files, fetching them if necessary, and return what loads it at its first use.

    It is loaded once per device, however many scorers share it. Raises ScorerError if open_clip does not
    know the model, would build it differently than it was trained, or cannot fetch it, and WeightsError if
    the embedded matcher cannot be fetched.
    """
    if model in weights.manifest():
        weights.ensure(model)
        weights.ensure("minilm")
    else:
        _fetch(model)
    return lazy_model(model, lambda: _load(model, devices.first(device)))


def _fetch(model: str) -> None:
    open_clip = _open_clip()
    architecture, _, pretrained = model.partition(":")
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise ScorerError(
            f"model {model}: open_clip has no architecture {architecture!r}; see its model list"
        )
    known = open_clip.get_pretrained_cfg(architecture, pretrained)
    if not known and not Path(pretrained).is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise ScorerError(
            f"model {model}: name it as {architecture}:TAG or {architecture}:FILE; tags: {tags}"
        )
    # open_clip would only warn, and build another network than the one that was trained. The reverse is no
    # error: architectures that define QuickGELU themselves have tags that do not repeat it.
    if known.get("quick_gelu") and not config.get("quick_gelu"):
        raise ScorerError(
            f"model {model}: QuickGELU mismatch, these weights were trained with QuickGELU and "
            f"{architecture} has GELU; set the model to {architecture}{QUICKGELU}:{pretrained}"
        )
    try:
        open_clip.download_pretrained(known)
        open_clip.get_tokenizer(architecture)
    except (RuntimeError, OSError, ValueError) as error:
        raise ScorerError(f"model {model} cannot be fetched: {first_line(error)}") from error


@cache
def _load(model: str, device: str) -> Matcher:
    from magid_agents.models import embedded

    if model in weights.manifest():
        return embedded.load_matcher(weights.ensure(model), device)
    open_clip = _open_clip()
    architecture, _, pretrained = model.partition(":")
    network, preprocess = open_clip.create_model_from_pretrained(architecture, pretrained=pretrained)
    return embedded.Matcher(network, preprocess, open_clip.get_tokenizer(architecture), device)


def _open_clip() -> Any:
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    import open_clip

    return open_clip
