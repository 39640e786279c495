"""The connections of a chat model: reused, given up with a cancelled call, and told apart when they fail."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import pytest

from magid_agents.config import Chat
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.prompts import Message

ASK = [Message("user", "hi")]
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
BODY = json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [CHOICE]}).encode()
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
SHORT_S, LONG_S = 0.3, 30.0

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (line.split()[1] for line in head.lower().splitlines() if line.startswith(b"content-length"))
    await reader.readexactly(int(length))


async def with_chat(
    handle: Handler, use: Callable[[OpenAIChat], Awaitable[None]], timeout: float = LONG_S
) -> None:
    """Use a chat model whose server treats each connection in a way."""
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        settings = Chat(model="m", base_url=url, retries=0, timeout=timeout)
        async with aclosing(OpenAIChat(settings, capabilities=Capabilities())) as chat:
            await use(chat)


async def say_hello(chat: OpenAIChat) -> None:
    assert (await chat.complete(ASK, None, [])).text == "hello"


def test_calls_one_after_the_other_share_a_connection() -> None:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                writer.write(HEAD + BODY)
        writer.close()

    async def thrice(chat: OpenAIChat) -> None:
        for _ in range(3):
            await say_hello(chat)

    asyncio.run(with_chat(answer, thrice))
    assert connections == 1


def test_a_cancelled_call_ends_its_request_and_no_other() -> None:
    async def main() -> None:
        waits, ended = asyncio.Event(), asyncio.Event()

        async def answer_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            if waits.is_set():
                writer.write(HEAD + BODY)
            else:
                waits.set()
                assert await reader.read() == b""
                ended.set()
            writer.close()

        async def cancel_one(chat: OpenAIChat) -> None:
            first = asyncio.create_task(say_hello(chat))
            await waits.wait()
            first.cancel()
            async with asyncio.timeout(LONG_S):
                await ended.wait()
            await say_hello(chat)

        await with_chat(answer_the_second, cancel_one)

    asyncio.run(main())


async def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(HEAD + BODY[:10])
    writer.close()


async def keep_waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("handle", "timeout", "says"),
    [
        pytest.param(drop, LONG_S, "connection failed", id="dropped"),
        pytest.param(break_off, LONG_S, "connection failed", id="broken off"),
        pytest.param(keep_waiting, SHORT_S, "no answer in time; see chat.timeout", id="silent"),
    ],
)
def test_a_lost_connection_is_no_timeout(handle: Handler, timeout: float, says: str) -> None:
    with pytest.raises(EndpointUnavailable, match=says):
        asyncio.run(with_chat(handle, say_hello, timeout))


def test_a_refused_connection_is_no_timeout() -> None:
    settings = Chat(model="m", base_url="http://127.0.0.1:9/v1", retries=0)

    async def main() -> None:
        async with aclosing(OpenAIChat(settings, capabilities=Capabilities())) as chat:
            await say_hello(chat)

    with pytest.raises(EndpointUnavailable, match="connection failed"):
        asyncio.run(main())
