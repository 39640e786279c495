"""Paint with any OpenAI-compatible images endpoint: vLLM-Omni, SGLang, OpenAI; one request per image.

The server forms batches, so many requests run at once. A probe before the first image finds out which
fields a request may have; see request_variant.py.
"""

import asyncio
import base64
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.models.client import open_client
from magid_agents.models.endpoint import (
    ContentRefused,
    Endpoint,
    EndpointDown,
    EndpointUnavailable,
    RequestRejected,
)
from magid_agents.models.images import INLINE_MAX_PIXELS, to_rgb
from magid_agents.models.openai_errors import translated
from magid_agents.models.painters.errors import PainterError, PromptRefused
from magid_agents.models.painters.request_variant import (
    OPTIONAL,
    PROMPT,
    SEED,
    Fields,
    RequestVariant,
    find_variant,
    settings_rejected,
)
from magid_agents.models.progress import note
from magid_agents.models.protocols import IMAGES, PaintedImage, Probed

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import ImagesResponse

SECTION = "painter"


class ImagesEndpointPainter:
    """The `images_endpoint` backend of models.protocols.Painter; also implements Probing and Connected."""

    token_limit: int | None = None
    sampled = True

    def __init__(
        self, settings: PainterSettings, endpoint: Endpoint | None = None, identity: str | None = None
    ) -> None:
        """Open no connection yet.

        Args:
            endpoint: limits concurrency and retries calls; a new one if not given.
            identity: the served model's name in the journal; its name in the settings if not given.
        """
        self.settings, self.identity = settings, identity or settings.model
        self._client: AsyncOpenAI | None = None
        self._endpoint = endpoint or Endpoint(settings.concurrency, settings.retries)
        self._variant: RequestVariant | None = None  # None until a probe's result is adopted

    @property
    def variant(self) -> RequestVariant:
        """The request that the server accepts. Raises RuntimeError if no probe has been adopted."""
        if self._variant is None:
            raise RuntimeError("adopt() the result of probe() first")
        return self._variant

    @property
    def adopted(self) -> Mapping[str, Any] | None:
        """The adopted result of a probe, or None."""
        return asdict(self._variant) if self._variant else None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The settings that reach the server, by name. A field it does not support decides nothing."""
        fields, names = self.variant.fields, ("steps", "guidance", "width", "height", "negative_prompt")
        unknown = {OPTIONAL.get(field) for field in self._optional(SEED) if field not in fields}
        own = {field: value for field, value in self.settings.arguments.items() if field in fields}
        known = {name: getattr(self.settings, name) for name in names if name not in unknown}
        return known | ({"arguments": own} if own else {})

    @property
    def reproducible(self) -> bool:
        """Whether a seed is sent, and gives the same image again."""
        return self.variant.reproducible

    @property
    def probe_request(self) -> Mapping[str, Any]:
        """Everything that decides what a probe finds; another server may accept another request."""
        place = {"address": self.settings.base_url, "prompt": PROMPT, "size": self._size}
        return {**place, **self._optional(SEED)}

    async def probe(self) -> Probed:
        """Find out which request the server accepts.

        Raises PainterError if it rejects every request or the value of a setting, EndpointDown if there is
        no answer.
        """
        spent = Counter[str]()

        async def send(prompt: str, seed: int, fields: Fields) -> Image.Image:
            painted = await self._paint(prompt, seed, fields)
            spent.update({IMAGES: 1, **painted.usage})
            return painted.image

        fields = tuple(self._optional(SEED))
        try:
            variant = await find_variant(send, fields)
        except EndpointUnavailable as error:
            raise EndpointDown(
                f"{error}; see {SECTION}.base_url, and run the same command again when it is up"
            ) from error
        if unknown := [field for field in fields if field not in variant.fields]:
            note(f"{SECTION}: the endpoint does not accept {', '.join(unknown)}: not sent, not recorded")
        elif not variant.reproducible:
            note(f"{SECTION}: the endpoint paints another image for the same seed: seeds are not recorded")
        return Probed(asdict(variant), dict(spent))

    def adopt(self, found: Mapping[str, Any]) -> None:
        """Send requests as a probe found them to be accepted, in this run or an earlier one."""
        self._variant = RequestVariant(tuple(found["fields"]), found["reproducible"])

    async def aclose(self) -> None:
        """Close the connections, on the event loop that used them. The next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def count_tokens(self, prompt: str) -> int:  # noqa: ARG002  (the server counts)
        """Return 0: the number is unknown."""
        return 0

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        """Return one RGB image.

        Raises PromptRefused if the server refuses only this prompt, PainterError or EndpointUnusable if it
        paints nothing at all, EndpointUnavailable after the last retry.
        """
        try:
            return await self._paint(prompt, seed, self.variant.fields)
        except ContentRefused as error:
            raise PromptRefused(str(error)) from error
        except RequestRejected as error:
            # Few servers say that the prompt is at fault. If it is, they will paint a harmless one.
            usage = {} if "prompt" in error.fields else await self._paint_harmless()
            raise PromptRefused(str(error), usage) from error

    async def _paint_harmless(self) -> Mapping[str, float]:
        """Paint the harmless prompt and return its usage. Raises PainterError if it is rejected too."""
        try:
            painted = await self._paint(PROMPT, SEED, self.variant.fields)
        except ContentRefused as error:
            raise PainterError(f"the endpoint refuses even a harmless prompt: {error}") from error
        except RequestRejected as error:
            raise settings_rejected(error, self.variant.fields) from error
        return {IMAGES: 1, **painted.usage}

    async def _paint(self, prompt: str, seed: int, fields: Fields) -> PaintedImage:
        optional = {field: value for field, value in self._optional(seed).items() if field in fields}
        return await self._endpoint.call(lambda: self._send(prompt, optional))

    async def _send(self, prompt: str, optional: Mapping[str, Any]) -> PaintedImage:
        settings, client = self.settings, self._opened()
        with translated(SECTION, settings.key()):
            async with asyncio.timeout(settings.timeout):
                answer = await client.images.generate(
                    model=settings.model, prompt=prompt, n=1, size=self._size, extra_body=optional
                )
            first = answer.data[0] if answer.data else None
            data, link = (first.b64_json, first.url) if first else (None, None)
        if link and not data:
            raise PainterError(
                f"{SECTION}.base_url: the endpoint answers with links; one that accepts "
                "response_format=b64_json is needed"
            )
        if not data:
            raise EndpointUnavailable(f"{SECTION}: the answer holds no image")
        try:
            if settings.width * settings.height > INLINE_MAX_PIXELS:
                image = await asyncio.to_thread(_decode, data)
            else:
                image = _decode(data)
        except (OSError, ValueError) as error:
            raise EndpointUnavailable(f"{SECTION}: the answer's image cannot be read: {error}") from error
        return PaintedImage(image, _usage(answer))

    def _opened(self) -> "AsyncOpenAI":
        if self._client is None:
            self._client = open_client(self.settings)
        return self._client

    @property
    def _size(self) -> str:
        return f"{self.settings.width}x{self.settings.height}"

    def _optional(self, seed: int) -> dict[str, Any]:
        """Return every field that a server may or may not support, with its value."""
        settings = self.settings
        values = {
            "response_format": "b64_json",
            "seed": seed,
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
        }
        negative = {"negative_prompt": settings.negative_prompt} if settings.negative_prompt else {}
        return values | negative | settings.arguments


def _decode(data: str) -> Image.Image:
    """Return the image of a base64 text. Raises OSError or ValueError if it holds none."""
    return to_rgb(Image.open(io.BytesIO(base64.b64decode(data))))


def _usage(answer: "ImagesResponse") -> dict[str, float]:
    """Return the input and output tokens, as far as the server reports them."""
    reported = {name: getattr(answer.usage, name, None) for name in ("input_tokens", "output_tokens")}
    return {name: tokens for name, tokens in reported.items() if isinstance(tokens, int)}
