"""Collectors that refuse, are down, lose something or stand elsewhere: no loss goes unsaid."""

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from magid_agents.errors import ConfigError
from magid_agents.reading import trace
from magid_agents.reading.otel import otlp
from magid_agents.reading.otel.collector import Collector, CollectorError
from magid_agents.reading.otel.run_facts import RunFacts
from magid_agents.store.rundir import RunDir
from tests.fake_run import run
from tests.servers.collector import Collected, Reply, collecting, partly


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.7")  # less than a second try would wait
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run(folder, "dog", "cake")
    return folder / "out"


def send(out: Path, url: str) -> otlp.Sent:
    return otlp.send(trace.read(out), RunFacts.read(RunDir(out)), url)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401), "answered 401 Unauthorized; set OTEL_EXPORTER_OTLP_HEADERS"),
        (
            Reply(403, b"no such project", "text/plain"),
            r"answered 403 Forbidden \(no such project\); set OTEL",
        ),
        (Reply(404), "answered 404 Not Found; name the address of an OTLP/HTTP collector"),
        (Reply(500), "answered 500 Internal Server Error; see the collector's own log"),
        (Reply(503), "answered 503 Service Unavailable"),
        (Reply(302, headers={"Location": "/login"}), "answered 302 Found; name the address"),
        (Reply(200, b"<html>", "text/html; charset=utf-8"), "answered 200 OK; name the address"),
        (
            Reply(400, b'{"message":\n"bad"}', "application/json"),
            r'answered 400 Bad Request \({"message": "bad"}\)',
        ),
        (partly(3), r"rejected 3 of a batch \(too old\)"),
    ],
)
def test_a_collector_that_refuses_is_an_error(out: Path, reply: Reply, said: str) -> None:
    with collecting(traces=[reply]) as collected, pytest.raises(CollectorError, match=said) as raised:
        send(out, collected.url)
    assert str(raised.value).startswith(f"{collected.url}/v1/traces: ")
    assert "\n" not in str(raised.value)


def test_a_collector_that_is_down_is_an_error(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collected:
        pass
    with pytest.raises(
        CollectorError, match=r"does not answer \(.*[Cc]onnection refused\); start a collector"
    ):
        send(out, collected.url)
    assert caplog.records == []


def test_a_batch_that_cannot_be_encoded_is_an_error() -> None:
    with collecting() as collected, pytest.raises(CollectorError, match="cannot be encoded"):
        Collector(collected.url).post_spans([ReadableSpan("without an id")])
    assert collected.spans == []


def test_an_error_says_what_had_been_sent(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "BATCH_SPANS", 10)
    with (
        collecting(traces=[Reply(), Reply(), Reply(500)]) as collected,
        pytest.raises(CollectorError, match="; 20 spans had been sent, and sending again doubles none"),
    ):
        send(out, collected.url)
    assert collected.batches == [10, 10]


def test_a_busy_collector_is_asked_again(out: Path) -> None:
    with collecting(traces=[Reply(503, headers={"Retry-After": "0"}), Reply()]) as collected:
        sent = send(out, collected.url)
    assert sent.spans == len(collected.spans)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_collector_without_events_gets_the_spans(out: Path, status: int) -> None:
    with collecting(logs=[Reply(status)]) as collected:
        sent = send(out, collected.url)
    assert (sent.spans, sent.events) == (len(collected.spans), 0)
    assert sent.without_events.startswith(f"{collected.url}/v1/logs: answered {status} ")


@pytest.mark.parametrize("replies", [[Reply(500)], [Reply(), Reply(404)], [partly(2)]])
def test_events_that_are_lost_are_an_error(
    out: Path, monkeypatch: pytest.MonkeyPatch, replies: list[Reply]
) -> None:
    monkeypatch.setattr(otlp, "BATCH_SPANS", 8)
    with collecting(logs=replies) as collected, pytest.raises(CollectorError, match=r"/v1/logs: "):
        send(out, collected.url)


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces", "/v1/traces/", "/v1/logs"])
@pytest.mark.parametrize("prefix", ["", "/api/public/otel"])
def test_an_address_may_end_with_the_path_of_a_signal(out: Path, prefix: str, suffix: str) -> None:
    with collecting() as collected:
        collected.prefix = prefix
        sent = send(out, f"{collected.url}{prefix}{suffix}")
    assert (sent.spans, sent.events) == (len(collected.spans), len(collected.events))
    assert sent.events > 0


def test_headers_and_attributes_come_from_opentelemetrys_variables(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-project=mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=dialogues")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    collected: Collected
    with collecting() as collected:
        send(out, collected.url)
    assert {headers["x-project"] for headers in collected.headers} == {"mine"}
    resource = collected.resources[0]
    assert (resource["team"], resource["service.name"]) == ("dialogues", "nightly")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http://x:port", "", "file:///tmp/x"]
)
def test_an_impossible_address_is_an_error(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a collector"):
        Collector(url)


def test_what_an_address_holds_of_a_password_is_not_shown(out: Path) -> None:
    with collecting(traces=[Reply(500)]) as collected, pytest.raises(CollectorError) as raised:
        send(out, collected.url.replace("//", "//me:secret@") + "?token=secret")
    assert "secret" not in str(raised.value)
    with pytest.raises(ConfigError) as refused:
        Collector("ftp://me:secret@host")
    assert "secret" not in str(refused.value)
