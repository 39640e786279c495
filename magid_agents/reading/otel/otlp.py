"""Send a run's traces to a collector: spans, and evaluations as events, in batches."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from magid_agents.reading.otel import names
from magid_agents.reading.otel.collector import NOT_SERVED, Collector, CollectorError
from magid_agents.reading.otel.content import read_content
from magid_agents.reading.otel.evaluations import Evaluation, evaluate
from magid_agents.reading.otel.run_facts import RunFacts
from magid_agents.reading.otel.spans import Attributes, Span, build_spans
from magid_agents.reading.trace import DialogueTrace
from magid_agents.text import encodable

PACKAGE_VERSION = version("magid-agents")
SCOPE = InstrumentationScope("magid_agents", PACKAGE_VERSION)
BATCH_SPANS = 500
BATCH_CHARS = 1 << 20  # of text: collectors turn down large requests, some above 4 MB
INT64 = range(-(1 << 63), 1 << 63)


@dataclass
class Sent:
    """What a collector took. `without_events` says why it got no events, which some do not store."""

    dialogues: int = 0
    spans: int = 0
    events: int = 0
    without_events: str = ""


def send(traces: Iterable[DialogueTrace], run: RunFacts, url: str, *, content: bool = False) -> Sent:
    """Send traces, with the text of prompts and answers or without, and return what was sent.

    One batch is in memory at a time. Sending again sends the same ids. Raises ConfigError for an impossible
    address, CollectorError if the collector does not answer or does not take a batch.
    """
    with closing(Collector(url)) as collector:
        batch = _Batch(collector, content)
        for one in traces:
            batch.add(one, run)
        batch.flush()
    return batch.sent


@dataclass
class _Batch:
    """Spans and events that are to be posted, and what was posted before."""

    collector: Collector
    content: bool
    sent: Sent = field(default_factory=Sent)
    spans: list[ReadableSpan] = field(default_factory=list)
    events: list[ReadableLogRecord] = field(default_factory=list)
    chars: int = 0
    resource: Resource = field(default_factory=lambda: _resource())

    def add(self, one: DialogueTrace, run: RunFacts) -> None:
        """Add a dialogue; post whenever a batch is full."""
        tree = build_spans(one, run)
        events = evaluate(one, tree, run)
        for span in tree.spans:
            if self.content and span.call:
                span.attributes |= read_content(span.call)
            self._add_span(tree.trace_id, span)
        for event in events:
            self._add_event(tree.trace_id, event)
        self.sent.dialogues += 1

    def _add_span(self, trace_id: int, span: Span) -> None:
        status = Status()
        if names.ERROR in span.attributes:
            status = Status(StatusCode.ERROR, encodable(span.problem) if self.content else None)
        made = ReadableSpan(
            encodable(span.name),
            _context(trace_id, span.id),
            _context(trace_id, span.parent) if span.parent is not None else None,
            self.resource,
            self._clean(span.attributes),
            kind=SpanKind.CLIENT if span.client else SpanKind.INTERNAL,
            status=status,
            start_time=_nanoseconds(span.begin_s),
            end_time=_nanoseconds(span.end_s),
            instrumentation_scope=SCOPE,
        )
        self.spans.append(made)
        if len(self.spans) >= BATCH_SPANS or self.chars >= BATCH_CHARS:
            self.flush()

    def _add_event(self, trace_id: int, event: Evaluation) -> None:
        attributes = event.attributes | {names.RECORD_UID: f"{event.uid:032x}"}
        if self.content and event.why:
            attributes[names.EXPLANATION] = event.why
        at = _nanoseconds(event.at_s)
        record = LogRecord(
            timestamp=at,
            observed_timestamp=at,
            context=set_span_in_context(NonRecordingSpan(_context(trace_id, event.span.id))),
            attributes=self._clean(attributes),
            event_name=names.EVALUATION,
        )
        self.events.append(ReadableLogRecord(record, self.resource, SCOPE))
        if len(self.events) >= BATCH_SPANS:
            self.flush()

    def _clean(self, attributes: Attributes) -> Attributes:
        """Return attributes that can be encoded: no half characters, and no integers beyond 64 bits."""
        clean: Attributes = {}
        for name, value in attributes.items():
            if isinstance(value, int) and value not in INT64:
                value = str(value)
            if isinstance(value, str):
                value = encodable(value)
                self.chars += len(value)
            clean[encodable(name)] = value
        return clean

    def flush(self) -> None:
        """Post what there is. Raises CollectorError with how much had been sent before."""
        spans, events = self.spans, self.events
        self.spans, self.events, self.chars = [], [], 0
        try:
            if spans:
                self.collector.post_spans(spans)
                self.sent.spans += len(spans)
            if events and not self.sent.without_events:
                self._post_events(events)
        except CollectorError as error:
            if not self.sent.spans:
                raise
            told = f"{error}; {self.sent.spans} spans had been sent, and sending again doubles none"
            raise CollectorError(told, error.status) from error

    def _post_events(self, events: list[ReadableLogRecord]) -> None:
        try:
            self.collector.post_events(events)
        except CollectorError as error:
            if error.status not in NOT_SERVED or self.sent.events:
                raise
            self.sent.without_events = str(error).partition(";")[0]
        else:
            self.sent.events += len(events)


def _resource() -> Resource:
    """Return what all spans are of; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have their way."""
    ours = {
        "service.name": "magid-agents",
        "service.version": PACKAGE_VERSION,
        names.VERSION_ATTRIBUTE: names.VERSION,
    }
    return Resource(ours).merge(OTELResourceDetector().detect())


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
