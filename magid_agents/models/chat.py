"""Chat models: one client for every OpenAI-compatible endpoint, our own llama.cpp server among them.

Knows how to send messages and get the raw answer with its usage; judges no answer. The journal, the
validation of structured output and the prompts are the callers'.
"""

import base64
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from magid_agents.config import Chat
from magid_agents.errors import MagidError
from magid_agents.models import llama_server, weights
from magid_agents.prompts import Message


class ChatError(MagidError):
    """The chat model cannot be used; the message names the setting to change."""


@dataclass(frozen=True)
class Reply:
    """The raw answer of a chat model and what it took, in tokens."""

    text: str
    usage: Mapping[str, float] = field(default_factory=dict)


class ChatModel(Protocol):
    """What agents are handed; magid_agents.models.fakes has one for tests."""

    identity: str  # decides answers: the model's name and, where known, its digest
    parameters: Mapping[str, Any]  # the rest that decides them
    vision: bool

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply: ...


class OpenAIChat:
    """ChatOpenAI of langchain-openai behind the protocol; retries 429, 5xx and time-outs by itself."""

    def __init__(self, settings: Chat, *, base_url: str | None = None, identity: str | None = None) -> None:
        self.identity = identity or settings.model
        self.parameters = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
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
        used = answer.usage_metadata
        usage = {"input_tokens": used["input_tokens"], "output_tokens": used["output_tokens"]} if used else {}
        return Reply(str(answer.text), usage)


class EmbeddedServer:
    """A llama.cpp server of our own on 127.0.0.1, on a free port, for as long as the block lasts."""

    def __init__(self, settings: Chat, threads: int, context: int = 4096) -> None:
        self.settings, self.threads, self.context = settings, threads, context

    def __enter__(self) -> Self:
        """Start the server; fetches the model first where it is not here yet.

        Raises ChatError where it does not start, WeightsError where the model cannot be had.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise ChatError(
                "chat.provider=embedded needs the package xllamacpp; install it, or set chat.provider=openai "
                "and chat.base_url to a server you run"
            )
        folder = weights.ensure(self.settings.model)
        file = weights.manifest()[self.settings.model].files[0]
        numbers = (self.threads, self.context, self.settings.concurrency)
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", llama_server.__name__, str(folder / file.path), *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # Ctrl-C is for the program: its server must go on until the last call has ended.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address:
            self.__exit__(None, None, None)
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise ChatError(f"the llama.cpp server for {self.settings.model} did not start: {''.join(last)}")
        self.base_url = f"{address}/v1"
        self.identity = f"{self.settings.model}@{file.sha256[:16]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def chat(self) -> OpenAIChat:
        return OpenAIChat(self.settings, base_url=self.base_url, identity=self.identity)


def response_format(schema: type[BaseModel]) -> dict[str, Any]:
    """The endpoint's way to ask for JSON of this shape."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True},
    }


def to_langchain(messages: Sequence[Message], images: Sequence[bytes]) -> list[BaseMessage]:
    """Our messages as LangChain's, the images in the last one."""
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    out: list[BaseMessage] = [kinds[m.role](content=m.text) for m in messages]
    if images:
        blocks: list[Any] = [{"type": "text", "text": messages[-1].text}]
        for png in images:
            data = base64.b64encode(png).decode()
            blocks.append({"type": "image", "base64": data, "mime_type": "image/png"})
        out[-1] = HumanMessage(content=blocks)
    return out
