"""Paint with any diffusers text-to-image pipeline, in batches, on one device or several.

Each image has its own generator, so that its seed decides it whatever batch it is in, up to the last bits
of floating point. The files are found at once; the pipeline is loaded for the first image.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.errors import first_line
from magid_agents.models import devices
from magid_agents.models.batching import Batcher
from magid_agents.models.lazy import Lazy
from magid_agents.models.memory import out_of_memory
from magid_agents.models.painters import pipeline
from magid_agents.models.painters.errors import PainterError, PromptTooLong
from magid_agents.models.protocols import PaintedImage
from magid_agents.models.tokens import TokenCounter

Asked = tuple[str, int]  # prompt and seed
# Newer settings that decide an image: left out of the key at their defaults, so that older keys stay valid.
IN_KEY_IF_SET = {"pipeline", "variant", "guidance_argument", "attention"}


class DiffusersPainter:
    """The `diffusers` backend of models.protocols.Painter."""

    sampled = reproducible = True

    def __init__(self, settings: PainterSettings) -> None:
        """Find the pipeline's files; fetch them if they are missing.

        Raises PainterError or WeightsError if they cannot be fetched.
        """
        self.settings = settings
        self._folder = pipeline.found(settings)
        self._tokens = TokenCounter(self._folder, settings.token_limit)
        self.token_limit = self._tokens.limit
        self.identity = pipeline.identity(settings, self._folder)
        self.parameters: Mapping[str, Any] = {
            "steps": settings.steps,
            "guidance": settings.guidance,
            "width": settings.width,
            "height": settings.height,
            "negative_prompt": settings.negative_prompt,
            "dtype": settings.dtype,
            "quantise": settings.quantise,
            "scheduler": settings.scheduler,
            "arguments": settings.arguments,
            **settings.model_dump(include=IN_KEY_IF_SET, exclude_defaults=True),
        }
        self._batched = Lazy(self._loaded)

    def count_tokens(self, prompt: str) -> int:
        """Count tokens as the pipeline's first text encoder does, including special ones."""
        return self._tokens.count(prompt)

    async def load(self) -> None:
        """Load the pipeline now instead of at the first image. Raises what loading raises."""
        await self._batched.wait()

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        """Return one RGB image.

        Raises PromptTooLong if the prompt exceeds the token limit, OutOfMemory if a single image does not
        fit, and PainterError if the pipeline cannot be loaded or rejects the settings.
        """
        if self.token_limit is not None and (count := self.count_tokens(prompt)) > self.token_limit:
            raise PromptTooLong(
                f"prompt of {count} tokens, {self.identity} reads {self.token_limit}: {prompt!r}"
            )
        batched = await self._batched.wait()
        return PaintedImage(await batched((prompt, seed)))

    def _loaded(self) -> Batcher[Asked, Image.Image]:
        places = devices.every(self.settings.device)
        pipes = [pipeline.load(self.settings, self._folder, place) for place in places]
        return Batcher([partial(self._paint, pipe) for pipe in pipes], self.settings.batch)

    def _paint(self, pipe: Any, batch: Sequence[Asked]) -> list[Image.Image]:
        import torch

        given = pipeline.arguments(self.settings)
        if "negative_prompt" in given:
            given["negative_prompt"] = [given["negative_prompt"]] * len(batch)
        # CPU generators give the same noise for a seed on every device.
        generators = [torch.Generator("cpu").manual_seed(seed) for _, seed in batch]
        too_large = (
            f"painter: {len(batch)} images of {self.settings.width} x {self.settings.height} do not fit the "
            "GPU's memory; see painter.width, painter.dtype and painter.quantise"
        )
        try:
            with out_of_memory(too_large):
                done = pipe(prompt=[prompt for prompt, _ in batch], generator=generators, **given)
        except (ValueError, TypeError) as error:
            # The prompts have passed the same tokenizer, so the pipeline must be rejecting the settings.
            raise PainterError(
                f"painter: {type(pipe).__name__} cannot paint with these settings: {first_line(error)}; see "
                "painter.width, painter.height and painter.arguments"
            ) from error
        return list(done.images)
