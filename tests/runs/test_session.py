"""A run over a directory: done once, resumed, refused where it was made otherwise, and what is reused."""

import asyncio
import json
import shutil
import signal
from pathlib import Path

import pytest

from magid_agents import config
from magid_agents.config import ConfigError
from magid_agents.formats import FormatError
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.resources import folder
from magid_agents.runs import runner, session
from magid_agents.runs.session import RunRequest, count
from magid_agents.store.manifest_migrations import SCHEMA
from magid_agents.store.results import Calls, Counts
from magid_agents.store.rundir import RunDirError
from tests import fake_run
from tests.fake_run import lines, run, script, write_input


def edited(tmp_path: Path, name: str) -> Path:
    """A folder with one prompt, changed."""
    mine = tmp_path / "mine" / f"{name}.md"
    mine.parent.mkdir(parents=True)
    text = (folder("prompts") / f"{name}.md").read_text()
    mine.write_text(text.replace("## user\n", "## user\nBe strict.\n", 1))
    return tmp_path / "mine"


def test_the_same_command_again_computes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path, "dog", "cake", "fog", "silence")
    dataset = (tmp_path / "out" / "dialogues.jsonl").read_bytes()
    again = run(tmp_path)
    assert first.calls.computed > 0
    assert (again.calls.computed, again.counts.dialogues) == (0, 4)
    assert (tmp_path / "out" / "dialogues.jsonl").read_bytes() == dataset
    assert (first.counts.accepted, first.counts.rewritten, first.counts.dropped) == (2, 1, 1)
    assert first.counts.without_image == 2


def test_the_manifest_says_what_the_dataset_was_made_with(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["models"]["painter"] == "fake-painter"
    assert manifest["settings"]["budget"]["attempts"] == 2
    assert manifest["thresholds"]["image_text_match"]["value"] == 0.5
    assert len(manifest["prompts"]["prompt_writer/write"]) == 64
    assert manifest["counts"]["accepted"] == 1
    assert manifest["schema"] == SCHEMA


def test_what_was_made_otherwise_is_refused_with_the_difference_and_the_ways_out(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with pytest.raises(RunDirError, match=r"budget\.candidates: 2 -> 3.*--update.*--fresh.*--reuse"):
        run(tmp_path, sets=["budget.candidates=3"])
    with pytest.raises(RunDirError, match="prompt prompt_writer/write was edited"):
        run(tmp_path, prompts=edited(tmp_path, "prompt_writer/write"))
    write_input(tmp_path / "other.jsonl", "cat")
    with pytest.raises(RunDirError, match=r"in\.jsonl.* -> .*other\.jsonl"):
        run(tmp_path, inputs=[tmp_path / "other.jsonl"])


def test_what_changes_only_the_speed_is_no_difference(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    sets = ["concurrency=2", "chat.timeout=5", "painter.batch=1", "scorers.unsafe.device=cpu"]
    assert run(tmp_path, sets=sets).calls.computed == 0


def test_more_of_the_same_input_is_taken_up(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat", "cow", limit=1)
    more = run(tmp_path, limit=3)
    assert [r["id"] for r in lines(tmp_path / "out" / "dialogues.jsonl")] == ["dog", "cat", "cow"]
    assert more.calls.dialogues == 1


def test_update_recomputes_only_what_depends_on_the_edit(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake")
    chat, painter = FakeChat(script), FakePainter()
    prompts = edited(tmp_path, "critic/text")
    run(tmp_path, prompts=prompts, update=True, chat=chat, painter=painter)
    assert (chat.calls, painter.calls) == (2, 0)  # two critiques; scans, prompts and images are reused
    run(tmp_path, prompts=prompts, update=True, sets=["seed=7"], painter=painter)
    assert painter.calls == 6  # new seeds, three prompts


def test_answers_and_images_of_another_run_are_taken_over(tmp_path: Path) -> None:
    first = run(tmp_path, "dog", "cake")
    again = run(tmp_path, out=tmp_path / "new", reuse=[tmp_path / "out"])
    assert (again.calls.computed, again.calls.reused) == (0, first.calls.computed + first.calls.reused)
    shutil.rmtree(tmp_path / "out")
    (dog, _) = lines(tmp_path / "new" / "dialogues.jsonl")
    assert (tmp_path / "new" / dog["utterances"][0]["images"][0]["path"]).exists()


def test_fresh_begins_anew(tmp_path: Path) -> None:
    first = run(tmp_path, "dog")
    again = run(tmp_path, fresh=True, sets=["budget.candidates=1"])
    assert again.calls.computed > 0
    assert first.calls.computed > 0


def test_what_fresh_removes_cannot_be_reused(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    for reused in (tmp_path / "out", tmp_path / "x" / ".." / "out"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="is what --fresh removes"):
            run(tmp_path, fresh=True, reuse=[reused])
    assert (tmp_path / "out" / "journal.sqlite").exists()


def test_fresh_removes_the_journal_and_no_copy_of_it(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    copy = tmp_path / "out" / "journal.sqlite.bak"
    copy.write_bytes(b"mine")
    run(tmp_path, fresh=True)
    assert copy.read_bytes() == b"mine"


def test_another_format_is_another_dataset(tmp_path: Path) -> None:
    mapping = "utterances=utterances,speaker=speaker,text=text"
    run(tmp_path, "dog", format=mapping)
    assert run(tmp_path, format=mapping).calls.computed == 0
    with pytest.raises(RunDirError, match=r"already holds a run that differs \(format"):
        run(tmp_path, format="utterances=utterances,speaker=text,text=speaker")
    run(tmp_path, "dog", out=tmp_path / "auto")
    assert run(tmp_path, out=tmp_path / "auto", format="native").calls.computed == 0


def test_an_image_that_is_gone_is_painted_again(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    dataset = (tmp_path / "out" / "dialogues.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "out" / "images")
    painter = FakePainter()
    run(tmp_path, painter=painter)
    assert painter.calls == 2
    assert (tmp_path / "out" / "dialogues.jsonl").read_bytes() == dataset


def test_a_smaller_limit_than_before_removes_nothing(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat", "nonsense")
    results = [(tmp_path / "out" / name).read_bytes() for name in ("dialogues.jsonl", "failures.jsonl")]
    outcome = run(tmp_path, limit=1)
    assert results == [
        (tmp_path / "out" / name).read_bytes() for name in ("dialogues.jsonl", "failures.jsonl")
    ]
    assert (outcome.counts.dialogues, outcome.counts.failed) == (3, 1)


@pytest.mark.usefixtures("interruptible")
def test_a_stop_is_said_in_the_manifest_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    class Stopped(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            self.calls += 1
            if self.calls == 1:
                signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
            return await super().paint(prompt, seed)

    chat = FakeChat(script)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "dog", painter=Stopped(), chat=chat)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "interrupted"
    assert not lines(tmp_path / "out" / "dialogues.jsonl")
    before = chat.calls
    run(tmp_path, chat=chat)
    assert (before, chat.calls) == (2, 3)  # scanned and written once, then the critique
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "finished"


def test_a_failed_dialogue_is_counted_and_kept_with_its_answer(tmp_path: Path) -> None:
    outcome = run(tmp_path, "dog", "nonsense")
    assert outcome.counts.failed == 1
    (failure,) = lines(tmp_path / "out" / "failures.jsonl")
    assert (failure["id"], failure["stage"], failure["raw"]) == ("nonsense", "scanner", "nonsense")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"update": True, "fresh": True}, ConfigError, "give one of them"),
        ({"reuse": [Path("nowhere")]}, RunDirError, "--reuse nowhere: holds no run"),
        ({"inputs": [Path("nowhere.jsonl")]}, FormatError, "no such file"),
        ({"sets": ["graph=rhombus"]}, ConfigError, "Unknown graph 'rhombus'. Choose from magid, no_qa"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run(tmp_path, "dog", **options)
    assert not (tmp_path / "out").exists()


def test_without_quality_assurance_what_is_painted_first_is_kept(tmp_path: Path) -> None:
    outcome = run(tmp_path, "dog", "cake", "fog", sets=["graph=no_qa"])
    assert (outcome.counts.accepted, outcome.counts.rewritten, outcome.counts.dropped) == (3, 0, 0)


def test_dialogues_are_counted_ahead_where_that_is_quick(tmp_path: Path) -> None:
    path = write_input(tmp_path / "in.jsonl", "dog", "cat")
    from magid_agents import config

    assert count(RunRequest([path], tmp_path / "out", config.load())) == 2
    assert count(RunRequest([path], tmp_path / "out", config.load(), limit=1)) == 1


def test_progress_is_told_while_no_dialogue_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PROGRESS_INTERVAL_S", 0.01)
    told: list[tuple[int, int]] = []

    def is_told() -> bool:
        return any(dialogues == 0 and computed > 0 for dialogues, computed in told)

    class Slow(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            for _ in range(500):
                if not is_told():
                    await asyncio.sleep(0.01)
            return await super().paint(prompt, seed)

    def progress(counts: Counts, calls: Calls) -> None:
        told.append((counts.dialogues, calls.computed))

    fakes_of_run = fake_run.fakes(FakeChat(fake_run.script), Slow())
    source = fake_run.write_input(tmp_path / "in.jsonl", "dog")
    request = RunRequest([source], tmp_path / "out", config.load(overrides=fake_run.SETS))
    session.run(request, progress, open_models=fakes_of_run)
    assert is_told()
    assert told[-1][0] == 1


def test_progress_counts_dialogues_as_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while the oldest, in whose wake they are written, goes on."""
    monkeypatch.setattr(runner, "PROGRESS_INTERVAL_S", 0.01)
    told: list[tuple[int, int, int]] = []

    class Slow(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            for _ in range(500):
                if prompt == "dog" and (3, 1, 1) not in told:
                    await asyncio.sleep(0.01)
            return await super().paint(prompt, seed)

    def progress(counts: Counts, _: Calls) -> None:
        told.append((counts.dialogues, counts.accepted, counts.failed))

    fakes_of_run = fake_run.fakes(FakeChat(fake_run.script), Slow())
    source = fake_run.write_input(tmp_path / "in.jsonl", "dog", "nonsense", "cat", "silence")
    request = RunRequest([source], tmp_path / "out", config.load(overrides=fake_run.SETS))
    session.run(request, progress, open_models=fakes_of_run)
    assert (3, 1, 1) in told
    assert told[-1] == (4, 2, 1)
