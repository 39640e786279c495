"""PickScore: which of several images for a prompt people would pick (Kirstain et al. 2023).

The logit of a CLIP-H fine-tuned on human choices, divided by 100: about 0.15 to 0.25. It ranks candidates
for the same prompt. Its level says little, so the default threshold lets every image pass. Accepts any hub
id or folder of such a CLIP model in transformers' layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from magid_agents.config import ScorerSettings
from magid_agents.models import devices
from magid_agents.models.batching import Batcher
from magid_agents.models.hub import fetched, identity, lazy_model, too_large
from magid_agents.models.images import open_rgb
from magid_agents.models.memory import out_of_memory
from magid_agents.models.quiet import quiet

BATCH = 8
PROCESSOR = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"  # the published model's folder has no processor

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")  # in newer and older folders


@dataclass(frozen=True)
class _Picker:
    model: Any
    processor: Any
    device: str


class PickScorer:
    """Which image people would pick."""

    reads_text = True
    lower_is_better = blocking = False
    thresholds: ClassVar = {"yuvalkirstain/PickScore_v1": 0.0}

    def __init__(self, settings: ScorerSettings) -> None:
        """Find the model's files, which are loaded for the first image. Raises what `fetched` raises."""
        folder = fetched(settings.model)
        own = any((folder / name).exists() for name in PROCESSOR_FILES)
        processor = folder if own else fetched(PROCESSOR, weights=False)
        self._picker = lazy_model(settings.model, lambda: _load(folder, processor, settings.device))
        self.identity = identity(settings.model, folder)
        self._batched: Batcher[tuple[Path, str], float] = Batcher([self._score], BATCH)

    async def load(self) -> None:
        """Load the model now instead of at the first image. Raises what loading raises."""
        await self._picker.wait()

    async def score(self, image: Path, text: str) -> float:
        return await self._batched((image, text))

    @out_of_memory(too_large("pick"))
    def _score(self, batch: Sequence[tuple[Path, str]]) -> list[float]:
        import torch

        picker = self._picker()
        images = [open_rgb(path) for path, _ in batch]
        texts = [text for _, text in batch]
        asked = picker.processor(
            text=texts, images=images, padding=True, truncation=True, return_tensors="pt"
        ).to(picker.device)
        with torch.inference_mode():
            seen = picker.model(**asked)
            cosines = (seen.image_embeds * seen.text_embeds).sum(-1)
            logits = picker.model.logit_scale.exp() * cosines
        return [round(float(logit) / 100, 5) for logit in logits]


def _load(folder: Path, processor: Path, device: str) -> _Picker:
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    import torch
    from transformers import CLIPModel, CLIPProcessor

    quiet()
    place = devices.first(device)
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval().to(place)
    return _Picker(model, CLIPProcessor.from_pretrained(processor), place)
