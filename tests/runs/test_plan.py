"""A plan: what a run would compute, without computing it or changing anything."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents import config
from magid_agents.config import ConfigError
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.prompts import Message
from magid_agents.resources import folder
from magid_agents.runs.plan import Plan, make_plan
from magid_agents.runs.session import RunRequest
from magid_agents.runs.shards import Shard
from magid_agents.store.rundir import RunDir, RunDirError
from tests.fake_run import SETS, fakes, run, script, write_input


class Refusing(FakePainter):
    async def paint(self, *_: object) -> PaintedImage:
        raise AssertionError("the painter was asked")


def refuse(*_: object) -> str:
    raise AssertionError("the chat model was asked")


def plan(tmp_path: Path, **options: Any) -> Plan:
    """Plan what fake_run.run does with the same options."""
    sets = [*SETS, "budget.attempts=2", *options.pop("sets", [])]
    given = {"inputs": [tmp_path / "in.jsonl"], "out": tmp_path / "out", **options}
    request = RunRequest(settings=config.load(overrides=sets), **given)
    return make_plan(request, fakes(FakeChat(refuse), Refusing()))


def stands(planned: Plan) -> tuple[int, int, int, int, int]:
    return planned.finished, planned.new, planned.failed, planned.decided_again, planned.unreadable


def calls(planned: Plan) -> dict[str, int]:
    return {name: agent.calls for name, agent in planned.agents.items()}


def touched(planned: Plan) -> dict[str, list[str]]:
    return {agent: found.examples for agent, found in planned.touched.items()}


def edited(tmp_path: Path, name: str) -> Path:
    """A folder with one prompt, changed."""
    mine = tmp_path / "mine" / f"{name}.md"
    mine.parent.mkdir(parents=True)
    text = (folder("prompts") / f"{name}.md").read_text()
    mine.write_text(text.replace("## user\n", "## user\nBe strict.\n", 1))
    return tmp_path / "mine"


def contents(directory: Path) -> dict[str, bytes]:
    """All files, but for the two that SQLite keeps beside a journal while anybody reads it."""
    files = [p for p in sorted(directory.rglob("*")) if p.is_file()]
    return {str(p): p.read_bytes() for p in files if not p.name.endswith(("-shm", "-wal"))}


def test_of_a_new_directory_the_scanners_calls_are_known(tmp_path: Path) -> None:
    write_input(tmp_path / "in.jsonl", "dog", "cake", "silence").open("a").write("{\n")
    planned = plan(tmp_path)
    assert stands(planned) == (0, 3, 0, 0, 1)
    assert (planned.dialogues, calls(planned), planned.changes) == (4, {"scanner": 3}, [])
    assert planned.total.unknown == 3  # nothing is known of what such calls take
    assert not (tmp_path / "out").exists()


def test_of_a_finished_run_nothing_is_to_be_done_but_what_failed(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog", "silence", "nonsense")
    planned = plan(tmp_path)
    assert stands(planned) == (4, 0, 1, 0, 0)
    assert calls(planned) == {"scanner": 1}
    assert planned.changes == []
    assert not planned.needs_update


def test_more_of_the_input_is_to_be_done(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    write_input(tmp_path / "in.jsonl", "dog", "cat", "cow", "pig")
    assert stands(plan(tmp_path)) == (2, 2, 0, 0, 0)
    assert stands(plan(tmp_path, limit=3)) == (2, 1, 0, 0, 0)
    parts = [plan(tmp_path, shard=Shard(number, 2), out=tmp_path / "new").new for number in (1, 2)]
    assert sum(parts) == 4


@pytest.mark.parametrize(
    ("name", "agent", "ids", "count"),
    [
        ("scanner/zero_shot", "scanner", ["dog", "cake", "fog", "silence"], 4),
        ("prompt_writer/write", "prompt_writer", ["dog", "cake", "fog"], 3),
        ("prompt_writer/rewrite", "prompt_writer", ["cake", "fog"], 2),
        ("critic/text", "critic", ["dog", "cake"], 2),
    ],
)
def test_an_edited_prompt_touches_the_dialogues_that_it_was_asked_for(
    tmp_path: Path, name: str, agent: str, ids: list[str], count: int
) -> None:
    run(tmp_path, "dog", "cake", "fog", "silence")
    prompts = edited(tmp_path, name)
    planned = plan(tmp_path, prompts=prompts)
    assert planned.changes == [f"prompt {name} was edited"]
    assert touched(planned) == {agent: ids}
    assert (planned.decided_again, planned.unasked.dialogues) == (4, 4 - len(ids))
    assert calls(planned) == {agent: count}
    assert planned.needs_update
    assert not plan(tmp_path, prompts=prompts, update=True).needs_update


def test_a_threshold_touches_what_is_decided_otherwise_and_the_rest_is_decided_again(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake")
    planned = plan(tmp_path, sets=["critic.threshold=0.5"])
    assert planned.changes == ["critic.threshold: 0.6 -> 0.5"]
    assert (planned.decided_again, planned.unasked.examples) == (2, ["dog", "cake"])
    assert planned.total.calls == 0
    assert calls(plan(tmp_path, sets=["budget.candidates=3"])) == {"painter": 2}


def test_the_same_call_of_several_dialogues_counts_once(tmp_path: Path) -> None:
    said = [{"speaker": "A", "text": "look at my dog"}]
    lines = [json.dumps({"id": str(i), "utterances": said}) + "\n" for i in range(3)]
    (tmp_path / "in.jsonl").write_text("".join(lines))
    assert (plan(tmp_path).new, calls(plan(tmp_path))) == (3, {"scanner": 1})


def test_every_moment_of_a_dialogue_counts(tmp_path: Path) -> None:
    def two(messages: Sequence[Message], shape: str) -> str:
        if shape == "SharingMoments":
            moments = [{"rationale": "r", "utterance": i, "description": f"a dog {i}"} for i in (0, 1)]
            return json.dumps({"moments": moments})
        return script(messages, shape)

    run(tmp_path, "dog", chat=FakeChat(two))
    assert calls(plan(tmp_path, sets=["seed=4"])) == {"painter": 4}  # two candidates for each


def test_answers_of_another_run_are_taken_over(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake")
    write_input(tmp_path / "in.jsonl", "dog", "cake", "cat")
    planned = plan(tmp_path, out=tmp_path / "new", reuse=[tmp_path / "out"])
    assert (planned.new, calls(planned)) == (3, {"scanner": 1})
    assert planned.agents["scanner"].unknown == 0  # as the other run's calls took
    assert not (tmp_path / "new").exists()


def test_afresh_everything_is_to_be_done(tmp_path: Path) -> None:
    run(tmp_path, "dog", "nonsense")
    planned = plan(tmp_path, fresh=True, sets=["seed=4"])
    assert stands(planned) == (0, 2, 0, 0, 0)
    assert (planned.changes, calls(planned)) == ([], {"scanner": 2})


def test_an_image_that_is_gone_is_to_be_painted_again(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    shutil.rmtree(tmp_path / "out" / "images")
    assert calls(plan(tmp_path)) == {"painter": 4}


def test_seconds_and_dollars_are_those_of_calls_of_the_kind(tmp_path: Path) -> None:
    class Slow(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            await asyncio.sleep(0.05)
            return await super().paint(prompt, seed)

    prices = ['prices={"painter": {"image": 0.5}}']
    run(tmp_path, "dog", "cat", sets=prices, painter=Slow())
    planned = plan(tmp_path, sets=[*prices, "seed=4"])
    painter = planned.agents["painter"]
    assert (painter.calls, painter.dollars, painter.unknown) == (4, 2.0, 0)
    assert 0.2 <= painter.seconds < 60
    assert planned.total == painter


def test_a_call_of_a_kind_that_was_never_made_is_told_as_such(tmp_path: Path) -> None:
    run(tmp_path, "dog", sets=["critic.critique=null"])
    planned = plan(tmp_path)
    assert planned.agents["critic"].calls == planned.agents["critic"].unknown == 1


def test_a_run_under_way_is_not_disturbed(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    before = contents(tmp_path / "out")
    with RunDir(tmp_path / "out").locked():
        assert plan(tmp_path, sets=["seed=4"]).decided_again == 1
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "error"),
    [({"update": True, "fresh": True}, ConfigError), ({"reuse": [Path("nowhere")]}, RunDirError)],
)
def test_what_a_run_refuses_is_refused(
    tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    write_input(tmp_path / "in.jsonl", "dog")
    with pytest.raises(error):
        plan(tmp_path, **options)


EDITS: list[list[str]] = [
    [],
    ["seed=4"],
    ["critic.threshold=1"],
    ["budget.candidates=3"],
    ["budget.attempts=3"],
    ["graph=no_qa"],
    ["critic.critique=null"],
]


@settings(deadline=None, max_examples=10)
@given(
    before=st.lists(st.sampled_from(["dog", "cake", "fog", "silence", "nonsense"]), unique=True, min_size=1),
    added=st.booleans(),
    edit=st.sampled_from(EDITS),
)
def test_a_run_makes_no_fewer_calls_than_planned(before: list[str], added: bool, edit: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made)
        run(path, *before)
        if added:
            write_input(path / "in.jsonl", *before, "cat")
        files = contents(path / "out")
        planned = plan(path, sets=edit, update=True)
        assert contents(path / "out") == files
        outcome = run(path, sets=edit, update=True)
        assert planned.dialogues == outcome.counts.dialogues
        assert planned.finished == outcome.calls.dialogues
        assert planned.total.calls <= outcome.calls.computed
        assert bool(planned.total.calls) == bool(outcome.calls.computed)


def test_progress_is_told_after_each_dialogue(tmp_path: Path) -> None:
    source, told = write_input(tmp_path / "in.jsonl", "dog", "cake", "fog"), list[tuple[int, int | None]]()
    request = RunRequest([source], tmp_path / "out", config.load(overrides=SETS), limit=2)
    make_plan(request, fakes(FakeChat(refuse), Refusing()), lambda *now: told.append(now))
    assert told == [(1, 2), (2, 2)]
