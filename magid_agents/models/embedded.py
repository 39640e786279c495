"""Load the embedded matcher, its quality head, and the painter, all small enough to ship.

The matcher is loaded through open_clip, the painter through diffusers, both with MiniLM's fetched weights.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from magid_agents.models import torchvision_ops, weights
from magid_agents.models.quiet import quiet

torchvision_ops.ensure()  # before open_clip, transformers and diffusers

import open_clip
from diffusers import AutoPipelineForText2Image, DiffusionPipeline
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

TEXT_ENCODER = "minilm"
EARLY = [0, 1, 2]  # trunk layers of 16, 24 and 40 channels
FEATURES = 1280 + 2 * (16 + 24 + 40)


@dataclass
class Matcher:
    """An open_clip dual encoder together with its preprocessing."""

    model: Any  # open_clip's CLIP or CustomTextCLIP
    preprocess: Any
    tokenizer: Any
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.model = self.model.eval().to(self.device)

    def _batch(self, images: Sequence[Image]) -> torch.Tensor:
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    @torch.inference_mode()
    def features(self, images: Sequence[Image]) -> torch.Tensor:
        """Return features of the embedded matcher's trunk, (n, FEATURES), for the quality head.

        They are the pooled last layer, and mean and deviation of the first layers. The last layer was
        trained to ignore noise and blur; the first ones still respond to them.
        """
        trunk = self.model.visual.trunk
        last, early = trunk.forward_intermediates(self._batch(images), indices=EARLY)
        parts = [trunk.forward_head(last)]
        for layer in early:
            parts += [layer.mean((2, 3)), layer.std((2, 3))]
        return torch.cat(parts, 1).cpu()

    @torch.inference_mode()
    def encode_images(self, images: Sequence[Image]) -> torch.Tensor:
        """Return unit vectors of images, (n, width of the shared space)."""
        return self.model.encode_image(self._batch(images), normalize=True).cpu()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors of texts, (n, width of the shared space)."""
        return self.model.encode_text(self.tokenizer(list(texts)).to(self.device), normalize=True).cpu()


def load_matcher(folder: Path | None = None, device: str = "cpu") -> Matcher:
    """Build the matcher from a folder's config and weights; by default the shipped folder.

    Raises WeightsError if the text encoder cannot be fetched, ValueError if the weights do not fit.
    """
    quiet()
    folder = folder or weights.ensure("matcher")
    text_folder = str(weights.ensure(TEXT_ENCODER))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = text_folder
    model = open_clip.CustomTextCLIP(**config["model_cfg"])
    state = load_file(folder / "open_clip_model.safetensors")
    odd = model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    absent = [k for k in odd.missing_keys if not k.startswith("text.transformer.")]
    if absent or odd.unexpected_keys:
        raise ValueError(f"{folder}: weights do not fit: {absent[:3] + odd.unexpected_keys[:3]}")
    preprocess = image_transform_v2(
        PreprocessCfg(**config["preprocess_cfg"], interpolation="bicubic"), is_train=False
    )
    tokenizer = HFTokenizer(text_folder, context_length=config["model_cfg"]["text_cfg"]["context_length"])
    return Matcher(model, preprocess, tokenizer, device)


class QualityHead(torch.nn.Module):
    """A small head on the matcher's trunk for the probability that a drawing is clean."""

    def __init__(self, width: int = FEATURES, hidden: int = 64) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.LayerNorm(width),
            torch.nn.Linear(width, hidden),
            torch.nn.GELU(),
            torch.nn.Linear(hidden, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (n, FEATURES) trunk features to (n,) logits."""
        return self.layers(features).squeeze(-1)


def load_quality(folder: Path | None = None) -> QualityHead:
    """Load the shipped quality head, which takes the output of Matcher.features."""
    head = QualityHead()
    path = (folder or weights.ensure("quality")) / "model.safetensors"
    head.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return head.eval()


def load_painter(folder: Path | None = None) -> DiffusionPipeline:
    """Load the shipped diffusers pipeline, with MiniLM as its text encoder, on the CPU in fp32."""
    quiet()
    folder = folder or weights.ensure("painter")
    text_encoder = AutoModel.from_pretrained(
        weights.ensure(TEXT_ENCODER),
        config=AutoConfig.from_pretrained(folder / "text_encoder"),
        add_pooling_layer=False,
    )
    return AutoPipelineForText2Image.from_pretrained(folder, text_encoder=text_encoder, dtype=torch.float32)
