"""magid.run and magid.arun: what the command does, from Python, with dialogues and models from memory."""

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import magid_agents as magid
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.store.results import Counts
from tests.fake_run import lines, script, write_input
from tests.own_models import OwnScorer, dialogue, options


def ids(run: magid.Run) -> list[str]:
    return [record.id for record in run]


def test_files_are_run_and_opened_and_progress_is_told_to_a_function(tmp_path: Path) -> None:
    told: list[Counts] = []
    files = [write_input(tmp_path / "a.jsonl", "dog"), write_input(tmp_path / "b.jsonl", "fog")]
    run = magid.run(files, tmp_path / "out", progress=lambda counts, _: told.append(counts), **options())
    assert ids(run) == ["dog", "fog"]
    assert (run.status, run.counts.accepted, run.counts.dropped) == ("finished", 1, 1)
    assert told[-1] == run.counts


def test_progress_is_shown_on_stderr_unless_it_is_not_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, to rich
    magid.run([dialogue("dog")], tmp_path / "shown", **options())
    magid.run([dialogue("dog")], tmp_path / "silent", progress=False, **options(fresh=True))
    out, err = capsys.readouterr()
    assert "1/1" in err
    assert err.count("dialogues") == 1 or "\r" in err
    assert out == ""


def test_the_same_call_again_computes_nothing(tmp_path: Path) -> None:
    first, again = options(), options()
    magid.run([dialogue("dog"), dialogue("cake")], tmp_path, **first)
    run = magid.run([dialogue("dog"), dialogue("cake")], tmp_path, **again)
    assert first["painter"].calls > 0
    assert (again["chat"].calls, again["painter"].calls) == (0, 0)
    assert ids(run) == ["dog", "cake"]


def test_dialogues_from_memory_may_be_any_iterable_of_dicts_or_dialogues(tmp_path: Path) -> None:
    given = Dialogue(id="cat", utterances=(Utterance(speaker="A", text="look at my cat"),))

    def stream() -> Iterator[Any]:
        yield given
        yield dialogue("dog")

    assert ids(magid.run(stream(), tmp_path / "many", **options())) == ["cat", "dog"]
    assert ids(magid.run(given, tmp_path / "one", **options())) == ["cat"]
    assert ids(magid.run(dialogue("dog"), tmp_path / "dict", **options())) == ["dog"]


def test_more_dialogues_at_the_end_go_on_with_the_run(tmp_path: Path) -> None:
    magid.run([dialogue("dog")], tmp_path, **options())
    more = options()
    run = magid.run([dict(reversed(dialogue("dog").items())), dialogue("cat")], tmp_path, **more)
    assert ids(run) == ["dog", "cat"]
    assert more["painter"].calls == 2  # the candidates of the new one


@pytest.mark.parametrize("others", [["cat"], ["cat", "dog"], []])
def test_other_dialogues_are_refused_and_the_input_stays(tmp_path: Path, others: list[str]) -> None:
    magid.run([dialogue("dog"), dialogue("cow")], tmp_path, **options())
    stored = (tmp_path / "input.jsonl").read_bytes()
    with pytest.raises(magid.MagidError, match=r"input\.jsonl: holds other dialogues|there are none"):
        magid.run([dialogue(thing) for thing in others], tmp_path, **options())
    assert (tmp_path / "input.jsonl").read_bytes() == stored
    assert not list(tmp_path.glob("input.jsonl.*"))


def test_what_the_callers_own_iterable_raises_is_raised_and_leaves_no_input(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield dialogue("dog")
        raise FileNotFoundError("mine")

    with pytest.raises(FileNotFoundError, match="mine"):
        magid.run(broken(), tmp_path, **options())
    assert not list(tmp_path.glob("input.jsonl*"))


@pytest.mark.parametrize("way", ["update", "fresh"])
def test_other_dialogues_replace_the_input_on_request(tmp_path: Path, way: str) -> None:
    magid.run([dialogue("dog"), dialogue("cow")], tmp_path, **options())
    run = magid.run([dialogue("cat")], tmp_path, **options(**{way: True}))
    assert ids(run) == ["cat"]


def test_a_dict_that_is_no_dialogue_fails_alone(tmp_path: Path) -> None:
    run = magid.run([{"id": "odd", "text": "hello"}, dialogue("dog")], tmp_path, **options())
    assert ids(run) == ["dog"]
    (failure,) = run.failures
    assert failure.stage == "read"
    assert "unknown keys: text" in failure.error


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dialogues": [dialogue("dog"), 5]}, "dialogue 2: must be a dict in the native format.* is a int"),
        ({"dialogues": [{"id": {1, 2}}]}, "dialogue 1: cannot be written as JSON: .*set"),
        ({"dialogues": ["a.jsonl", dialogue("dog")]}, "dialogues: .* is a dict and not a path"),
        ({"dialogues": "nowhere.jsonl"}, r"nowhere\.jsonl: no such file"),
        ({"settings": {"budgit.attempts": 2}}, r"Unknown setting 'budgit'\. Did you mean 'budget'\?"),
        ({"settings": ["seed=1"]}, "settings: must be a dict"),
        ({"preset": "papper"}, r"Did you mean 'paper'\?"),
        ({"reuse": 7}, "reuse: 7 is a int and not a path"),
        ({"painter": FakeChat(script)}, "painter: FakeChat: lacks token_limit"),
        ({"update": True, "fresh": True}, "--update keeps what --fresh removes"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(magid.MagidError, match=says) as caught:
        magid.run(**{"dialogues": [dialogue("dog")], "out": tmp_path / "out", **options(), **given})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "run.json").exists()


def test_settings_go_over_the_presets_and_names_are_arguments(tmp_path: Path) -> None:
    scorers = {"shadow": OwnScorer(identity="shadow")}
    given = options(settings={"budget": {"candidates": 1}})
    given["scorers"] |= scorers
    magid.run([dialogue("dog")], tmp_path, preset="paper", seed=5, graph="no_qa", **given)
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert (manifest["settings"]["seed"], manifest["settings"]["budget"]["candidates"]) == (5, 1)
    assert manifest["graph"].startswith("no_qa@")
    assert manifest["models"]["painter"] == "fake-painter"
    assert manifest["models"]["scorers.shadow"] == "shadow"
    assert manifest["thresholds"]["shadow"]["value"] == 0.5


def test_another_painter_is_another_run_whose_answers_can_be_reused(tmp_path: Path) -> None:
    class Other(FakePainter):
        def __init__(self) -> None:
            super().__init__()
            self.identity = "other-painter"

    magid.run([dialogue("dog")], tmp_path / "a", **options())
    with pytest.raises(magid.MagidError, match=r"models\.painter: fake-painter -> other-painter"):
        magid.run([dialogue("dog")], tmp_path / "a", **options(painter=Other()))
    given = options(painter=Other())
    run = magid.run([dialogue("dog")], tmp_path / "b", reuse=tmp_path / "a", **given)
    assert run["dog"].illustrations[0].model == "other-painter"
    assert given["painter"].calls == 2
    assert given["chat"].calls == 0  # the scan and the prompt are the other run's


def test_run_and_arun_work_inside_a_running_event_loop(tmp_path: Path) -> None:
    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        blocking = magid.run([dialogue("dog")], tmp_path / "run", **options())
        assert ticks == 0
        waiting = await magid.arun([dialogue("dog")], tmp_path / "arun", **options())
        assert ticks > 0
        ticking.cancel()
        assert ids(blocking) == ids(waiting) == ["dog"]
        with pytest.raises(magid.MagidError, match="Unknown setting"):
            await magid.arun([dialogue("dog")], tmp_path / "no", **options(settings={"sead": 1}))

    asyncio.run(main())
    dataset = [lines(tmp_path / name / "dialogues.jsonl") for name in ("run", "arun")]
    assert dataset[0] == dataset[1]


class Waiting(FakePainter):
    """Paints dogs at once; `when_waiting` is called before it waits for ever to paint anything else."""

    def __init__(self, when_waiting: Callable[[], object]) -> None:
        super().__init__()
        self.when_waiting = when_waiting

    async def paint(self, prompt: str, seed: int) -> magid.PaintedImage:
        if prompt != "dog":
            self.when_waiting()
            await asyncio.sleep(600)
        return await super().paint(prompt, seed)


def assert_resumed(folder: Path) -> None:
    """The interrupted run kept the dog, and the same call does the rest."""
    assert (magid.open(folder).status, ids(magid.open(folder))) == ("interrupted", ["dog"])
    given = options()
    assert ids(magid.run([dialogue("dog"), dialogue("cat")], folder, **given)) == ["dog", "cat"]
    assert given["painter"].calls == 2


def test_a_cancelled_arun_ends_well_and_the_same_call_resumes(tmp_path: Path) -> None:
    async def main() -> None:
        loop, painting = asyncio.get_running_loop(), asyncio.Event()
        given = options(painter=Waiting(lambda: loop.call_soon_threadsafe(painting.set)))
        given["settings"]["concurrency"] = 1
        running = asyncio.create_task(magid.arun([dialogue("dog"), dialogue("cat")], tmp_path, **given))
        await painting.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert magid.open(tmp_path).status == "interrupted"  # it has ended when the call has

    asyncio.run(main())
    assert_resumed(tmp_path)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("notebook", [True, False])
def test_ctrl_c_ends_a_run_well_also_inside_a_running_loop(tmp_path: Path, notebook: bool) -> None:
    main_thread = threading.main_thread().ident or 0
    given = options(painter=Waiting(lambda: signal.pthread_kill(main_thread, signal.SIGINT)))
    given["settings"]["concurrency"] = 1

    async def cell() -> None:
        magid.run([dialogue("dog"), dialogue("cat")], tmp_path, **given)

    def call() -> None:
        if not notebook:
            magid.run([dialogue("dog"), dialogue("cat")], tmp_path, **given)
            return
        # As a notebook's kernel does: a loop that leaves Ctrl-C to Python.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(cell())
        finally:
            loop.close()

    with pytest.raises(KeyboardInterrupt, match="interrupted by Ctrl-C; run the same command again"):
        call()
    assert_resumed(tmp_path)
