"""`magid run`, as a user meets it: exit status, what is printed, and one line for what cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from magid_agents.models import build
from magid_agents.models.endpoint import EndpointUnavailable, EndpointUnusable
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage, Reply
from magid_agents.store.rundir import RunDirError
from tests.cli.command import magid, run_here
from tests.fake_run import fakes, script, write_input


@pytest.mark.usefixtures("faked")
def test_a_run_ends_with_a_table_and_status_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog", "cake", "silence")
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 0
    said = capsys.readouterr()
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    for row in ("dialogues 3", "images accepted 2", "of these after a rewrite 1", "dialogues failed 0"):
        assert row in rows
    assert said.err == ""
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 0
    assert "model calls computed 0" in [
        " ".join(line.split()) for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.usefixtures("faked")
def test_bad_records_are_one_line_each_and_the_rest_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog", "cat", "cow", "pig", "hen", "owl")
    with source.open("a") as file:
        file.write(
            '{"id": "x", "utterances": \n{"id": "dog", "utterances": [{"speaker": "A", "text": "hi"}]}\n'
        )
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 3
    malformed, double = capsys.readouterr().err.splitlines()
    assert malformed.startswith(f"magid: {source}:7: ")
    assert double.startswith(f"magid: {source}:8: duplicate id 'dog'")
    assert len((tmp_path / "out" / "dialogues.jsonl").read_text().splitlines()) == 6
    failed = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in failed] == ["in.jsonl:7", "in.jsonl:8"]


@pytest.mark.usefixtures("faked")
def test_many_failures_are_not_all_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    write_input(source, "dog").open("a").write("{\n" * 50)
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 11
    where = tmp_path / "out" / "failures.jsonl"
    assert said[-1] == f"magid: more failed (in all: read: unreadable record 50); see {where}"


@pytest.mark.usefixtures("faked")
def test_failures_are_counted_by_stage_and_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog", "nonsense", "nonsense-2")
    source.write_text(source.read_text().replace("my nonsense-2", "my nonsense") + "{\n")
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 3
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for row in ("dialogues failed 3", "scanner: invalid answer 2", "read: unreadable record 1"):
        assert row in rows


@pytest.mark.usefixtures("faked")
def test_an_empty_file_is_a_failure_and_a_binary_one_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, binary = tmp_path / "empty.jsonl", tmp_path / "picture.png"
    empty.touch()
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)))
    assert run_here(monkeypatch, empty, "--out", tmp_path / "a") == 3
    assert capsys.readouterr().err.startswith(f"magid: {empty}:1: the file contains no dialogue")
    assert run_here(monkeypatch, binary, "--out", tmp_path / "b") == 2
    assert capsys.readouterr().err.startswith(f"magid: {binary}: is in none of the formats native")
    assert not (tmp_path / "b").exists()


class Failing(FakePainter):
    """Fails from its third image on."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        if self.calls >= 2:
            raise self._error
        return await super().paint(prompt, seed)


def test_a_stop_that_the_same_command_resumes_ends_with_status_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_input(tmp_path / "in.jsonl", *(f"dog{i}" for i in range(30)))
    words = (source, "--out", tmp_path / "out", "--concurrency", 1)
    painter = Failing(RunDirError("images/ab: cannot be written (No space left on device)"))
    monkeypatch.setattr(build, "open_models", fakes(FakeChat(script), painter))
    assert run_here(monkeypatch, *words) == 4
    assert capsys.readouterr().err == "magid: images/ab: cannot be written (No space left on device)\n"
    assert len((tmp_path / "out" / "dialogues.jsonl").read_text().splitlines()) == 1
    monkeypatch.setattr(
        build, "open_models", fakes(FakeChat(script), Failing(EndpointUnavailable("painter: refused")))
    )
    assert run_here(monkeypatch, *words) == 4
    assert "magid: the endpoint is down: 18 of the last 20" in capsys.readouterr().err
    monkeypatch.setattr(build, "open_models", fakes(FakeChat(script), FakePainter()))
    assert run_here(monkeypatch, *words) == 0
    assert len((tmp_path / "out" / "dialogues.jsonl").read_text().splitlines()) == 30


def test_the_cost_limit_ends_with_status_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "open_models", fakes(FakeChat(script), FakePainter()))
    source = write_input(tmp_path / "in.jsonl", "dog", "cat")
    prices = '--set=prices={"painter": {"image": 1}}'
    words = (source, "--out", tmp_path / "out", "--concurrency", 1, prices, "--max-cost", 3)
    assert [run_here(monkeypatch, *words) for _ in range(2)] == [4, 4]
    assert "magid: cost limit reached: $" in capsys.readouterr().err


def test_a_model_that_the_endpoint_lacks_ends_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoModel(FakeChat):
        async def complete(self, *_: object) -> Reply:
            raise EndpointUnusable("chat.model=moon: the endpoint has no such model")

    monkeypatch.setattr(build, "open_models", fakes(NoModel(script), FakePainter()))
    source = write_input(tmp_path / "in.jsonl", "dog")
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err == "magid: chat.model=moon: the endpoint has no such model\n"


@pytest.mark.usefixtures("faked")
def test_nothing_a_failure_quotes_moves_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    said = [{"speaker": "A", "text": "look at my nonsense"}]
    source.write_text(json.dumps({"id": "a\x1b[2J\nb", "utterances": said}) + "\n")
    assert run_here(monkeypatch, source, "--out", tmp_path / "out") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("magid: a\\x1b[2J")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--profile", "moon"],
            "Unknown profile 'moon'. Choose from embedded, laptop, local, openai, or",
        ),
        (["--preset", "moon"], "Unknown preset 'moon'. Choose from default, paper."),
        (["--set", "budgit.attempts=2"], "Unknown setting 'budgit'. Did you mean 'budget'?"),
        (
            ["--set", "budget.attempts=many"],
            "Setting 'budget.attempts' cannot be used: Input should",
        ),
        (
            ["--graph", "rhombus"],
            "Unknown graph 'rhombus'. Choose from magid, no_qa, retrieval, or give",
        ),
        (["--format", "docx"], "Unknown format 'docx'. Choose from native"),
        (["--engine", "steam"], "Unknown engine 'steam'. Choose from local, ray."),
        (["--set", "scanner.prompt=scanner/nope"], "Unknown prompt 'scanner/nope'. Did you mean 'scanner/"),
        (
            ["--set", "chat.provider=openai", "--set", "chat.base_url=http://127.0.0.1:9/v1"],
            "chat.base_url=http://127.0.0.1:9/v1 does not answer",
        ),
        (["--set", "chat.provider=openai"], "set the environment variable OPENAI_API_KEY"),
        (["--set", "chat.model=gpt-9"], "chat.model=gpt-9 is not an embedded chat model; choose from qwen"),
        (
            ["--set", "scorers.extra.backend=tongue", "--set", "scorers.extra.model=m"],
            "Unknown scorers.extra.backend 'tongue'",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_with_the_fix(tmp_path: Path, words: list[str], says: str) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog")
    done = magid("run", str(source), "--out", str(tmp_path / "out"), *words, OPENAI_API_KEY="")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("magid: ")
    assert says in line
    assert not (tmp_path / "out" / "dialogues.jsonl").exists()


def test_missing_weights_that_cannot_be_fetched_are_one_line(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog")
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "magid_agents", "run", str(source), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **nowhere, "MAGID_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull},
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("magid: qwen2.5-coder-1.5b ")
    assert "Traceback" not in done.stderr
