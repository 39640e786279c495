"""Send one request to a chat completions endpoint and parse the response.

Sends exactly the arguments it is given: servers differ in what they accept, which probe.py finds out.
"""

import asyncio
import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magid_agents.config import Chat
from magid_agents.models.client import open_client
from magid_agents.models.endpoint import ContentRefused, Endpoint
from magid_agents.models.openai_errors import translated
from magid_agents.prompts import Message
from magid_agents.text import encodable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from openai import AsyncOpenAI

    from magid_agents.models.chat_openai import PlainChatOpenAI

THOUGHT = "</think>"  # ends the reasoning that some models write before their answer


@dataclass(frozen=True)
class Completion:
    """What a model answered, and what that took."""

    text: str  # its text, the arguments of its function call, or its refusal
    usage: Mapping[str, float]  # tokens
    cut: bool = False  # cut off by the token limit
    thought: bool = False  # whether it reasoned before it answered, visibly or not
    first_tokens: Sequence[tuple[str, float]] = ()  # most likely first tokens, with probabilities

    @property
    def answer(self) -> str:
        """The text without the reasoning before it; empty if the reasoning is not finished."""
        _, closed, answer = self.text.rpartition(THOUGHT)
        if not closed and answer.lstrip().startswith("<think>"):
            return ""
        return answer.strip() if closed else answer


class Completions:
    """The connection to one chat model, opened by the first request."""

    def __init__(self, settings: Chat, section: str, endpoint: Endpoint, address: str | None = None) -> None:
        """Open nothing yet.

        Args:
            section: place in the settings, such as critic.chat; error messages name it.
            endpoint: limits concurrency and retries requests.
            address: replaces the address in the settings.
        """
        self.settings, self.section = settings, section
        self._endpoint, self._address = endpoint, address
        self._client: AsyncOpenAI | None = None
        self._model: PlainChatOpenAI | None = None

    async def send(
        self, messages: Sequence[Message], images: Sequence[bytes] = (), **arguments: Any
    ) -> Completion:
        """Send one request; images (PNG) go with the last message. Arguments that are None are left out.

        Raises EndpointUnavailable after the last retry, RequestRejected (ContentRefused) if this request is
        refused, EndpointUnusable if every request would be.
        """
        everything = {"temperature": self.settings.temperature, **arguments}
        body = {name: value for name, value in everything.items() if value is not None}
        return await self._endpoint.call(lambda: self._send(_to_langchain(messages, images), body))

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client, self._model = self._client, None, None
        if client is not None:
            await client.close()

    async def _send(self, messages: "list[BaseMessage]", body: Mapping[str, Any]) -> Completion:
        model = self._model or self._open()
        with translated(self.section, self.settings.key()):
            # The client's own timeout is per read, so a slow trickle of bytes would never end.
            async with asyncio.timeout(self.settings.timeout):
                # Arguments in extra_body are sent unchanged: nothing is renamed, dropped or validated.
                return self._read(await model.ainvoke(messages, extra_body=body))

    def _open(self) -> "PlainChatOpenAI":
        from magid_agents.models.chat_openai import (
            PlainChatOpenAI,
        )  # takes seconds, which a run without calls need not spend

        self._client = open_client(self.settings, self._address)
        self._model = PlainChatOpenAI.over(self._client, self.settings.model)
        return self._model

    def _read(self, answer: "AIMessage") -> Completion:
        said = answer.response_metadata
        if said.get("finish_reason") == "content_filter":
            raise ContentRefused(f"{self.section}: the endpoint's content filter stopped the answer")
        text = encodable(_text(answer))  # half a surrogate pair would fail where it is sent or parsed
        usage, reasoning_tokens = _usage(answer)
        return Completion(
            text=text,
            usage=usage,
            cut=said.get("finish_reason") == "length",
            thought=THOUGHT in text or "reasoning" in answer.additional_kwargs or reasoning_tokens > 0,
            first_tokens=_first_tokens(said.get("logprobs")),
        )


def _to_langchain(messages: Sequence[Message], images: Sequence[bytes]) -> "list[BaseMessage]":
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    out: list[BaseMessage] = [kinds[m.role](content=m.text) for m in messages]
    if images:
        urls = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in images]
        parts: list[Any] = [{"type": "text", "text": messages[-1].text}]
        out[-1] = HumanMessage([*parts, *({"type": "image_url", "image_url": {"url": url}} for url in urls)])
    return out


def _text(answer: "AIMessage") -> str:
    if answer.tool_calls:
        return json.dumps(answer.tool_calls[0]["args"], ensure_ascii=False)
    if answer.invalid_tool_calls:
        return answer.invalid_tool_calls[0]["args"] or ""
    return str(answer.text) or str(answer.additional_kwargs.get("refusal") or "")


def _usage(answer: "AIMessage") -> tuple[dict[str, float], int]:
    if (used := answer.usage_metadata) is None:
        return {}, 0
    tokens: dict[str, float] = {"input_tokens": used["input_tokens"], "output_tokens": used["output_tokens"]}
    return tokens, used.get("output_token_details", {}).get("reasoning") or 0


def _first_tokens(logprobs: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    tokens = (logprobs or {}).get("content") or []
    if not tokens:
        return []
    return [(t["token"], math.exp(t["logprob"])) for t in tokens[0].get("top_logprobs") or tokens[:1]]
