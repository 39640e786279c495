"""A real HTTP server on 127.0.0.1 that speaks the chat and images API and fails as it is told to.

For tests of how a run copes with real endpoints.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from tests.servers.faults import Fault
from tests.servers.images import generated

SLOW = 30.0  # seconds: longer than any client in these tests waits


@dataclass(frozen=True)
class Refusal:
    """An error that no repeat mends, as the API words it."""

    status: int
    message: str
    code: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "code": self.code, **self.more}}


class Detail(Refusal):
    """An error as FastAPI words it: in words, or a list of validation errors."""

    def __init__(self, detail: Any, status: int = 422) -> None:
        super().__init__(status, "", more={"detail": detail})

    def body(self) -> dict[str, Any]:
        return dict(self.more)


Said = TypeVar("Said", str, Refusal)


def always(said: Said) -> Callable[[dict[str, Any]], Said]:
    return lambda _: said


@dataclass
class Api:
    """What the server says: `answer` gives the content of a chat answer for the request's body."""

    answer: Callable[[dict[str, Any]], str] = lambda _: "hello"
    faults: Iterator[Fault | None] = field(default_factory=lambda: iter(()))
    refused: Callable[[dict[str, Any]], Refusal | str | None] = lambda _: None  # text: the message of a 400
    images: Callable[[dict[str, Any], Fault | None], dict[str, Any]] = generated
    logprobs: dict[str, Any] | None = None
    image_usage: dict[str, Any] | None = field(default_factory=dict)  # `usage` of an images answer
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def next_fault(self) -> Fault | None:
        with self._lock:
            return next(self.faults, None)

    def sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The server, for as long as the block lasts; its address is api.url."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield api
    finally:
        api._stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def do_GET(self) -> None:
        self._send(200, json.dumps({"object": "list", "data": []}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.api.asked.append(body | {"authorization": self.headers["Authorization"]})
        if problem := self.api.refused(body):
            refusal = Refusal(400, problem) if isinstance(problem, str) else problem
            self._send(refusal.status, json.dumps(refusal.body()).encode())
            return
        fault = self.api.next_fault()
        if not self._failed(fault):
            if self.path.endswith("images/generations"):
                made = self.api.images(body, fault) | {"usage": self.api.image_usage}
            else:
                made = self._chat(body, fault)
            self._send(200, json.dumps(made).encode())

    def _failed(self, fault: Fault | None) -> bool:
        """Answer with a fault of the transport, if it is one."""
        key = self.headers["Authorization"] or ""
        said = json.dumps({"error": {"message": f"cannot now, {key}"}}).encode()
        if fault == "429":
            self._send(429, said)
        elif fault == "429 wait":
            self._send(429, said, {"Retry-After": "0.1"})
        elif fault == "500":
            self._send(500, said)
        elif fault == "slow":
            self.api.sleep(SLOW)
            self.close_connection = True
        elif fault == "dropped":
            self.close_connection = True
        elif fault == "truncated":
            self._send(200, b'{"id": "1", "choices": [{"mess', claimed=200)
            self.close_connection = True
        elif fault == "misshapen":
            self._send(200, b'{"weather": "fine"}')
        elif fault == "not JSON":
            self._send(200, b"<html>gateway</html>")
        else:
            return False
        return True

    def _chat(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        reason = "stop"
        if fault == "refusal":
            message["refusal"] = "I cannot help with that."
        elif fault == "empty":
            message["content"] = ""
        elif fault == "nonsense":
            message["content"] = '{"weather": "fine"}'
        else:
            message["content"] = self.api.answer(body)
            if fault == "cut short":
                message["content"], reason = message["content"][: len(message["content"]) // 2], "length"
            if "tools" in body:
                call = {"name": body["tool_choice"]["function"]["name"], "arguments": message["content"]}
                message["content"] = None
                message["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
        choice = {"index": 0, "finish_reason": reason, "message": message, "logprobs": self.api.logprobs}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }

    def _send(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, claimed: int | None = None
    ) -> None:
        try:
            self.send_response(status)
            kind = "text/html" if data.startswith(b"<") else "application/json"
            for name, value in {"Content-Type": kind, **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(claimed or len(data)))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):  # the client had waited long enough
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        return
