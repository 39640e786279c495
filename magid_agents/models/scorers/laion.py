"""Aesthetics by LAION's improved predictor: how people would rate an image, scaled from 0-10 to 0-1.

CLIP ViT-L/14 with a small head trained on human ratings (SAC, Logos, AVA). The published pipeline keeps
images from 0.51 (MAGID, section 3.4). Accepts any hub id or folder that holds both the tower and the head's
`layers.N`. The score says nothing about what an image shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from magid_agents.config import ScorerSettings
from magid_agents.models import devices
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import WEIGHTS, fetched, identity, lazy_model, too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.memory import out_of_memory
from magid_agents.models.quiet import quiet

BATCH = 8


@dataclass(frozen=True)
class _Predictor:
    tower: Any
    preprocess: Any
    head: Any
    device: str


class LaionScorer:
    """How people would rate the image."""

    reads_text = lower_is_better = blocking = False
    thresholds: ClassVar = {"shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE": 0.51}

    def __init__(self, settings: ScorerSettings) -> None:
        """Find the model's files, which are loaded for the first image. Raises what `fetched` raises."""
        folder = fetched(settings.model)
        self._predictor = lazy_model(settings.model, lambda: _load(folder, settings.device))
        self.identity = identity(settings.model, folder)
        self._batched: Batcher[Path, float] = Batcher([self._score], BATCH)

    async def load(self) -> None:
        """Load the model now instead of at the first image. Raises what loading raises."""
        await self._predictor.wait()

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (the protocol's text)
        return await self._batched(image)

    @out_of_memory(too_large("laion"))
    def _score(self, batch: Sequence[Path]) -> list[float]:
        import torch

        model = self._predictor()
        images = [open_rgb(path) for path in batch]
        pixels = model.preprocess(images=images, return_tensors="pt").pixel_values.to(model.device)
        with torch.inference_mode():
            seen = model.tower(pixels).image_embeds
            ratings = model.head(seen / seen.norm(dim=-1, keepdim=True)).squeeze(-1)
        return [round(float(rating) / 10, 5) for rating in ratings]


def _load(folder: Path, device: str) -> _Predictor:
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    import torch
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    quiet()
    state = load_file(folder / WEIGHTS)
    numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith("layers.")})
    layers = []
    for number in numbers:  # linear layers only: the dropout between them is inactive
        weight, bias = state[f"layers.{number}.weight"], state[f"layers.{number}.bias"]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        layers.append(layer)
    tower = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()
    place, head = devices.first(device), torch.nn.Sequential(*layers).eval()
    return _Predictor(tower.to(place), CLIPImageProcessor.from_pretrained(folder), head.to(place), place)
