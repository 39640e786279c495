"""Post spans and events to a collector over OTLP/HTTP, and tell what it says against them.

The requests are made by OpenTelemetry's exporters, so its environment variables hold, such as
OTEL_EXPORTER_OTLP_HEADERS for a key. The exporters tell only whether a request failed, and take a redirect
or a partial success for a success; so the answers are looked at here.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from magid_agents.errors import ConfigError, MagidError, first_line

TRACES, LOGS = "/v1/traces", "/v1/logs"
KEY_REFUSED, NOT_THERE, NOT_SERVED = (401, 403), (404, 405), (404, 405, 501)
MAX_QUOTED = 200  # characters of what a collector says


class CollectorError(MagidError):
    """A collector does not take what it is sent; `status` is that of its answer, None if there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Collector:
    """A collector at an address, with or without /v1/traces at its end.

    Raises ConfigError if it is not an address.
    """

    def __init__(self, url: str) -> None:
        parts = _split(url)
        path = parts.path.rstrip("/").removesuffix(TRACES).removesuffix(LOGS)
        self.address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, query="").geturl()
        self._session = _Session()
        traces, logs = (parts._replace(path=path + signal).geturl() for signal in (TRACES, LOGS))
        self._spans = OTLPSpanExporter(endpoint=traces, session=self._session)
        self._events = OTLPLogExporter(endpoint=logs, session=self._session)

    def post_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Raise CollectorError if it does not take them all."""
        with _unlogged():
            self._spans.export(spans)
        response = self._session.check(self.address + TRACES)
        told = _parse(response, ExportTraceServiceResponse()).partial_success
        self._refuse_loss(TRACES, told.rejected_spans, told.error_message)

    def post_events(self, events: Sequence[ReadableLogRecord]) -> None:
        """Raise CollectorError if it does not take them all."""
        with _unlogged():
            self._events.export(events)
        response = self._session.check(self.address + LOGS)
        told = _parse(response, ExportLogsServiceResponse()).partial_success
        self._refuse_loss(LOGS, told.rejected_log_records, told.error_message)

    def _refuse_loss(self, signal: str, rejected: int, message: str) -> None:
        if rejected:
            raise CollectorError(f"{self.address}{signal}: rejected {rejected} of a batch{_quote(message)}")

    def close(self) -> None:
        self._session.close()


class _Session(requests.Session):
    """Remembers what came of the last request."""

    outcome: requests.Response | Exception | None = None

    def request(self, *args: Any, **arguments: Any) -> requests.Response:
        try:
            response = super().request(*args, **arguments)
        except Exception as error:
            self.outcome = error
            raise
        self.outcome = response
        return response

    def check(self, address: str) -> requests.Response:
        """Return the last answer. Raises CollectorError if there is none, or it is no OTLP server's."""
        outcome, self.outcome = self.outcome, None
        if outcome is None:
            raise CollectorError(
                f"{address}: a batch is over 64 MiB or cannot be encoded; send it without --otlp-content"
            )
        if isinstance(outcome, Exception):
            why = first_line(_root(outcome))
            raise CollectorError(
                f"{address}: does not answer ({why}); start a collector there, or name another"
            )
        status, kind = outcome.status_code, outcome.headers.get("Content-Type", "")
        if status < 300 and not kind.startswith("text/html"):
            return outcome
        said = _quote(outcome.text) if kind.startswith(("text/plain", "application/json")) else ""
        message = f"{address}: answered {status} {outcome.reason}{said}; {_advise(status)}"
        raise CollectorError(message, status)


def _quote(text: str) -> str:
    words = " ".join(text.split())
    return f" ({words[:MAX_QUOTED]})" if words else ""


def _advise(status: int) -> str:
    if status in KEY_REFUSED:
        return "set OTEL_EXPORTER_OTLP_HEADERS to what the collector asks for, such as api_key=..."
    if status < 400 or status in NOT_THERE:
        return "name the address of an OTLP/HTTP collector, such as http://127.0.0.1:4318"
    return "see the collector's own log"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ConfigError(
        f"--otlp {url.rpartition('@')[2]}: is not the address of a collector; give one such as "
        "http://127.0.0.1:4318"
    )


def _root(error: BaseException) -> BaseException:
    """Return the error that the others were raised for: the libraries wrap it four times."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return error


def _parse(response: requests.Response, message: Any) -> Any:
    """Return the answer's message; an empty one if the collector does not answer in protobuf."""
    if "protobuf" in response.headers.get("Content-Type", ""):
        try:
            message.ParseFromString(response.content)
        except DecodeError:
            message.Clear()
    return message


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the exporters from logging what is raised here."""
    logger = logging.getLogger("opentelemetry.exporter")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
