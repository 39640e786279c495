"""A real OTLP/HTTP collector on 127.0.0.1: keeps what it is sent, or refuses it as it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

REQUESTS: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer to an export."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/x-protobuf"
    headers: dict[str, str] = field(default_factory=dict)


def partly(rejected: int) -> Reply:
    """A success that lost some spans."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = "too old"
    return Reply(body=response.SerializeToString())


@dataclass
class Collected:
    """What the collector was sent; it answers by path, the last answer again and again, success if none."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    prefix: str = ""  # of the paths
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    spans: list["Received"] = field(default_factory=list)
    events: list["Received"] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)  # spans of each request

    def reply(self, path: str) -> Reply:
        replies = self.replies.get(path, [Reply()])
        return replies.pop(0) if len(replies) > 1 else replies[0]


@dataclass(frozen=True)
class Received:
    """A span or a log record, with its attributes as a dict."""

    message: Any
    attributes: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.message.span_id.hex())

    @property
    def name(self) -> str:
        return str(self.message.name)


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class _Handler(BaseHTTPRequestHandler):
    collected: Collected

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.removeprefix(self.collected.prefix)
        reply = self.collected.reply(path) if path in REQUESTS else Reply(404)
        if reply.status == 200:
            self._keep(path, body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _keep(self, path: str, body: bytes) -> None:
        request = REQUESTS[path].FromString(body)
        self.collected.bodies.append(body)
        self.collected.headers.append({name.lower(): value for name, value in self.headers.items()})
        if path == "/v1/logs":
            for group in request.resource_logs:
                records = [record for scope in group.scope_logs for record in scope.log_records]
                self.collected.events += [Received(r, attributes(r.attributes)) for r in records]
            return
        for group in request.resource_spans:
            self.collected.resources.append(attributes(group.resource.attributes))
            spans = [span for scope in group.scope_spans for span in scope.spans]
            self.collected.batches.append(len(spans))
            self.collected.spans += [Received(span, attributes(span.attributes)) for span in spans]

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting(**replies: list[Reply]) -> Iterator[Collected]:
    """A collector, for as long as the block lasts; `traces` and `logs` are its answers."""
    collected = Collected({f"/v1/{signal}": answers for signal, answers in replies.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"collected": collected}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    collected.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
