"""Any diffusers text-to-image pipeline, by hub id, by folder, or the embedded one.

Knows how to load and batch it; each image has a generator of its own, so that its seed decides it
whatever batch it rides in (up to the last bits of floating point).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoPipelineForText2Image
from PIL import Image

from magid_agents.config import Painter as PainterSettings
from magid_agents.errors import MagidError
from magid_agents.models import embedded, weights
from magid_agents.models.batching import Batcher


class PainterError(MagidError):
    """The painter cannot be used; the message names the setting to change."""


class DiffusersPainter:
    """The image generation tool behind services.Painter."""

    def __init__(self, settings: PainterSettings) -> None:
        self.settings = settings
        self._device = _device(settings.device)
        self._pipe: Any = _load(settings).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        self.identity = _identity(settings)
        self.parameters = {
            "steps": settings.steps,
            "guidance": settings.guidance,
            "width": settings.width,
            "height": settings.height,
            "negative_prompt": settings.negative_prompt,
            "dtype": settings.dtype,
        }
        tokenizer = getattr(self._pipe, "tokenizer", None)
        self.token_limit: int | None = getattr(tokenizer, "model_max_length", None)
        self.paint_batched: Batcher[tuple[str, int], Image.Image] = Batcher(self._paint, settings.batch)

    def count_tokens(self, prompt: str) -> int:
        """Tokens of the prompt as the pipeline's first text encoder counts them, special ones included."""
        if self.token_limit is None:
            return 0
        return len(self._pipe.tokenizer(prompt).input_ids)

    async def paint(self, prompt: str, seed: int) -> Image.Image:
        """One RGB image. Raises PainterError for a prompt over the limit: it would be cut silently."""
        if self.token_limit is not None and (count := self.count_tokens(prompt)) > self.token_limit:
            raise PainterError(
                f"prompt of {count} tokens, {self.identity} reads {self.token_limit}: {prompt!r}"
            )
        return await self.paint_batched((prompt, seed))

    def _paint(self, batch: Sequence[tuple[str, int]]) -> list[Image.Image]:
        settings, prompts = self.settings, [prompt for prompt, _ in batch]
        # CPU generators: the same seed gives the same noise on every device.
        generators = [torch.Generator("cpu").manual_seed(seed) for _, seed in batch]
        arguments: dict[str, Any] = {}
        if settings.negative_prompt:
            arguments["negative_prompt"] = [settings.negative_prompt] * len(prompts)
        done = self._pipe(
            prompts,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            width=settings.width,
            height=settings.height,
            generator=generators,
            **arguments,
        )
        return list(done.images)


def _load(settings: PainterSettings) -> Any:
    dtype = getattr(torch, settings.dtype)
    if settings.model in weights.manifest():
        return embedded.load_painter(weights.ensure(settings.model)).to(dtype=dtype)
    try:
        return AutoPipelineForText2Image.from_pretrained(
            settings.model, revision=settings.revision, dtype=dtype
        )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise PainterError(f"painter.model={settings.model} cannot be loaded: {first}") from error


def _identity(settings: PainterSettings) -> str:
    """Name and revision; for files on this machine, a digest of what lies there."""
    if settings.model in weights.manifest():
        return weights.identity(settings.model)
    folder = Path(settings.model)
    if not folder.is_dir():
        return f"{settings.model}@{settings.revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors", ".txt")):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.name}@{digest.hexdigest()[:16]}"


def _device(name: str) -> str:
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
