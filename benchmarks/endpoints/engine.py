"""A scripted OpenAI-compatible engine in a process of its own, which costs as little CPU as it can.

A chat answer takes CHAT_S, however many are asked for. The images engine works on one batch at a time: it
takes all requests that wait, BATCH at most, and answers them after IMAGE_BASE_S + IMAGE_S for each. Answers
depend on the request alone. `GET /log` returns when each call of each dialogue came in and was answered.

It is a bare asyncio protocol, because a web framework would need more CPU than the client that is measured.
"""

import asyncio
import base64
import io
import json
import random
import re
import time
from collections import deque
from typing import Any

from PIL import Image

CHAT_S, IMAGE_BASE_S, IMAGE_S, BATCH = 0.2, 0.25, 0.02, 16
PIXELS = 64
MODEL = "scripted"
SCAN, WRITE, CRITIQUE = CHATS = "SharingMoments", "GenerationPrompt", "CritiqueAnswer"  # names of schemas
PAINT, PROBE = "paint", "Season"
_DIALOGUE = re.compile(rb"\bd(\d+)\b")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

Logged = tuple[str, int, float, float]  # call, number of the dialogue, came in, answered


def _answer(call: str, dialogue: int) -> str:
    """Return what the chat model says."""
    if call == SCAN:
        moment = {"rationale": "they saw it", "utterance": 1, "description": f"boat d{dialogue}"}
        return json.dumps({"moments": [moment]})
    if call == WRITE:
        return json.dumps({"prompt": f"a photo of boat d{dialogue} at an island in the morning"})
    if call == CRITIQUE:
        return json.dumps(
            {"questions": [{"question": "Is there a boat?", "answer": True}], "comment": "good"}
        )
    if call == PROBE:
        return json.dumps({"season_after_frost": "spring"})
    return "Yes"


def _picture(seed: int) -> str:
    noise = Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(16 * 16 * 3))
    file = io.BytesIO()
    noise.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURES = [_picture(seed) for seed in range(16)]


class Engine:
    """Both models, and the log of their calls."""

    def __init__(self) -> None:
        self.log = list[Logged]()
        self._waiting = deque[asyncio.Future[None]]()
        self._busy = False

    async def chat(self, body: bytes) -> bytes:
        came = time.time()
        call = next((name for name in (*CHATS, PROBE) if name.encode() in body), "")
        dialogue = _dialogue(body)
        await asyncio.sleep(CHAT_S)
        text = _answer(call, dialogue)
        if call and b'"response_format"' not in body:  # asked for in words, by those who read it from a fence
            text = f"```json\n{text}\n```"
        self._note(call, dialogue, came)
        message = {"role": "assistant", "content": text}
        return _dump(
            id="1",
            object="chat.completion",
            created=1,
            model=MODEL,
            choices=[{"index": 0, "finish_reason": "stop", "message": message}],
            usage={
                "prompt_tokens": len(body) // 4,
                "completion_tokens": 20,
                "total_tokens": len(body) // 4 + 20,
            },
        )

    async def paint(self, body: bytes) -> bytes:
        came, dialogue = time.time(), _dialogue(body)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._begin_batch()
        await turn
        self._note(PAINT, dialogue, came)
        return _dump(created=1, data=[{"b64_json": PICTURES[dialogue % len(PICTURES)]}])

    def _begin_batch(self) -> None:
        if self._busy or not self._waiting:
            return
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._busy = True
        asyncio.get_running_loop().call_later(IMAGE_BASE_S + IMAGE_S * len(batch), self._end_batch, batch)

    def _end_batch(self, batch: list[asyncio.Future[None]]) -> None:
        for turn in batch:
            if not turn.done():
                turn.set_result(None)
        self._busy = False
        self._begin_batch()

    def _note(self, call: str, dialogue: int, came: float) -> None:
        if dialogue >= 0:
            self.log.append((call, dialogue, came, time.time()))


def _dialogue(body: bytes) -> int:
    """Return the number of the dialogue that a call is about: the last that it names, -1 if none."""
    named = _DIALOGUE.findall(body)
    return int(named[-1]) if named else -1


def _dump(**answer: Any) -> bytes:
    return json.dumps(answer).encode()


class Connection(asyncio.Protocol):
    """One client's connection: as much of HTTP/1.1 as JSON requests need, one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._data = engine, b""
        self._tasks = set[asyncio.Task[None]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._data = b""
        task = asyncio.create_task(self._respond(head.split(b" ", 2)[1], body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio wants the name)
        for task in self._tasks:
            task.cancel()

    async def _respond(self, path: bytes, body: bytes) -> None:
        if path.endswith(b"/chat/completions"):
            answer = await self._engine.chat(body)
        elif path.endswith(b"/images/generations"):
            answer = await self._engine.paint(body)
        elif path.endswith(b"/log"):
            answer = json.dumps(self._engine.log).encode()
        else:
            answer = _dump(object="list", data=[{"id": MODEL, "object": "model"}])
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        self._transport.write(head.encode() + answer)


async def serve() -> None:
    """Print the address and serve until the process is ended."""
    engine = Engine()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(engine), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
