"""A dialogue as a journaled call: one look-up when it is met again, and every decision in its answer."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.reading import trace
from magid_agents.runs import graph_loader
from magid_agents.runs.graph_loader import Topology
from magid_agents.store.rundir import KEPT, REJECTED
from magid_agents.thresholds import Threshold
from tests.fake_run import lines, match, run, script

STYLED = """
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from magid_agents.agents.critic import critic
from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import prompt_writer
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentOutput, MomentState, step_ref
from magid_agents.dialogue import Decision
from magid_agents.schemas import GenerationPrompt


async def stylist(state: MomentState, runtime: Runtime[Services]) -> dict[str, Any]:
    values = {"utterances": state["dialogue"].utterances, "moment": state["moment"], "style": "oil",
              "token_limit": None}
    step = step_ref(state, "style")
    said = await runtime.context.ask(step, "prompt_writer/write", values, GenerationPrompt)
    return {"draft": state["draft"].model_copy(update={"prompt": f"{said.prompt} in oil"})}


async def idle(state: MomentState) -> dict[str, Any]:
    return {"draft": state["draft"]}


async def again_or_end(state: MomentState) -> str:
    verdict = state["attempts"][-1].verdict
    return "prompt_writer" if verdict and verdict.decision is Decision.REWRITE else END


builder = StateGraph(MomentState, context_schema=Services, output_schema=MomentOutput)
names = ["prompt_writer", "stylist", "one", "two", "three", "four", "painter", "critic"]
for name, node in zip(names, [prompt_writer, stylist, idle, idle, idle, idle, painter, critic]):
    builder.add_node(name, node)
builder.add_edge(START, names[0])
for before, after in zip(names, names[1:]):
    builder.add_edge(before, after)
builder.add_conditional_edges("critic", again_or_end, ["prompt_writer", END])
graph = build_dialogue_graph(builder.compile(), "mine")
"""
NO_RECORD = """
from langgraph.graph import START, StateGraph
from magid_agents.agents.state import DialogueState


async def nothing(state: DialogueState):
    return {"moments": []}


graph = StateGraph(DialogueState).add_node(nothing).add_edge(START, "nothing").compile()
"""


def with_unsafe_threshold(value: float, painter: FakePainter) -> Any:
    """Fake models whose images are 0.3 unsafe."""

    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        scorers = {
            "image_text_match": FakeScorer(match),
            "unsafe": FakeScorer(lambda *_: 0.3, identity="fake-unsafe"),
        }
        unsafe = Threshold("unsafe", value, lower_is_better=True, blocking=True)
        thresholds = (Threshold("image_text_match", 0.5), unsafe)
        yield Models(FakeChat(script), painter, scorers, thresholds, tagger=None)

    def opened(settings: Settings) -> AbstractContextManager[Models]:
        return open_models(settings)

    return opened


def test_a_finished_dialogue_does_not_go_through_the_graph_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "dog", "cake", "fog", "nonsense")
    before = (tmp_path / "out" / "dialogues.jsonl").read_bytes()
    shipped = graph_loader.load("magid")
    entered = []

    class Watched:
        async def ainvoke(self, state: Any, **options: Any) -> Any:
            entered.append(state["dialogue"].id)
            return await shipped.graph.ainvoke(state, **options)

    monkeypatch.setattr(graph_loader, "load", lambda _: Topology(Watched(), shipped.identity))
    again = run(tmp_path)
    assert entered == ["nonsense"]
    assert (again.calls.dialogues, again.counts.dialogues, again.counts.failed) == (3, 4, 1)
    assert (tmp_path / "out" / "dialogues.jsonl").read_bytes() == before


def test_a_dialogue_whose_image_is_gone_is_done_again(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    image = tmp_path / "out" / record["utterances"][0]["images"][0]["path"]
    image.unlink()
    assert run(tmp_path).calls.computed == 1
    assert image.exists()


def test_an_earlier_answer_is_not_taken_once_another_came_after_it(tmp_path: Path) -> None:
    """Where images lie, and which calls the trace lists, is as the latest answer left it."""
    painter, out = FakePainter(), tmp_path / "out"

    def images(folder: str) -> int:
        return len(list(out.glob(f"{folder}/??/*.png")))

    run(tmp_path, "dog", open_models=with_unsafe_threshold(0.5, painter))
    assert (images(KEPT), images(REJECTED)) == (2, 0)
    run(tmp_path, open_models=with_unsafe_threshold(0.2, painter), update=True)
    assert images(KEPT) == 0
    made = painter.calls
    back = run(tmp_path, open_models=with_unsafe_threshold(0.5, painter), update=True)
    assert (back.counts.accepted, back.calls.dialogues, painter.calls) == (1, 0, made)
    (told,) = trace.read(out)
    used = {call.answer for call in told.calls if call.kind == "paint"}
    assert used == {c.sha256 for o in told.decisions.outcomes for a in o.attempts for c in a.candidates}
    (record,) = lines(out / "dialogues.jsonl")
    assert (out / record["utterances"][0]["images"][0]["path"]).exists()


def test_another_directory_takes_over_every_answer_and_its_decisions(tmp_path: Path) -> None:
    run(tmp_path, "cake", "fog")
    taken = run(tmp_path, out=tmp_path / "other", reuse=[tmp_path / "out"])
    assert taken.calls.computed == 0
    first, second = ([t.decisions for t in trace.read(tmp_path / name)] for name in ("out", "other"))
    assert first == second


def test_a_graph_of_ones_own_is_traced_like_ours_however_many_nodes_it_has(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(STYLED)
    run(tmp_path, "dog", "fog", sets=[f"graph={path}:graph"])
    dog, fog = trace.read(tmp_path / "out")
    (attempt,) = dog.decisions.outcomes[0].attempts
    assert attempt.prompt == "dog in oil"
    assert "0000/1/style" in [call.step for call in dog.calls]
    assert [len(o.attempts) for o in fog.decisions.outcomes] == [2]
    assert dog.spent_on(0, 1).computed.calls == len(dog.calls) - 1  # all but the scanner's


def test_a_graph_that_gives_no_record_fails_its_dialogues_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(NO_RECORD)
    assert run(tmp_path, "dog", sets=[f"graph={path}:graph"]).counts.failed == 1
    (failure,) = lines(tmp_path / "out" / "failures.jsonl")
    assert "its last node must return" in failure["error"]
    assert failure["cause"] == "no record"


def test_calls_of_a_dialogue_that_failed_are_listed_in_their_order(tmp_path: Path) -> None:
    run(tmp_path, "nonsense")
    (told,) = trace.read(tmp_path / "out")
    assert [(call.step, call.answer) for call in told.calls] == [
        ("scan", "nonsense"),
        ("scan/again", "nonsense"),
    ]
    assert all(call.rejected for call in told.calls)
    assert json.dumps(told.calls[0].request)
