"""`magid trace --otlp`, as a user meets it."""

import sys
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from tests.fake_run import run
from tests.servers.collector import Reply, collecting


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run(folder, "dog", "cake", "nonsense")
    return folder / "out"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.7")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def trace(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "trace", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ([], {"dog", "cake", "nonsense"}),
        (["cake"], {"cake"}),
        (["--failed"], {"nonsense"}),
        (["--failed", "--rewritten"], {"cake", "nonsense"}),
    ],
)
def test_the_dialogues_that_would_be_shown_are_sent(
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sent: set[str],
) -> None:
    with collecting() as collected:
        assert trace(monkeypatch, out, *words, "--otlp", collected.url) == 0
    assert {s.attributes["gen_ai.conversation.id"] for s in collected.spans} == sent
    said = capsys.readouterr()
    counts = f"{len(collected.spans)} spans, {len(collected.events)} evaluation events"
    assert said.out == f"{len(sent)} dialogues sent: {counts}\n"
    assert said.err == ""
    assert not [s for s in collected.spans if "gen_ai.input.messages" in s.attributes]


def test_text_is_sent_on_request(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collected:
        assert trace(monkeypatch, out, "dog", "--otlp", collected.url, "--otlp-content") == 0
    assert [s for s in collected.spans if "gen_ai.input.messages" in s.attributes]


def test_a_collector_that_stores_no_events_is_named(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with collecting(logs=[Reply(404, b"no\x1b[2J\nsuch page", "text/plain")]) as collected:
        assert trace(monkeypatch, out, "--otlp", collected.url) == 0
    said = capsys.readouterr()
    assert said.out.endswith(f"{len(collected.spans)} spans, 0 evaluation events\n")
    assert said.err == (
        f"magid: {collected.url}/v1/logs: answered 404 Not Found (no\\x1b[2J such page); "
        "no events were sent, the scores are on the spans\n"
    )


def test_a_collector_that_is_down_is_one_line_and_status_2(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with collecting() as collected:
        pass
    assert trace(monkeypatch, out, "--otlp", collected.url) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"magid: {collected.url}/v1/traces: does not answer (")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--otlp", "http://127.0.0.1:1", "--json"], "--json prints and --otlp sends"),
        (["--otlp-content"], "is for --otlp URL, which is missing"),
        (["--otlp", "localhost:4318"], "--otlp localhost:4318: is not the address of a collector"),
        (["--otlp", "http://127.0.0.1:1", "no such dialogue"], "no dialogue has the id 'no such dialogue'"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    assert trace(monkeypatch, out, *words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_without_opentelemetry_the_extra_is_named(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [name for name in sys.modules if name.startswith("magid_agents.reading.otel.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as if it were not installed
    monkeypatch.setitem(sys.modules, "opentelemetry._logs", None)
    assert trace(monkeypatch, out, "--otlp", "http://127.0.0.1:4318") == 2
    said = "magid: --otlp needs OpenTelemetry; pip install 'magid-agents[otel]'\n"
    assert capsys.readouterr().err == said
