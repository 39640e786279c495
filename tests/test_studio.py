"""The graphs as LangGraph's server runs them: plain values in and out, and no call that blocks."""

import asyncio
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from magid_agents import studio
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.runs import graph_loader
from magid_agents.runs.shared_services import SharedServices
from magid_agents.store.rundir import RunDir
from magid_agents.studio import RunFailed
from tests import fake_run, studio_graphs
from tests.fake_run import SETS, lines

ROOT = Path(__file__).parents[1]
SERVED = json.loads((ROOT / "langgraph.json").read_text())["graphs"]
OWN_GRAPH = """
from langgraph.types import interrupt

from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.state import MomentOutput, MomentState, dropped


async def ask(state: MomentState) -> MomentOutput:
    return {"outcomes": [dropped(state, interrupt(state["moment"].description))]}


graph = build_dialogue_graph(ask, "own")
"""
GRAPH_WITHOUT_RECORD = """
from langgraph.graph import START, StateGraph

from magid_agents.agents.state import DialogueState

graph = StateGraph(DialogueState).add_node("idle", lambda state: {}).add_edge(START, "idle").compile()
"""


def dialogue(thing: str) -> dict[str, Any]:
    said = [{"speaker": "A", "text": f"look at my {thing}"}, {"speaker": "B", "text": "oh"}]
    return {"id": thing, "utterances": said}


def context(folder: Path, *sets: str) -> dict[str, Any]:
    return {"out": str(folder), "sets": [*SETS, "budget.attempts=2", *sets]}


def run(value: Any, given: dict[str, Any], graph: Any = studio_graphs.magid) -> dict[str, Any]:
    result: dict[str, Any] = asyncio.run(graph.ainvoke({"dialogue": value}, context=given))
    return result


def test_every_graph_that_ships_is_served_from_a_module() -> None:
    assert sorted(SERVED) == graph_loader.names()
    for name, place in SERVED.items():
        module, attribute = place.split(":")  # a file would be executed a second time, with models of its own
        assert getattr(importlib.import_module(module), attribute).name == name


@pytest.mark.parametrize("name", SERVED)
def test_schemas_are_of_plain_values(name: str) -> None:
    graph = getattr(studio, name)
    assert graph.get_input_jsonschema()["$defs"]["Dialogue"]["required"] == ["id", "utterances"]
    assert graph.get_output_jsonschema()["required"] == ["record", "out"]
    form = graph.get_context_jsonschema()
    assert "required" not in form
    assert form["properties"].keys() == {"out", "profile", "preset", "sets", "prompts", "reuse"}
    assert form["properties"]["preset"]["enum"] == ["default", "paper"]


@pytest.mark.parametrize("name", SERVED)
def test_the_nodes_within_can_be_seen(name: str) -> None:
    inner = graph_loader.load(name).graph.get_graph(xray=True).nodes
    seen = getattr(studio, name).get_graph(xray=True).nodes
    assert {f"{name}:{node}" for node in inner if not node.startswith("__")} <= seen.keys()


def test_the_record_is_that_of_the_command_and_its_images_are_in_the_run_directory(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "cake")
    result = run(dialogue("cake") | {"source": "in.jsonl"}, context(tmp_path / "studio"))
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    assert json.loads(json.dumps(result["record"])) == record | {"source": "in.jsonl"}
    (image,) = record["utterances"][0]["images"]
    assert (Path(result["out"]) / image["path"]).is_file()
    assert result["out"] == str(tmp_path / "studio")


def test_a_run_of_the_command_takes_over_what_was_done(tmp_path: Path) -> None:
    run(dialogue("cake"), context(tmp_path / "out"))
    assert fake_run.run(tmp_path, "cake").calls.computed == 0


def test_answers_of_another_run_are_taken_over(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "glacier")
    given = context(tmp_path / "studio") | {"reuse": [str(tmp_path / "out")]}
    assert run(dialogue("glacier"), given)["record"]["utterances"][0]["images"]


def test_dialogues_run_at_the_same_time(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        runs = [
            graph.ainvoke({"dialogue": dialogue(thing)}, context=context(tmp_path, *sets))
            for thing, graph, sets in (
                ("dog", studio_graphs.magid, ()),
                ("cake", studio_graphs.magid, ()),
                ("cake", studio_graphs.magid, ("budget.attempts=1",)),
                ("fog", studio_graphs.no_qa, ()),
            )
        ]
        return await asyncio.gather(*runs)

    results = asyncio.run(main())
    assert [len(result["record"]["utterances"][0]["images"]) for result in results] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "it must be an object"),
        ([dialogue("dog")], "it must be an object"),
        ({"id": "1"}, "utterances is missing"),
        (dialogue("dog") | {"title": "x"}, "unknown keys: title"),
        ({"id": "1", "utterances": [{"speaker": "A", "text": 3}]}, "utterances.0.text must be a string"),
        (dialogue("nonsense"), "answer: Invalid JSON"),
    ],
)
def test_a_dialogue_that_cannot_be_run_is_an_error_in_one_line(tmp_path: Path, value: Any, says: str) -> None:
    with pytest.raises(RunFailed, match=says) as error:
        run(value, context(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sets": "seed=1"}, "'sets' cannot be used: Input should be a valid list"),
        ({"profil": "local"}, "Unknown context value 'profil'. Did you mean 'profile'"),
        ({"profile": "embeded"}, "Unknown profile 'embeded'. Did you mean 'embedded'"),
        ({"sets": ["scaner.max_images=1"]}, "Unknown setting 'scaner'"),
    ],
)
def test_a_context_that_cannot_be_used_is_an_error_in_one_line(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunFailed, match=says) as error:
        run(dialogue("dog"), {"out": str(tmp_path / "out"), **given})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_graph_is_the_entrys_whatever_the_context_says(tmp_path: Path) -> None:
    given = context(tmp_path, "graph=no_qa")
    assert run(dialogue("fog"), given)["record"]["dropped"]


def test_a_directory_that_holds_a_run_is_left_alone(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "dog")
    with pytest.raises(RunFailed, match=r"holds a run.*reuse"):
        run(dialogue("dog"), context(tmp_path / "out"))


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Any call from this package that may block the event loop is an error."""
    blockbuster = BlockBuster("magid_agents")
    for name in list(blockbuster.functions):
        # To look whether a file is there takes microseconds, a thread many of them.
        if name == "os.stat" or name.startswith("os.path."):
            del blockbuster.functions[name]
    for function in blockbuster.functions.values():
        function.can_block_in("magid_agents/models/fakes.py", {"score", "tag_image"})
    blockbuster.activate()
    yield
    blockbuster.deactivate()


@contextmanager
def looking_models(_: Settings) -> Iterator[Models]:
    """A critic that looks at images, and a scorer to whom weapons are unsafe."""
    scorers = {
        "image_text_match": FakeScorer(fake_run.match),
        "unsafe": FakeScorer(lambda prompt, _: float("weapon" in prompt), identity="fake-unsafe"),
    }
    chat, critic = FakeChat(fake_run.script), FakeChat(fake_run.script, vision=True)
    yield Models(chat, FakePainter(), scorers, fake_run.THRESHOLDS, None, vision_chat=critic)


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize(("thing", "kept"), [("cake", True), ("weapon", False)])
def test_nothing_blocks_the_event_loop(tmp_path: Path, thing: str, kept: bool) -> None:
    graph = studio.serve("magid", SharedServices(looking_models))
    result = run(dialogue(thing), context(tmp_path), graph)
    assert bool(result["record"]["utterances"][0]["images"]) is kept
    assert any((tmp_path / "rejected").glob("*/*.png")) is not kept


def test_a_graph_without_a_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(GRAPH_WITHOUT_RECORD)
    graph = studio.serve(f"{tmp_path}/own.py:graph", studio_graphs.services)
    with pytest.raises(RunFailed, match=r"own\.py:graph: ends without a finished record"):
        run(dialogue("dog"), context(tmp_path / "out"), graph)


def test_a_node_may_ask_a_person_where_there_is_a_checkpointer(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_GRAPH)
    graph = studio.serve(f"{tmp_path}/own.py:graph", studio_graphs.services)
    graph.checkpointer = InMemorySaver()
    thread = {"configurable": {"thread_id": "1"}}

    async def main() -> Any:
        # A graph of one's own may use a prompt in its own way.
        given = context(tmp_path / "out", "writer.write=scanner/zero_shot")
        asked = await graph.ainvoke({"dialogue": dialogue("dog")}, thread, context=given)
        (question,) = asked["__interrupt__"]
        assert question.value == "a dog"
        with RunDir(tmp_path / "out").locked():  # nobody holds the directory meanwhile
            pass
        return await graph.ainvoke(Command(resume="not now"), thread, context=given)

    (dropped,) = asyncio.run(main())["record"]["dropped"]
    assert dropped["reason"] == "not now"
