"""Chat models: one client, ChatOpenAI of langchain-openai, for every OpenAI-compatible endpoint.

Knows how to send messages and get the raw answer with its usage; judges no answer. When a call is tried
again is endpoint.py's; the journal, the validation of answers and the prompts are the callers'.
"""

import asyncio
import base64
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from magid_agents.config import Chat
from magid_agents.models.endpoint import Endpoint, Rejected, Unusable
from magid_agents.models.openai_errors import translated
from magid_agents.models.protocols import Odds, Reply
from magid_agents.models.structured import WAYS, Way, text_of
from magid_agents.prompts import Message

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

TOP = 20  # the most token probabilities that endpoints give
# A white PNG of 32 x 32 pixels: what a model that can see is shown to find out whether it can.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQAAAABbAUdZAAAAD0lEQVR42mP4DwQMg5cAANrpf4Em8vpjAAAAAElFTkSuQmCC"
)


class ChatError(Unusable):
    """The chat model cannot be used; the message names the setting to change."""


class Ready(BaseModel):
    """What the endpoint is asked before anything else."""

    model_config = ConfigDict(extra="forbid")  # as strict endpoints demand

    ready: bool


PROBE = (Message("system", "You answer in JSON."), Message("user", 'Are you ready? Say {"ready": true}.'))


class OpenAIChat:
    """ChatOpenAI of langchain-openai behind the protocol; `endpoint` bounds, delays and repeats its calls."""

    def __init__(
        self,
        settings: Chat,
        *,
        section: str = "chat",
        endpoint: Endpoint | None = None,
        base_url: str | None = None,
        identity: str | None = None,
        way: Way | None = None,
    ) -> None:
        """`way` is how the endpoint is asked for JSON, found out at the first call where it is not given."""
        from langchain_openai import ChatOpenAI  # takes seconds to import: not for a run that asks nothing

        self.identity = identity or settings.model
        self.parameters = parameters(settings)
        self.vision = settings.vision
        self._settings, self._section, self._way = settings, section, way
        self._endpoint = endpoint or Endpoint(settings.concurrency, settings.retries)
        self._finding = asyncio.Lock()
        self._client = ChatOpenAI(
            model=settings.model,
            base_url=base_url or settings.base_url,
            # Servers on one's own machine want no key, but the client insists on some text.
            api_key=settings.key() or SecretStr("none"),
            temperature=settings.temperature,
            max_completion_tokens=settings.max_tokens,
            max_retries=0,  # the endpoint's own
            # A client of its own: the library's shared one outlives the event loop it was first used in.
            http_async_client=httpx.AsyncClient(timeout=settings.timeout),
        )

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        """One answer. Images (PNG bytes) go with the last message.

        Raises Unavailable once the retries are spent, Rejected where the endpoint will not have this
        request, Unusable where it will have none.
        """
        way = await self.check()
        return await self._ask(way, messages, schema, images)

    async def odds(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> Odds:
        """How likely the answer begins with each word; case and leading space aside, prefixes counted in.

        An endpoint that gives no token probabilities answers in text, and its word gets all of it. Raises
        what `complete` raises.
        """
        await self.check()
        client = self._client.bind(logprobs=True, top_logprobs=TOP, max_completion_tokens=1)
        answer = await self._endpoint.call(lambda: self._send(client, to_langchain(messages, images)))
        given = (answer.response_metadata.get("logprobs") or {}).get("content") or []
        tokens = (
            [(str(t["token"]), math.exp(t["logprob"])) for t in given[0]["top_logprobs"]] if given else []
        )
        return Odds(_shares(tokens or [(str(answer.text), 1.0)], words), _usage(answer))

    async def check(self) -> Way:
        """How the endpoint is asked for JSON; found out once, by asking it with all that settings name.

        Raises ChatError that names the setting which the endpoint does not go with.
        """
        async with self._finding:
            if self._way is None:
                self._way = await self._found()
            return self._way

    async def _found(self) -> Way:
        images = [_PIXEL] if self.vision else []
        problem: Rejected | None = None
        for way in WAYS:
            try:
                reply = await self._ask(way, PROBE, Ready, images)
                Ready.model_validate_json(reply.text)
                return way
            except Rejected as error:
                problem = problem or error
            except ValidationError:  # taken, and not done
                continue
        if problem is None:
            return WAYS[-1]
        for name, fix, less, pictures in (
            ("vision", "false", self._client, []),
            ("temperature", "null", self._client.model_copy(update={"temperature": None}), images),
        ):
            try:
                await self._send(less, to_langchain(PROBE, pictures))
            except Rejected:
                continue
            key = f"{self._section}.{name}"
            raise ChatError(f"{key}: {self.identity} cannot do that; set {key}={fix} ({problem})")
        raise ChatError(f"{self.identity} takes no request at all: {problem}")

    async def _ask(
        self,
        way: Way,
        messages: Sequence[Message],
        schema: type[BaseModel] | None,
        images: Sequence[bytes],
    ) -> Reply:
        client: Any = self._client
        if schema is not None:
            client, messages = client.bind(**way.arguments(schema)), way.messages(messages, schema)
        answer = await self._endpoint.call(lambda: self._send(client, to_langchain(messages, images)))
        return Reply(text_of(answer), _usage(answer))

    async def _send(self, client: Any, messages: list["BaseMessage"]) -> "AIMessage":
        from langchain_core.messages import AIMessage
        from openai import LengthFinishReasonError

        with translated(self._section, self._settings.key()):
            try:
                # The client's own limit is between bytes; an answer that trickles would never end.
                async with asyncio.timeout(self._settings.timeout):
                    answer: AIMessage = await client.ainvoke(messages)
                    return answer
            except LengthFinishReasonError as error:  # an answer all the same, if half of one
                return AIMessage(error.completion.choices[0].message.content or "")


def parameters(settings: Chat) -> Mapping[str, Any]:
    """What decides an answer besides model and messages."""
    return {"temperature": settings.temperature, "max_tokens": settings.max_tokens}


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
