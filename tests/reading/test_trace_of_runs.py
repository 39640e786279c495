"""The trace beside what a run is: any graph, any order of calls, any text, any directory."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from magid_agents.cli.trace_print import print_traces
from magid_agents.config import Settings
from magid_agents.dialogue import Decision
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.reading import trace
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.database import open_read_only
from magid_agents.store.rundir import image_name
from tests import fake_run
from tests.fake_run import lines, run, script, write_input


def told(out: Path) -> dict[str, DialogueTrace]:
    return {one.id: one for one in trace.read(out)}


def accepted(out: Path) -> list[str]:
    """The images that the trace says were accepted, in its order."""
    return [
        image_name(attempt.candidates[attempt.verdict.best].sha256)
        for one in trace.read(out)
        for moment in one.decisions.outcomes
        for attempt in moment.attempts
        if attempt.verdict
        and attempt.verdict.decision is Decision.ACCEPT
        and attempt.verdict.best is not None
    ]


def in_dataset(out: Path) -> list[str]:
    records = lines(out / "dialogues.jsonl")
    return [image["path"] for record in records for u in record["utterances"] for image in u["images"]]


def with_policy(unsafe: str) -> Callable[[Settings], AbstractContextManager[Models]]:
    """Fake models whose policy model gives this answer to whether an image is unsafe."""

    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        policy = FakeChat(lambda *_: unsafe, vision=True)
        with fake_run.fakes(FakeChat(script), FakePainter())(settings) as models:
            yield replace(models, safety_chat=policy)

    return open_models


@pytest.mark.parametrize(("answer", "unsafe"), [("No", 0.0), ("Yes", 1.0)])
def test_a_policy_models_judgement_is_told(tmp_path: Path, answer: str, unsafe: float) -> None:
    policy = ["safety.policy.provider=openai", "safety.policy.vision=true", "safety.review_share=1"]
    run(tmp_path, "dog", sets=policy, open_models=with_policy(answer))
    (moment,) = told(tmp_path / "out")["dog"].decisions.outcomes
    assert [c.scores["unsafe"] for a in moment.attempts for c in a.candidates][:2] == [unsafe, unsafe]
    assert accepted(tmp_path / "out") == in_dataset(tmp_path / "out")


@pytest.mark.parametrize("graph", ["magid", "no_qa", "retrieval"])
def test_what_a_graph_kept_is_told_as_accepted(tmp_path: Path, graph: str) -> None:
    run(tmp_path, "dog", "cake", "fog", sets=[f"graph={graph}"])
    assert accepted(tmp_path / "out") == in_dataset(tmp_path / "out") != []
    for one in trace.read(tmp_path / "out"):
        (moment,) = one.decisions.outcomes
        assert all(attempt.verdict for attempt in moment.attempts)
        if moment.dropped is not None:
            assert [a.verdict.reason for a in moment.attempts if a.verdict][-1:] == [moment.dropped.reason]


def test_a_dropped_moment_is_told_with_its_reason(tmp_path: Path) -> None:
    run(tmp_path, "fog")
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    (moment,) = told(tmp_path / "out")["fog"].decisions.outcomes
    assert moment.dropped is not None
    assert moment.dropped.reason == record["dropped"][0]["reason"]
    assert [a.verdict.decision for a in moment.attempts if a.verdict] == [Decision.REWRITE, Decision.GIVE_UP]


class FirstIsLast(FakePainter):
    """Gives the first image it is asked for last."""

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        first = self.calls == 0
        image = await super().paint(prompt, seed)
        await asyncio.sleep(0.2 if first else 0)
        return image


def test_candidates_are_told_in_their_order_whenever_they_were_painted(tmp_path: Path) -> None:
    run(tmp_path, "dog", painter=FirstIsLast(), sets=["budget.candidates=3"])
    (moment,) = told(tmp_path / "out")["dog"].decisions.outcomes
    (attempt,) = moment.attempts
    assert attempt.verdict is not None
    assert attempt.verdict.best == 0  # of equals, the first
    assert len({c.seed for c in attempt.candidates}) == 3


def test_the_dialogues_of_the_last_run_are_told_in_input_order(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat", "nonsense", "ant")
    assert list(told(tmp_path / "out")) == ["dog", "cat", "ant", "nonsense"]
    fewer = write_input(tmp_path / "fewer.jsonl", "cat")
    run(tmp_path, inputs=[fewer], update=True)
    assert list(told(tmp_path / "out")) == ["cat"]


def test_a_dialogue_costs_what_was_computed_for_it(tmp_path: Path) -> None:
    lines_of = [{"id": str(i), "utterances": [{"speaker": "A", "text": "look at my dog"}]} for i in range(5)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines_of))
    prices = ['prices={"qwen2.5-coder-1.5b": {"input": 1, "output": 2}, "painter": {"image": 0.5}}']
    outcome = run(tmp_path, sets=prices)
    spent = [one.spent for one in trace.read(tmp_path / "out")]
    assert sum(s.computed.cost for s in spent) == pytest.approx(outcome.cost)
    assert sum(s.computed.calls for s in spent) == outcome.calls.computed
    assert sum(s.reused.calls for s in spent) == outcome.calls.reused > 0
    assert max(s.computed.tokens for s in spent) > min(s.computed.tokens for s in spent)


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "ä b"])
def test_a_directory_of_any_name_is_read_and_nothing_is_written_beside_it(tmp_path: Path, name: str) -> None:
    run(tmp_path, "dog", out=tmp_path / name)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert list(told(tmp_path / name)) == ["dog"]
    assert sorted(p.name for p in tmp_path.iterdir()) == before


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e[bold]"


@pytest.mark.parametrize("as_json", [False, True])
def test_no_text_of_a_dialogue_or_a_model_moves_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    def hostile(_: object, shape: str) -> str:
        said = {
            "SharingMoments": {"moments": [{"rationale": HOSTILE, "utterance": 0, "description": HOSTILE}]},
            "GenerationPrompt": {"prompt": HOSTILE},
        }
        verdict = {"questions": [{"question": HOSTILE, "answer": True}], "comment": HOSTILE}
        return json.dumps(said.get(shape, verdict))

    write_input(tmp_path / "in.jsonl", "dog")
    text = (tmp_path / "in.jsonl").read_text().replace('"id": "dog"', f'"id": {json.dumps(HOSTILE)}')
    (tmp_path / "in.jsonl").write_text(text)
    run(tmp_path, chat=FakeChat(hostile))
    print_traces(tmp_path / "out", None, as_json=as_json)
    printed = capsys.readouterr().out
    assert printed.count("owned") >= 5
    assert all(line.isprintable() for line in printed.split("\n"))


@pytest.mark.parametrize("name", ["ä b", 'the "1"', "back\\slash", "line\nbreak", "\u2028", "dog"])
def test_a_dialogue_is_found_whatever_its_id(tmp_path: Path, name: str) -> None:
    given = [{"id": i, "utterances": [{"speaker": name, "text": f"look at my {i}"}]} for i in (name, "x")]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
    run(tmp_path)
    (found,) = trace.read(tmp_path / "out", name)
    assert found == next(one for one in trace.read(tmp_path / "out") if one.id == name)
    assert found.calls


def test_a_dialogue_under_way_is_found_by_its_id(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    out = tmp_path / "out"
    (out / "dialogues.jsonl").write_text("")
    manifest = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(manifest | {"status": "running"}))
    assert [one.id for one in trace.read(out, "cat")] == ["cat"]


def test_a_dialogue_of_many_is_read_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every statement goes by an index, and no other dialogue's line is parsed."""
    run(tmp_path, "dog", "cat", "cow", "pig")
    asked: list[str] = []

    def tracing(path: Path) -> sqlite3.Connection:
        db = open_read_only(path)
        db.set_trace_callback(asked.append)
        return db

    dataset = tmp_path / "out" / "dialogues.jsonl"
    dataset.write_text(dataset.read_text().replace('{"id": "cat"', '{"id": "cat'))  # not to be parsed
    monkeypatch.setattr(trace, "open_read_only", tracing)
    assert [one.id for one in trace.read(tmp_path / "out", "cow")] == ["cow"]
    with closing(open_read_only(tmp_path / "out" / "journal.sqlite")) as db:
        selects = [statement for statement in asked if statement.startswith("SELECT")]
        plans = [row[3] for one in selects for row in db.execute(f"EXPLAIN QUERY PLAN {one}")]
    assert len(selects) >= 2
    assert not [plan for plan in plans if plan.startswith("SCAN")]
