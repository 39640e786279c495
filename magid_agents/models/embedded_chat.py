"""The embedded chat model: a llama.cpp server of our own, and the client that starts it when first asked.

Knows how the server's process begins and ends; what is said to it goes the way of every endpoint.
"""

import asyncio
import importlib.util
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Thread
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models import llama_server, weights
from magid_agents.models.capabilities import Capabilities, ChatError
from magid_agents.models.chat import OpenAIChat, parameters
from magid_agents.models.protocols import Odds, Reply
from magid_agents.prompts import Message

CONTEXT = 4096  # tokens of one conversation
CAPABILITIES = Capabilities()  # of the llama.cpp that ships: known, so that no question finds them out
LOG_LINES = 50  # the last ones are kept, for the message if the server does not start


class EmbeddedServer:
    """A llama.cpp server on 127.0.0.1, on a free port, for as long as the block lasts."""

    def __init__(self, settings: Chat, section: str = "chat") -> None:
        """Finds the model, fetching it where it is not here yet.

        Raises ChatError where llama.cpp is not installed, WeightsError where the model cannot be had.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise ChatError(
                f"{section}.provider=embedded needs the package xllamacpp; install it, or set "
                f"{section}.provider=openai and {section}.base_url to a server you run"
            )
        self.settings = settings
        file = weights.manifest()[settings.model].files[0] if settings.model in weights.manifest() else None
        if file is None or not file.path.endswith(".gguf"):
            known = ", ".join(n for n, w in weights.manifest().items() if w.files[0].path.endswith(".gguf"))
            raise ChatError(
                f"{section}.model={settings.model} is no embedded chat model; there are: {known}; for a "
                f"server's model set {section}.base_url"
            )
        self._file = weights.ensure(settings.model) / file.path
        self.identity = f"{settings.model}@{file.sha256[:16]}"

    def __enter__(self) -> Self:
        """Start the server. Raises ChatError where it does not start."""
        numbers = (self.settings.threads, CONTEXT, self.settings.concurrency)
        self._process = subprocess.Popen(
            [sys.executable, "-m", llama_server.__name__, str(self._file), *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C is for the program: its server must go on until the last call has ended.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        log: deque[str] = deque(maxlen=LOG_LINES)
        # The server logs every call: what it writes is read away, or it would wait for a reader.
        reader = Thread(target=log.extend, args=(self._process.stderr,), daemon=True)
        reader.start()
        address = self._process.stdout.readline().strip()
        if not address:
            self.__exit__(None, None, None)
            reader.join(timeout=1)
            last = next((line.strip() for line in reversed(log) if line.strip()), "it said nothing")
            raise ChatError(f"the llama.cpp server for {self.settings.model} did not start: {last}")
        self.address = f"{address}/v1"
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
        return OpenAIChat(
            self.settings, address=self.address, identity=self.identity, capabilities=CAPABILITIES
        )


class EmbeddedChat:
    """The protocol's chat model over a server that starts with the first call and ends with the block."""

    vision = False
    capabilities = CAPABILITIES

    def __init__(self, settings: Chat, section: str = "chat") -> None:
        """Finds the model's file. Raises what EmbeddedServer raises."""
        self._server = EmbeddedServer(settings, section)
        self.identity = self._server.identity
        self.parameters = parameters(settings)
        self._open = ExitStack()
        self._starting = asyncio.Lock()
        self._chat: OpenAIChat | None = None

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        return await (await self._started()).complete(messages, schema, images)

    async def odds(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> Odds:
        return await (await self._started()).odds(messages, words, images)

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
        self._open.close()

    async def _started(self) -> OpenAIChat:
        async with self._starting:
            if self._chat is None:
                server = await asyncio.to_thread(self._open.enter_context, self._server)
                self._chat = server.chat()
            return self._chat
