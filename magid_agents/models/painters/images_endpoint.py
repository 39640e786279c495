"""Any OpenAI-compatible images endpoint: vLLM-Omni, SGLang or OpenAI itself; one request an image.

Knows how to ask and to read the answer; batches are the server's to form, so many requests are under way
at once. How much of our request the server understands is found out with the first image.
"""

import asyncio
import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import SecretStr

from magid_agents.config import Painter as PainterSettings
from magid_agents.models.endpoint import Endpoint, Rejected, Unavailable
from magid_agents.models.openai_errors import translated
from magid_agents.models.protocols import PaintedImage

if TYPE_CHECKING:
    from openai.types import ImagesResponse

SECTION = "painter"


class ImagesEndpointPainter:
    """The image generation tool behind an endpoint."""

    token_limit: int | None = None
    sampled = True

    def __init__(self, settings: PainterSettings, endpoint: Endpoint | None = None) -> None:
        """Opens no connection."""
        from openai import AsyncOpenAI

        self.settings, self.identity = settings, settings.model
        self.parameters: Mapping[str, Any] = {
            "steps": settings.steps,
            "guidance": settings.guidance,
            "width": settings.width,
            "height": settings.height,
            "negative_prompt": settings.negative_prompt,
        }
        self._client = AsyncOpenAI(
            base_url=settings.base_url,
            api_key=(settings.key() or SecretStr("none")).get_secret_value(),
            max_retries=0,  # the endpoint's own
            timeout=settings.timeout,
        )
        self._endpoint = endpoint or Endpoint(settings.concurrency, settings.retries)
        self._finding = asyncio.Lock()
        self._manner: int | None = None  # which of _manners the server takes

    def count_tokens(self, prompt: str) -> int:  # noqa: ARG002  (the server's own business)
        """Unknown: 0."""
        return 0

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        """One RGB image.

        Raises Rejected where the server will not paint this prompt, Unavailable once the retries are spent,
        Unusable where it will paint none.
        """
        async with self._finding:
            if self._manner is None:
                return await self._first(prompt, seed)
        return await self._paint(prompt, self._manners(seed)[self._manner])

    def _manners(self, seed: int) -> list[dict[str, Any]]:
        """What to send besides prompt and size, the fullest first."""
        settings = self.settings
        ours: dict[str, Any] = {
            "seed": seed,
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
        }
        if settings.negative_prompt:
            ours["negative_prompt"] = settings.negative_prompt
        encoded = {"response_format": "b64_json"}
        return [encoded | {"extra_body": ours}, {"extra_body": ours}, encoded, {}]

    async def _first(self, prompt: str, seed: int) -> PaintedImage:
        problem: Rejected | None = None
        for number, manner in enumerate(self._manners(seed)):
            try:
                image = await self._paint(prompt, manner)
            except Rejected as error:
                problem = problem or error
                continue
            self._manner = number
            return image
        assert problem is not None
        raise problem

    async def _paint(self, prompt: str, manner: Mapping[str, Any]) -> PaintedImage:
        return await self._endpoint.call(lambda: self._send(prompt, manner))

    async def _send(self, prompt: str, manner: Mapping[str, Any]) -> PaintedImage:
        settings = self.settings
        with translated(SECTION, settings.key()):
            async with asyncio.timeout(settings.timeout):
                answer = await self._client.images.generate(
                    model=settings.model,
                    prompt=prompt,
                    n=1,
                    size=f"{settings.width}x{settings.height}",
                    **manner,
                )
            data = answer.data[0].b64_json if answer.data else None
        if not data:
            raise Unavailable(f"{SECTION}: the answer holds no image")
        try:
            image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        except (OSError, ValueError) as error:
            raise Unavailable(f"{SECTION}: the answer's image is none: {error}") from error
        return PaintedImage(image, _usage(answer))


def _usage(answer: "ImagesResponse") -> dict[str, float]:
    """Return the tokens read and written, as far as the server reports them."""
    reported = {name: getattr(answer.usage, name, None) for name in ("input_tokens", "output_tokens")}
    return {name: tokens for name, tokens in reported.items() if isinstance(tokens, int)}
