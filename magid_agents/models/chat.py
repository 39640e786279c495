"""Chat models: one client, ChatOpenAI of langchain-openai, for every OpenAI-compatible endpoint.

Knows how to send messages and get the raw answer with its usage; judges no answer. The journal, the
validation of structured output and the prompts are the callers'.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import BaseModel, SecretStr

from magid_agents.config import Chat
from magid_agents.errors import MagidError
from magid_agents.models.protocols import Odds, Reply
from magid_agents.prompts import Message

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

TOP = 20  # the most token probabilities that endpoints give


class ChatError(MagidError):
    """The chat model cannot be used; the message names the setting to change."""


class OpenAIChat:
    """ChatOpenAI of langchain-openai behind the protocol; retries 429, 5xx and time-outs by itself."""

    def __init__(self, settings: Chat, *, base_url: str | None = None, identity: str | None = None) -> None:
        from langchain_openai import ChatOpenAI  # takes seconds to import: not for a run that asks nothing

        self.identity = identity or settings.model
        self.parameters = parameters(settings)
        self.vision = settings.vision
        self._client = ChatOpenAI(
            model=settings.model,
            base_url=base_url or settings.base_url,
            # Servers on one's own machine want no key, but the client insists on some text.
            api_key=settings.key() or SecretStr("none"),
            temperature=settings.temperature,
            max_completion_tokens=settings.max_tokens,
            timeout=settings.timeout,
            max_retries=settings.retries,
            # A client of its own: the library's shared one outlives the event loop it was first used in.
            http_async_client=httpx.AsyncClient(timeout=settings.timeout),
        )

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        """One answer. Images (PNG bytes) go with the last message.

        Raises the client's exceptions (openai.APIError and its kind) once its retries are spent.
        """
        client: Any = self._client
        if schema is not None:
            client = client.bind(response_format=response_format(schema))
        answer: AIMessage = await client.ainvoke(to_langchain(messages, images))
        return Reply(str(answer.text), _usage(answer))

    async def odds(self, messages: Sequence[Message], words: Sequence[str]) -> Odds:
        """How likely the answer begins with each word; case and leading space aside, prefixes counted in.

        An endpoint that gives no token probabilities answers in text, and its word gets all of it.
        """
        client = self._client.bind(logprobs=True, top_logprobs=TOP, max_completion_tokens=1)
        answer: AIMessage = await client.ainvoke(to_langchain(messages, ()))
        given = (answer.response_metadata.get("logprobs") or {}).get("content") or []
        tokens = (
            [(str(t["token"]), math.exp(t["logprob"])) for t in given[0]["top_logprobs"]] if given else []
        )
        return Odds(_shares(tokens or [(str(answer.text), 1.0)], words), _usage(answer))


def parameters(settings: Chat) -> Mapping[str, Any]:
    """What decides an answer besides model and messages."""
    return {"temperature": settings.temperature, "max_tokens": settings.max_tokens}


def response_format(schema: type[BaseModel]) -> dict[str, Any]:
    """The endpoint's way to ask for JSON of this shape."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True},
    }


def to_langchain(messages: Sequence[Message], images: Sequence[bytes]) -> list["BaseMessage"]:
    """Our messages as LangChain's, the images in the last one."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    out: list[BaseMessage] = [kinds[m.role](content=m.text) for m in messages]
    if images:
        blocks: list[Any] = [{"type": "text", "text": messages[-1].text}]
        for png in images:
            data = base64.b64encode(png).decode()
            blocks.append({"type": "image", "base64": data, "mime_type": "image/png"})
        out[-1] = HumanMessage(content=blocks)
    return out


def _usage(answer: "AIMessage") -> dict[str, float]:
    used = answer.usage_metadata
    return {"input_tokens": used["input_tokens"], "output_tokens": used["output_tokens"]} if used else {}


def _shares(tokens: Sequence[tuple[str, float]], words: Sequence[str]) -> dict[str, float]:
    """Each word's sum of the probabilities of the tokens that begin it, as a share of all words' sums."""
    sums = dict.fromkeys(words, 0.0)
    for token, probability in tokens:
        said = token.strip().lower()
        for word in words:
            if said and (word.lower().startswith(said) or said.startswith(word.lower())):
                sums[word] += probability
    total = sum(sums.values())
    # Rounded to what survives another batch size: a share must not flicker around its threshold.
    return {word: round(value / total, 4) if total else 0.0 for word, value in sums.items()}
