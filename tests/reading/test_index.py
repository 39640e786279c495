"""The index agrees with the run, follows it, and is thrown away without loss."""

import json
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.agents.state import agent_of
from magid_agents.errors import StopRun
from magid_agents.models.fakes import FakePainter
from magid_agents.reading import index, trace
from magid_agents.reading.index import Index
from magid_agents.reading.index_rows import Rows, rows
from magid_agents.reading.query import Filter
from magid_agents.store.rundir import RunDir, RunDirError
from tests.fake_run import lines, run, write_input

THINGS = ("dog", "cake", "fog", "silence", "nonsense")


def listed(out: Path, wanted: Filter | None = None, **options: Any) -> list[str]:
    with Index.open(RunDir(out)) as opened:
        return [row.id for row in opened.dialogues(wanted or Filter(), **options)]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexed")
    prices = 'prices={"qwen2.5-coder-1.5b": {"input": 1, "output": 2}, "painter": {"image": 0.5}}'
    run(folder, *THINGS, sets=[prices])
    return folder / "out"


def test_sums_agree_with_the_results_and_the_trace(out: Path) -> None:
    with Index.open(RunDir(out)) as opened:
        summary = opened.summary()
        rows = opened.dialogues(Filter())
    assert (summary.dialogues, summary.finished, summary.failed, summary.under_way) == (5, 4, 1, 0)
    assert (summary.accepted, summary.rewritten, summary.dropped, summary.without_image) == (2, 1, 1, 2)
    assert summary.attempts == {1: 1, 2: 2}
    assert [stage for stage, _ in summary.causes] == ["scanner"]
    traces = {one.id: one for one in trace.read(out)}
    assert [row.id for row in rows] == list(traces)
    for row in rows:
        spent = traces[row.id].spent
        assert (row.calls, row.computed) == (spent.computed.calls + spent.reused.calls, spent.computed.calls)
        assert row.tokens == spent.computed.tokens
        assert row.cost == pytest.approx(spent.computed.cost)
    assert sum(agent.calls for agent in summary.agents) == sum(row.calls for row in rows)
    assert {agent.agent for agent in summary.agents} == {"scanner", "prompt_writer", "painter", "critic"}


def test_images_and_prompts_are_those_of_the_dataset(out: Path) -> None:
    kept = [
        (r["id"], image["sha256"], image["prompt"])
        for r in lines(out / "dialogues.jsonl")
        for u in r["utterances"]
        for image in u["images"]
    ]
    with Index.open(RunDir(out)) as opened:
        rows = opened.moments(Filter(outcome="accepted"))
        assert [(row.dialogue, row.sha256, row.prompt) for row in rows] == kept
        assert [row.images for row in opened.dialogues(Filter())][:2] == [(kept[0][1],), (kept[1][1],)]
        (dropped,) = opened.moments(Filter(outcome="dropped"))
    assert (dropped.dialogue, dropped.attempts, dropped.scores["image_text_match"]) == ("fog", 2, 0.2)
    assert dropped.reason == "image_text_match 0.200 against 0.500"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(outcome="rewritten"), ["cake"]),
        (Filter(outcome="dropped"), ["fog"]),
        (Filter(status="failed"), ["nonsense"]),
        (Filter(check="image_text_match"), ["cake", "fog"]),
        (Filter(check="unsafe"), []),
        (Filter(min_attempts=2), ["cake", "fog"]),
        (Filter(min_attempts=2, outcome="accepted"), ["cake"]),
        (Filter(score=("image_text_match", 0.0, 0.5)), ["cake", "fog"]),
        (Filter(score=("image_text_match", 0.2, 0.2)), []),
        (Filter(min_cost=1.5), ["cake", "fog"]),
        (Filter(text="cake"), ["cake"]),
        (Filter(text="CA look"), ["cake"]),
        (Filter(text="better"), ["cake", "fog"]),  # of a prompt
        (Filter(text="there"), ["dog", "cake"]),  # of a question
        (Filter(text="0.500"), ["fog"]),  # of a reason
        (Filter(text='dog" OR "cake'), []),
    ],
)
def test_filters(out: Path, wanted: Filter, expected: list[str]) -> None:
    assert listed(out, wanted) == expected
    with Index.open(RunDir(out)) as opened:
        assert opened.count(wanted) == len(expected)
        assert opened.summary(wanted).dialogues == len(expected)


def test_a_failure_is_found_by_its_cause(out: Path) -> None:
    with Index.open(RunDir(out)) as opened:
        ((_, cause),) = opened.summary().causes
    assert listed(out, Filter(cause=cause)) == ["nonsense"]


def test_failures_of_an_early_version_count_as_one_cause(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    early = [{"id": name, "stage": "scanner", "error": f"no answer to {name}"} for name in ("a", "b")]
    path = tmp_path / "out" / "failures.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in early))
    with Index.open(RunDir(tmp_path / "out")) as opened:
        assert opened.causes() == {("scanner", "cause not recorded"): 2}


def test_orders_pages_and_neighbours(out: Path) -> None:
    assert listed(out, order="attempts", limit=2) == ["cake", "fog"]
    assert listed(out, order="nearest", limit=3) == ["fog", "dog", "cake"]
    assert listed(out, limit=2, offset=1) == ["cake", "fog"]
    with Index.open(RunDir(out)) as opened:
        assert opened.neighbours("cake", Filter()) == ("dog", "fog")
        assert opened.neighbours("dog", Filter(text="look", min_attempts=1), "nearest") == ("fog", "cake")
        assert opened.neighbours("dog", Filter(outcome="dropped")) == (None, None)


def test_histograms_count_what_attempts_were_judged_by(out: Path) -> None:
    with Index.open(RunDir(out)) as opened:
        assert opened.checks()[:2] == ["image_text_match", "unsafe"]
        scores = opened.histogram("image_text_match", bins=7)
        assert (scores.low, scores.high, scores.threshold) == (0.2, 0.9, 0.5)
        assert (scores.counts[0], scores.counts[-1], sum(scores.counts)) == (3, 2, 5)
        assert scores.failed == [3, 0, 0, 0, 0, 0, 0]
        assert sum(opened.histogram("image_text_match", Filter(text="dog")).counts) == 1
        assert opened.histogram("unsafe").lower_is_better
        assert sum(opened.histogram("no such check").counts) == 0


def test_it_follows_the_run(tmp_path: Path) -> None:
    run(tmp_path, "dog", "nonsense", "cake", limit=2)
    assert listed(tmp_path / "out") == ["dog", "nonsense"]
    run(tmp_path, "dog", "nonsense", "cake", "fog")
    assert listed(tmp_path / "out") == ["dog", "cake", "fog", "nonsense"]
    assert listed(tmp_path / "out", Filter(text="fog")) == ["fog"]
    run(tmp_path, sets=["critic.threshold=1", "budget.attempts=1"], update=True)
    assert listed(tmp_path / "out", Filter(min_attempts=2)) == []
    assert listed(tmp_path / "out", Filter(outcome="dropped")) == ["cake", "fog"]
    run(tmp_path, inputs=[write_input(tmp_path / "other.jsonl", "cat")], update=True)
    assert listed(tmp_path / "out") == ["cat"]
    assert listed(tmp_path / "out", Filter(text="fog")) == []


def test_what_is_under_way_is_listed_last(tmp_path: Path) -> None:
    class Broken(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            if prompt == "cat":
                raise StopRun("the disk is full")
            return await super().paint(prompt, seed)

    with pytest.raises(StopRun):
        run(tmp_path, "dog", "cat", painter=Broken(), sets=["concurrency=1"])
    assert listed(tmp_path / "out") == ["dog", "cat"]
    assert listed(tmp_path / "out", Filter(status="under_way")) == ["cat"]
    run(tmp_path)
    assert listed(tmp_path / "out", Filter(status="finished")) == ["dog", "cat"]


def test_only_what_was_added_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "dog", "cake", limit=1)
    listed(tmp_path / "out")
    read = []

    def watched(record: Mapping[str, Any], *rest: Any) -> Rows:
        read.append(record["id"])
        return rows(record, *rest)

    monkeypatch.setattr(index, "rows", watched)
    run(tmp_path)
    assert listed(tmp_path / "out") == ["dog", "cake"]
    assert read == ["cake"]
    assert listed(tmp_path / "out") == ["dog", "cake"]
    assert read == ["cake"]


def test_it_is_made_anew_if_it_is_spoilt_or_of_another_version(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    path = RunDir(tmp_path / "out").index
    for spoil in (b"no database", b""):
        path.write_bytes(spoil)
        assert listed(tmp_path / "out") == ["dog"]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    assert listed(tmp_path / "out") == ["dog"]


def test_a_directory_that_cannot_be_written_is_indexed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "dog")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert listed(tmp_path / "out") == ["dog"]
    assert not RunDir(tmp_path / "out").index.exists()


def test_a_directory_without_a_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no run"):
        Index.open(RunDir(tmp_path))


@given(st.text())
def test_any_words_may_be_searched_for(out: Path, text: str) -> None:
    assert set(listed(out, Filter(text=text.encode(errors="ignore").decode()))) <= set(THINGS)


@pytest.mark.parametrize(
    ("step", "agent"),
    [
        ("scan", "scanner"),
        ("scan/odds/0003", "scanner"),
        ("0001/2/write/again", "prompt_writer"),
        ("0001/1/check", "painter"),
        ("0001/1/score/00/unsafe", "critic"),
        ("0001/1/style", "style"),
        ("mine", "mine"),
    ],
)
def test_a_step_belongs_to_an_agent(step: str, agent: str) -> None:
    assert agent_of(step) == agent


def test_half_a_character_in_an_input_is_listed(tmp_path: Path) -> None:
    broken = '{"id": "half \\ud83d", "utterances": [{"speaker": "A", "text": "look at my \\ud83d dog"}]}\n'
    (tmp_path / "in.jsonl").write_text(broken)
    assert run(tmp_path).counts.dialogues == 1
    assert len(listed(tmp_path / "out")) == 1
