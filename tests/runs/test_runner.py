"""The runner: input order, failures kept with their cause, bounded flight, and a stop that loses nothing."""

import asyncio
import errno
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from graphs.magid import graph
from magid_agents import config, prompts
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.cost import Meter
from magid_agents.agents.services import Services
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.errors import StopRun
from magid_agents.formats import BadRecord
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.prompts import Message
from magid_agents.runs import runner
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.graph_loader import Topology
from magid_agents.runs.outage import Outage
from magid_agents.store.journal import Journal
from magid_agents.store.results import Counts, Results
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.thresholds import Threshold
from tests.fake_run import SETS, lines


def dialogue(name: str) -> Dialogue:
    return Dialogue(id=name, utterances=(Utterance(speaker="A", text=f"look at my {name}"),))


def script(messages: Sequence[Message], shape: str) -> str:
    """One image a dialogue; the dialogue called `broken` is answered with nonsense."""
    text = messages[-1].text
    if shape == "SharingMoments":
        if "broken" in " ".join(m.text for m in messages):
            return "nonsense"
        return '{"moments": [{"rationale": "r", "utterance": 0, "description": "a thing"}]}'
    if shape == "GenerationPrompt":
        return json.dumps({"prompt": f"{text.split('look at my ')[-1].split()[0]}"})
    return '{"questions": [], "comment": "fine"}'


class Slow(FakePainter):
    """Notes how many paint at once; the picture of `slow` takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    async def paint(self, prompt: str, seed: int) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.2 if prompt == "slow" else 0.01)
        self.now -= 1
        return await super().paint(prompt, seed)


def run(
    folder: Path,
    records: Iterator[Dialogue | BadRecord],
    painter: FakePainter,
    topology: Any = graph,
    **sets: Any,
) -> Counts:
    given = {"budget.candidates": 1, "concurrency": 3, **sets}
    settings = config.load(overrides=[*SETS, *(f"{k}={json.dumps(v)}" for k, v in given.items())])

    async def main() -> Counts:
        directory = RunDir(folder)
        with directory.locked():
            async with Journal(directory.journal) as journal:
                services = Services(
                    settings=settings,
                    journal=journal,
                    run_dir=directory,
                    prompts={name: prompts.load(name) for name in prompts.names()},
                    chat=FakeChat(script),
                    painter=painter,
                    scorers={"unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe")},
                    thresholds=(Threshold("unsafe", 0.5, lower_is_better=True, blocking=True),),
                    meter=Meter(settings),
                )
                with Results(directory) as results:
                    await runner.run(records, DialogueRunner(Topology(topology, "g"), "", services), results)
                return results.counts

    return asyncio.run(main())


def test_results_stand_in_input_order_and_failures_keep_their_cause(tmp_path: Path) -> None:
    bad = BadRecord(Path("in.jsonl"), 3, "is no JSON")
    records: list[Dialogue | BadRecord] = [dialogue("slow"), dialogue("cat"), bad]
    records += [dialogue("broken"), dialogue("dog")]
    counts = run(tmp_path, iter(records), Slow())
    assert [r["id"] for r in lines(tmp_path / "dialogues.jsonl")] == ["slow", "cat", "dog"]
    first, second = lines(tmp_path / "failures.jsonl")
    assert (first["id"], first["stage"]) == ("in.jsonl:3", "read")
    assert (second["id"], second["stage"], second["raw"]) == ("broken", "scanner", "nonsense")
    assert "Invalid JSON" in second["error"]
    assert counts == Counts(dialogues=5, failed=2, accepted=3)


def test_no_more_than_asked_for_are_in_flight_and_input_is_read_as_needed(tmp_path: Path) -> None:
    drawn = 0

    def endless() -> Iterator[Dialogue]:
        nonlocal drawn
        for i in range(60):
            drawn += 1
            yield dialogue(f"d{i}")

    ahead: list[int] = []

    class Watching(Slow):
        async def paint(self, prompt: str, seed: int) -> Any:
            ahead.append(drawn - self.calls)
            return await super().paint(prompt, seed)

    painter = Watching()
    run(tmp_path, endless(), painter)
    assert painter.most == 3
    assert max(ahead) <= 3 * runner.WINDOW + 1


def test_a_second_run_pays_for_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    names = [f"d{i}" for i in range(12)]
    run(tmp_path, (dialogue(n) for n in names), Slow())
    before = (tmp_path / "dialogues.jsonl").read_bytes()
    again = Slow()
    run(tmp_path, (dialogue(n) for n in names), again)
    assert again.calls == 0
    assert (tmp_path / "dialogues.jsonl").read_bytes() == before


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_goes_on_from_what_was_paid_for(tmp_path: Path) -> None:
    class Interrupted(Slow):
        started = 0

        async def paint(self, prompt: str, seed: int) -> Any:
            self.started += 1
            if self.started == 6:
                signal.raise_signal(signal.SIGINT)
                await asyncio.sleep(60)
            return await super().paint(prompt, seed)

    names = [f"d{i}" for i in range(12)]
    first, rest = Interrupted(), Slow()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, (dialogue(n) for n in names), first)
    finished = [record["id"] for record in lines(tmp_path / "dialogues.jsonl")]
    assert finished
    assert finished == [name for name in names if name in finished]
    counts = run(tmp_path, (dialogue(n) for n in names), rest)
    assert counts.accepted == 12
    assert 0 < first.calls < 12
    assert first.calls + rest.calls == 12


def test_an_endpoint_that_is_down_for_all_ends_the_run(tmp_path: Path) -> None:
    class Down(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            await super().paint(prompt, seed)
            raise EndpointUnavailable("painter: connection failed")

    painter = Down()
    with pytest.raises(Outage, match=r"all of the first 5 .*connection failed.* run the same command again"):
        run(tmp_path, (dialogue(f"d{i}") for i in range(1000)), painter)
    assert painter.calls <= 5 + 3 * runner.WINDOW
    assert not lines(tmp_path / "dialogues.jsonl")
    failures = [failure["id"] for failure in lines(tmp_path / "failures.jsonl")]
    assert failures[:5] == [f"d{i}" for i in range(5)]


def test_one_dialogues_bad_luck_ends_no_run(tmp_path: Path) -> None:
    class Flaky(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            if int(prompt[1:]) % 5:
                raise EndpointUnavailable("painter: connection failed")
            return await super().paint(prompt, seed)

    counts = run(tmp_path, (dialogue(f"d{i}") for i in range(60)), Flaky())
    assert (counts.dialogues, counts.failed) == (60, 48)


def test_what_no_dialogue_can_escape_ends_the_run_at_once(tmp_path: Path) -> None:
    class Full(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            await super().paint(prompt, seed)
            if prompt == "first":
                await asyncio.sleep(60)
            raise StopRun("the disk is full")

    with pytest.raises(StopRun, match="the disk is full"):
        run(tmp_path, iter([dialogue("first"), dialogue("second")]), Full())


class SeveralAtOnce:
    """A graph of one node that runs tasks together: `bad` fails in two ways, `last` ends the run."""

    async def ainvoke(self, state: dict[str, Any], **_: Any) -> dict[str, Any]:
        name = state["dialogue"].id
        errors: dict[str, list[Exception]] = {
            "bad": [InvalidAnswer("not valid JSON", "raw text", []), ValueError("odd")],
            "last": [ValueError("odd"), ExceptionGroup("", [StopRun("the disk is full")])],
        }
        if name in errors:
            raise ExceptionGroup("unhandled errors in a TaskGroup", errors[name])
        return {"record": {"id": name, "utterances": [], "dropped": []}}


def test_errors_that_come_together_are_told_apart(tmp_path: Path) -> None:
    records = iter([dialogue("good"), dialogue("bad"), dialogue("last"), dialogue("never")])
    with pytest.raises(StopRun, match="the disk is full"):
        run(tmp_path, records, FakePainter(), SeveralAtOnce(), concurrency=1)
    (failure,) = lines(tmp_path / "failures.jsonl")
    assert (failure["id"], failure["error"], failure["raw"]) == ("bad", "not valid JSON", "raw text")
    assert [record["id"] for record in lines(tmp_path / "dialogues.jsonl")] == ["good"]


class LastIsLost(FakePainter):
    """`slow` takes for ever, `lost` ends the run once two others are painted."""

    async def paint(self, prompt: str, seed: int) -> Any:
        if prompt == "slow":
            await asyncio.sleep(60)
        if prompt == "lost":
            while self.calls < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            raise StopRun("the disk is full")
        return await super().paint(prompt, seed)


def test_a_stop_keeps_what_finished_ahead_of_an_older_dialogue(tmp_path: Path) -> None:
    records = [dialogue(name) for name in ("slow", "cat", "lost", "dog")]
    with pytest.raises(StopRun, match="the disk is full"):
        run(tmp_path, iter(records), LastIsLost(), concurrency=4)
    assert [record["id"] for record in lines(tmp_path / "dialogues.jsonl")] == ["cat", "dog"]


def test_a_stop_keeps_earlier_results_of_what_it_did_not_finish_in_their_place(tmp_path: Path) -> None:
    names = ("slow", "cat", "lost", "dog")
    run(tmp_path, iter([dialogue("slow"), dialogue("cat")]), FakePainter())
    (image,) = lines(tmp_path / "dialogues.jsonl")[0]["utterances"][0]["images"]
    (tmp_path / image["path"]).unlink()
    painter = LastIsLost()
    painter.calls = 1  # the cat is painted
    with pytest.raises(StopRun, match="the disk is full"):
        run(tmp_path, map(dialogue, names), painter, concurrency=4)
    assert [record["id"] for record in lines(tmp_path / "dialogues.jsonl")] == ["slow", "cat", "dog"]


def test_input_that_fails_half_way_keeps_what_is_finished(tmp_path: Path) -> None:
    def broken() -> Iterator[Dialogue]:
        yield from (dialogue(f"d{i}") for i in range(3 * runner.WINDOW + 1))
        raise OSError("the network drive is gone")

    with pytest.raises(OSError, match="network drive"):
        run(tmp_path, broken(), FakePainter())
    assert lines(tmp_path / "dialogues.jsonl")


def test_an_image_that_cannot_be_written_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunDirError, match=r"images/.*No space left on device.*run the same command again"):
        run(tmp_path, iter([dialogue("d")]), FakePainter())
