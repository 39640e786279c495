"""One request to a chat completions endpoint, and what came back.

Sends exactly the arguments it is given: servers differ in which they take, and capabilities.py finds out.
"""

import asyncio
import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magid_agents.config import Chat
from magid_agents.models.client import open_client
from magid_agents.models.endpoint import ContentRefused, Endpoint
from magid_agents.models.openai_errors import translated
from magid_agents.prompts import Message

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

THOUGHT = "</think>"  # what models that think aloud write before their answer


@dataclass(frozen=True)
class Completion:
    """What a model said and what it took."""

    text: str  # its words, the arguments of its function call, or its refusal
    usage: Mapping[str, float]  # tokens
    cut: bool = False  # by the token limit
    thought: bool = False  # before it answered, aloud or not
    first_tokens: Sequence[tuple[str, float]] = ()  # the likeliest, with their probabilities

    @property
    def answer(self) -> str:
        """The text without the thinking before it; empty if the thinking has not ended."""
        _, closed, answer = self.text.rpartition(THOUGHT)
        if not closed and answer.lstrip().startswith("<think>"):
            return ""
        return answer.strip() if closed else answer


class Completions:
    """The connection to one chat model, opened by the first request."""

    def __init__(self, settings: Chat, section: str, endpoint: Endpoint, address: str | None = None) -> None:
        """Open nothing yet.

        Args:
            section: the settings' place, such as critic.chat: errors name it.
            endpoint: bounds, delays and repeats the requests.
            address: where it is not the one in the settings.
        """
        self.settings, self.section = settings, section
        self._endpoint, self._address = endpoint, address
        self._client: AsyncOpenAI | None = None

    async def send(
        self, messages: Sequence[Message], images: Sequence[bytes] = (), **arguments: Any
    ) -> Completion:
        """Ask once; images (PNG) go with the last message. An argument of None is left out.

        Raises Unavailable once the retries are spent, Rejected (ContentRefused) if this request is turned
        down, Unusable if every request would be.
        """
        everything = {
            "model": self.settings.model,
            "messages": _encode(messages, images),
            "temperature": self.settings.temperature,
            **arguments,
        }
        body = {name: value for name, value in everything.items() if value is not None}
        return await self._endpoint.call(lambda: self._send(body))

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(self, body: Mapping[str, Any]) -> Completion:
        if self._client is None:
            self._client = open_client(self.settings, self._address)
        from openai.types.chat import ChatCompletion

        with translated(self.section, self.settings.key()):
            # The client's own limit is between bytes; an answer that trickles would never end.
            async with asyncio.timeout(self.settings.timeout):
                # Not chat.completions.create, which looks every message over before it sends it.
                answer = await self._client.post("/chat/completions", body=body, cast_to=ChatCompletion)
                return self._read(answer)

    def _read(self, answer: "ChatCompletion") -> Completion:
        choice = answer.choices[0]
        if choice.finish_reason == "content_filter":
            raise ContentRefused(f"{self.section}: the endpoint's content filter stopped the answer")
        text = _text(choice.message)
        thought = THOUGHT in text or any(
            getattr(choice.message, field, None) for field in ("reasoning_content", "reasoning")
        )
        usage, reasoning_tokens = _usage(answer)
        return Completion(
            text=text,
            usage=usage,
            cut=choice.finish_reason == "length",
            thought=thought or reasoning_tokens > 0,
            first_tokens=_first_tokens(choice),
        )


def _encode(messages: Sequence[Message], images: Sequence[bytes]) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = [{"role": m.role, "content": m.text} for m in messages]
    if images:
        urls = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in images]
        encoded[-1]["content"] = [
            {"type": "text", "text": messages[-1].text},
            *({"type": "image_url", "image_url": {"url": url}} for url in urls),
        ]
    return encoded


def _text(message: Any) -> str:
    if message.tool_calls:
        return str(message.tool_calls[0].function.arguments or "")
    content = message.content
    if isinstance(content, list):  # Mistral's models that think: parts, of which the texts are the answer
        content = "".join(part.get("text", "") for part in content)
    return content or getattr(message, "refusal", None) or ""


def _usage(answer: "ChatCompletion") -> tuple[dict[str, float], int]:
    if (used := answer.usage) is None:
        return {}, 0
    tokens = {"input_tokens": used.prompt_tokens, "output_tokens": used.completion_tokens}
    details = used.completion_tokens_details
    reasoning_tokens = (details.reasoning_tokens or 0) if details else 0
    return {name: count for name, count in tokens.items() if count is not None}, reasoning_tokens


def _first_tokens(choice: Any) -> list[tuple[str, float]]:
    tokens = (choice.logprobs.content or []) if choice.logprobs else []
    if not tokens:
        return []
    return [(t.token, math.exp(t.logprob)) for t in tokens[0].top_logprobs or tokens[:1]]
