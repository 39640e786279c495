"""Any diffusers text-to-image pipeline, by hub id, by folder, or the embedded one.

Knows how to find, load and batch it; each image has a generator of its own, so that its seed decides it
whatever batch it rides in (up to the last bits of floating point). Files are found at once, the pipeline
is loaded for the first image.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from magid_agents.config import Painter as PainterSettings
from magid_agents.errors import MagidError
from magid_agents.models import weights
from magid_agents.models.batching import Batcher
from magid_agents.models.lazy import Lazy
from magid_agents.models.quiet import quiet
from magid_agents.models.tokens import TokenCounter


class PainterError(MagidError):
    """The painter cannot be used; the message names the setting to change."""


class DiffusersPainter:
    """The image generation tool behind services.Painter."""

    sampled = True

    def __init__(self, settings: PainterSettings) -> None:
        """Finds the pipeline's files, fetching them where needed.

        Raises PainterError or WeightsError where they cannot be had.
        """
        self.settings = settings
        self._folder = _found(settings)
        self._pipe = Lazy(lambda: _loaded(settings, self._folder))
        self._tokens = TokenCounter(self._folder)
        self.token_limit = self._tokens.limit
        self.identity = _identity(settings)
        self.parameters = {
            "steps": settings.steps,
            "guidance": settings.guidance,
            "width": settings.width,
            "height": settings.height,
            "negative_prompt": settings.negative_prompt,
            "dtype": settings.dtype,
        }
        self.paint_batched: Batcher[tuple[str, int], Image.Image] = Batcher(self._paint, settings.batch)

    def count_tokens(self, prompt: str) -> int:
        """Tokens of the prompt as the pipeline's first text encoder counts them, special ones included."""
        return self._tokens.count(prompt)

    async def paint(self, prompt: str, seed: int) -> Image.Image:
        """One RGB image. Raises PainterError for a prompt over the limit: it would be cut silently."""
        if self.token_limit is not None and (count := self.count_tokens(prompt)) > self.token_limit:
            raise PainterError(
                f"prompt of {count} tokens, {self.identity} reads {self.token_limit}: {prompt!r}"
            )
        return await self.paint_batched((prompt, seed))

    def _paint(self, batch: Sequence[tuple[str, int]]) -> list[Image.Image]:
        import torch

        settings, prompts = self.settings, [prompt for prompt, _ in batch]
        pipe = self._pipe()
        # CPU generators: the same seed gives the same noise on every device.
        generators = [torch.Generator("cpu").manual_seed(seed) for _, seed in batch]
        arguments: dict[str, Any] = {}
        if settings.negative_prompt:
            arguments["negative_prompt"] = [settings.negative_prompt] * len(prompts)
        done = pipe(
            prompts,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            width=settings.width,
            height=settings.height,
            generator=generators,
            **arguments,
        )
        return list(done.images)


def _found(settings: PainterSettings) -> Path:
    """The folder with the pipeline's files."""
    if settings.model in weights.manifest():
        return weights.ensure(settings.model)
    folder = Path(settings.model)
    if folder.is_dir():
        if not (folder / "model_index.json").exists():
            raise PainterError(
                f"painter.model={folder}: holds no model_index.json; name a diffusers pipeline's folder"
            )
        return folder
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(settings.model, revision=settings.revision))
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise PainterError(f"painter.model={settings.model} cannot be had: {first}") from error


def _loaded(settings: PainterSettings, folder: Path) -> Any:
    import torch

    from magid_agents.models import embedded, torchvision_ops

    torchvision_ops.ensure()
    from diffusers import AutoPipelineForText2Image

    quiet()
    dtype = getattr(torch, settings.dtype)
    if settings.model in weights.manifest():
        pipe = embedded.load_painter(folder).to(dtype=dtype)
    else:
        try:
            pipe = AutoPipelineForText2Image.from_pretrained(folder, dtype=dtype)
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise PainterError(f"painter.model={settings.model} cannot be loaded: {first}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(_device(settings.device))


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
    import torch

    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
