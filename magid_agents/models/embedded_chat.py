"""The embedded chat model: a local llama.cpp server that is started by the first call."""

import asyncio
import importlib.util
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models import llama_server, weights
from magid_agents.models.capabilities import Capabilities, ChatError
from magid_agents.models.chat import OpenAIChat, parameters
from magid_agents.models.protocols import Reply, TokenProbabilities
from magid_agents.models.server_process import ServerNotStarted, ServerProcess
from magid_agents.prompts import Message

CONTEXT = 4096  # tokens of one conversation
CAPABILITIES = Capabilities()  # known for the llama.cpp that ships, so it is never probed


def identity(settings: Chat, section: str = "chat") -> str:
    """Return what the journal calls the model, which need not be here. Raises ChatError if there is none."""
    file = weights.manifest()[settings.model].files[0] if settings.model in weights.manifest() else None
    if file is None or not file.path.endswith(".gguf"):
        known = ", ".join(n for n, w in weights.manifest().items() if w.files[0].path.endswith(".gguf"))
        raise ChatError(
            f"{section}.model={settings.model} is not an embedded chat model; choose from {known}; for a "
            f"server's model set {section}.base_url"
        )
    return f"{settings.model}@{file.sha256[:16]}"


class EmbeddedServer:
    """A llama.cpp server on a free port of 127.0.0.1 that runs as long as the block."""

    def __init__(self, settings: Chat, section: str = "chat") -> None:
        """Find the model's file; fetch it if it is missing.

        Raises ChatError if llama.cpp is not installed, WeightsError if the model cannot be fetched.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise ChatError(
                f"{section}.provider=embedded needs the package xllamacpp; install it, or set "
                f"{section}.provider=openai and {section}.base_url to a server you run"
            )
        # Its threads share the cores with the painter's, which would spin whenever they wait: the demo took a
        # seventh longer. OpenMP reads this when torch is imported, which only painter and scorers do, later.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        self.settings, self._section = settings, section
        self._open = ExitStack()
        self.identity = identity(settings, section)
        self._file = weights.ensure(settings.model) / weights.manifest()[settings.model].files[0].path

    def __enter__(self) -> Self:
        """Start the server. Raises ChatError if it does not start."""
        numbers = (self.settings.threads, CONTEXT, self.settings.concurrency)
        command = [sys.executable, "-m", llama_server.__name__, str(self._file), *map(str, numbers)]
        try:
            self._process = self._open.enter_context(ServerProcess(command))
        except ServerNotStarted as error:
            raise ChatError(
                f"{self._section}.model={self.settings.model}: the llama.cpp server did not start: {error}"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def address(self) -> str:
        """The API's address while the server runs."""
        return f"{self._process.address}/v1"

    def chat(self) -> OpenAIChat:
        """Return a client of the running server."""
        return OpenAIChat(
            self.settings,
            section=self._section,
            address=self.address,
            identity=self.identity,
            capabilities=CAPABILITIES,
        )


class EmbeddedChat:
    """A ChatModel whose server starts with the first call and ends with the block."""

    vision = False
    capabilities = CAPABILITIES

    def __init__(self, settings: Chat, section: str = "chat") -> None:
        """Find the model's file. Raises what EmbeddedServer raises."""
        self._server = EmbeddedServer(settings, section)
        self.identity = self._server.identity
        self.parameters = parameters(settings)
        self._open = ExitStack()
        self._thread = ThreadPoolExecutor(1)
        self._start: Future[EmbeddedServer] | None = None
        self._chat: OpenAIChat | None = None

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        return await (await self._started()).complete(messages, schema, images)

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        return await (await self._started()).token_probabilities(messages, words, images)

    async def aclose(self) -> None:
        """Close the connections; the server keeps running until the block ends."""
        if self._chat is not None:
            await self._chat.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown()  # a server that is still starting could not be ended
        self._open.close()

    async def _started(self) -> OpenAIChat:
        if self._start is None or (self._start.done() and self._start.exception()):
            self._start = self._thread.submit(self._open.enter_context, self._server)
        # A caller that is cancelled does not stop the start, which others wait for.
        server = await asyncio.shield(asyncio.wrap_future(self._start))
        if self._chat is None:
            self._chat = server.chat()
        return self._chat
