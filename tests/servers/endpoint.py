"""A real HTTP server on 127.0.0.1 that speaks the chat and images API and fails as it is told to.

For tests of how a run copes with real endpoints.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from tests.servers import model
from tests.servers.faults import Fault
from tests.servers.images import generated
from tests.servers.personalities import TAKES_EVERYTHING, Personality
from tests.servers.refusals import Refusal

SLOW = 30.0  # seconds: longer than any client in these tests waits


Said = TypeVar("Said", str, Refusal)


def always(said: Said) -> Callable[[dict[str, Any]], Said]:
    return lambda _: said


@dataclass
class Api:
    """What the server says: `answer` gives the content of a chat answer for the request's body, or None for
    the model's own words."""

    answer: Callable[[dict[str, Any]], str | None] = lambda _: None
    faults: Iterator[Fault | None] = field(default_factory=lambda: iter(()))
    refused: Callable[[dict[str, Any]], Refusal | str | None] = lambda _: None  # text: the message of a 400
    images: Callable[[dict[str, Any], Fault | None], dict[str, Any]] = generated
    logprobs: dict[str, Any] | None = None
    image_usage: dict[str, Any] | None = field(default_factory=dict)  # `usage` of an images answer
    personality: Personality = TAKES_EVERYTHING
    key: str | None = None  # any request without it is refused
    not_ready: int = 0  # status of every answer while the server loads its model or is busy
    barrier: threading.Barrier | None = None  # calls are answered only when so many are under way
    asked: list[dict[str, Any]] = field(default_factory=list)
    answered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # model, and what it is paid for
    listed: list[str] = field(default_factory=list)  # paths of GET requests
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
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
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


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # connections that open at once


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def do_GET(self) -> None:
        self.api.listed.append(self.path)
        server = self.api.personality
        if self.path.endswith("/models") and self._let_in(server.list_models is not None):
            models = server.list_models() if server.list_models else []
            self._send(200, json.dumps({"object": "list", "data": models}).encode())
        elif self.path == "/api/tags" and server.digests is not None:
            tags = [{"name": name, "model": name, "digest": d} for name, d in server.digests.items()]
            self._send(200, json.dumps({"models": tags}).encode())
        elif not self.path.endswith("/models"):
            self._refuse(Refusal(404, "not found"))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.startswith("/v1/"):
            self._refuse(Refusal(404, "not found"))
            return
        if not self._let_in():
            return
        if not body:
            self._refuse(Refusal(400, "model: field required"))
            return
        self.api.asked.append(body | {"headers": {k.lower(): v for k, v in self.headers.items()}})
        problem = self.api.refused(body)
        if problem is None and "messages" in body:
            problem = self.api.personality.refusal(body)
        if problem:
            self._refuse(Refusal(400, problem) if isinstance(problem, str) else problem)
            return
        fault = self.api.next_fault()
        if self.api.barrier is not None:
            self.api.barrier.wait()
        if not self._failed(fault):
            if self.path.endswith("images/generations"):
                made = self.api.images(body, fault) | {"usage": self.api.image_usage}
            else:
                made = self._chat(body, fault)
            self.api.answered.append((body["model"], made))
            self._send(200, json.dumps(made).encode())

    def _let_in(self, right_kind: bool = True) -> bool:
        """Whether the request has the key and is of a kind that may ask; if not, refuse it."""
        key = self.api.key
        if self.api.not_ready:
            self._refuse(Refusal(self.api.not_ready, "Loading model"))
            return False
        if right_kind and (key is None or self.headers["Authorization"] == f"Bearer {key}"):
            return True
        self._refuse(Refusal(401, "invalid key"))
        return False

    def _refuse(self, refusal: Refusal) -> None:
        self._send(refusal.status, json.dumps(refusal.body()).encode())

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
        choice, usage = model.choice(body, self.api.personality, self.api.answer(body))
        message = choice["message"]
        if fault == "refusal":
            message |= {"content": None, "refusal": "I cannot help with that."}
        elif fault == "empty":
            message["content"] = ""
        elif fault == "nonsense":
            message["content"] = '{"weather": "fine"}'
        elif fault == "cut short":
            message["content"] = message["content"][: len(message["content"]) // 2]
            choice["finish_reason"] = "length"
        if self.api.logprobs is not None:
            choice["logprobs"] = self.api.logprobs
        return {
            "id": "1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
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
