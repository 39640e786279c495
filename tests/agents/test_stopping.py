"""A stop: nothing begins after it, what is finished stays, and the manifest says why."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from magid_agents.agents.stopping import Interrupted, Stop
from magid_agents.errors import StopRun
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.prompts import Message
from magid_agents.store import results
from tests.fake_run import lines, run, script

ROOT = Path(__file__).parents[2]
COMMAND = """
import sys, time
from magid_agents.cli import app as cli
from magid_agents.models import build
from magid_agents.models.fakes import FakeChat, FakePainter
from tests.fake_run import fakes, script

class Slow(FakePainter):
    async def paint(self, prompt, seed):
        if prompt != "dog":
            print("paints", flush=True)
            time.sleep(0.01)
        return await super().paint(prompt, seed)

build.open_models = fakes(FakeChat(script), Slow())
cli.main()
"""


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM as the command has it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def write_equal_dialogues(folder: Path, count: int) -> None:
    said = [{"speaker": "A", "text": "look at my dog"}]
    with (folder / "in.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": f"d{i}", "utterances": said}) + "\n" for i in range(count))


@pytest.mark.usefixtures("interruptible", "sigterm")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_begins_after_a_stop_even_where_dialogues_ask_the_same(
    tmp_path: Path, number: signal.Signals
) -> None:
    stopped, late = False, list[str]()

    class Chat(FakeChat):
        async def complete(self, messages: Sequence[Message], *others: Any) -> Any:
            nonlocal stopped
            if stopped:
                late.append(messages[-1].text)
            if self.calls == 1:
                stopped = True
                signal.raise_signal(number)
            await asyncio.sleep(0.01)
            return await super().complete(messages, *others)

    class Painter(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            late.append(prompt)
            return await super().paint(prompt, seed)

    write_equal_dialogues(tmp_path, 4)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, chat=Chat(script), painter=Painter())
    assert stopped
    assert not late


@pytest.mark.usefixtures("interruptible", "sigterm")
@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_stop_keeps_what_is_finished_and_says_why(
    tmp_path: Path, number: signal.Signals, name: str
) -> None:
    class Stopped(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            if prompt == "hen":
                signal.raise_signal(number)
                await asyncio.sleep(60)
            return await super().paint(prompt, seed)

    things = ("dog", "cat", "cow", "hen", "owl")
    with pytest.raises(KeyboardInterrupt, match=name):
        run(tmp_path, *things, painter=Stopped(), sets=["concurrency=1"])
    out = tmp_path / "out"
    assert [record["id"] for record in lines(out / "dialogues.jsonl")] == ["dog", "cat", "cow"]
    manifest = json.loads((out / "run.json").read_text())
    assert (manifest["status"], manifest["counts"]["dialogues"]) == ("interrupted", 3)
    assert name in manifest["sessions"][-1]["reason"]
    # Stopped sooner the next time, the results of the first time are still there.
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, painter=Stopped(), sets=["concurrency=1"])
    assert [record["id"] for record in lines(out / "dialogues.jsonl")] == ["dog", "cat", "cow"]


def test_results_can_be_read_while_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PUBLISH_INTERVAL_S", 0.0)
    monkeypatch.setattr(results, "PUBLISH_MAX_SHARE", float("inf"))
    seen = list[list[str]]()

    class Looking(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            path = tmp_path / "out" / "dialogues.jsonl"
            seen.append([record["id"] for record in lines(path)] if path.exists() else [])
            return await super().paint(prompt, seed)

    things = [f"dog{i}" for i in range(20)]
    run(tmp_path, *things, painter=Looking(), sets=["concurrency=1", "budget.candidates=1"])
    assert all(ids == things[: len(ids)] for ids in seen)
    assert len(seen[-1]) > 5


def test_a_stop_that_comes_before_anything_was_answered_says_so(tmp_path: Path) -> None:
    class NoModel(FakeChat):
        async def complete(self, *_: Any) -> Any:
            raise StopRun("chat.model=moon: the endpoint has no such model")

    class NoSpace(FakePainter):
        async def paint(self, *_: Any) -> PaintedImage:
            raise StopRun("the disk is full")

    with pytest.raises(StopRun, match="no such model") as ended:
        run(tmp_path, "dog", chat=NoModel(script))
    assert not ended.value.resumable
    with pytest.raises(StopRun, match="disk is full") as ended:
        run(tmp_path, painter=NoSpace())
    assert ended.value.resumable


def test_an_update_that_is_stopped_does_not_leave_results_of_other_settings(tmp_path: Path) -> None:
    class Broken(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            if self.calls == 2:
                raise StopRun("the disk is full")
            return await super().paint(prompt, seed)

    run(tmp_path, "dog", "cat")
    before = {record["id"]: record for record in lines(tmp_path / "out" / "dialogues.jsonl")}
    with pytest.raises(StopRun):
        run(tmp_path, sets=["seed=7", "concurrency=1"], update=True, painter=Broken())
    (dog,) = lines(tmp_path / "out" / "dialogues.jsonl")
    assert dog["id"] == "dog"
    assert dog != before["dog"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["seed"] == 7


def start_ignoring_sigint(folder: Path) -> subprocess.Popen[str]:
    """Start the command as `nohup` and `&` do, and wait until it paints a second dialogue's image."""
    words = ["run", "in.jsonl", "--out", "out", "--concurrency", "1"]
    sets = [
        f"--set={value}" for value in ("scanner.prompt=scanner/zero_shot", "writer.write=prompt_writer/write")
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words, *sets, "--set=critic.critique=critic/text"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "paints\n"
    return process


def test_a_command_in_the_background_ignores_sigint_and_stops_at_sigterm(tmp_path: Path) -> None:
    things = ["dog", *(f"cat{i}" for i in range(200))]
    with (tmp_path / "in.jsonl").open("w") as file:
        for thing in things:
            said = [{"speaker": "A", "text": f"look at my {thing}"}]
            file.write(json.dumps({"id": thing, "utterances": said}) + "\n")
    process = start_ignoring_sigint(tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "paints\n"
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("magid: interrupted by SIGTERM; run the same command again")
    assert lines(tmp_path / "out" / "dialogues.jsonl")[0]["id"] == "dog"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_interrupts_at_once_and_the_handling_of_before_comes_back() -> None:
    stop = Stop()
    with asyncio.Runner() as runner:
        with stop.on_signals(runner.get_loop()):
            signal.raise_signal(signal.SIGINT)
            assert isinstance(stop.error, Interrupted)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handling_of_an_application_is_left_alone() -> None:
    def own(*_: object) -> None: ...

    before = {number: signal.signal(number, own) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with asyncio.Runner() as runner, Stop().on_signals(runner.get_loop()):
            assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is own
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_run_in_another_thread_needs_no_signals(tmp_path: Path) -> None:
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(tmp_path, "dog")))
    thread.start()
    thread.join()
    assert outcomes[0].counts.accepted == 1


def test_the_first_reason_to_stop_counts() -> None:
    stop = Stop()
    stop.check()
    stop.request(StopRun("first"))
    stop.request(StopRun("second"))
    assert str(stop.error) == "first"
    with pytest.raises(StopRun, match=r"not begun.*first"):
        stop.check()
