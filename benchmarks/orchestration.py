"""What the loop costs beside its models: CPU a dialogue, with fakes that answer at once.

`python -m benchmarks.orchestration [--dialogues N]` runs the same shape three ways in one go: a bare
LangGraph whose nodes only route, the same with LangGraph's own AsyncSqliteSaver, and this project's loop with
its durable journal, images and result files. Every dialogue has two sharing moments of two attempts each.
Rows are ratios to the bare one; seconds are CPU seconds of the process, all threads.
"""

import argparse
import asyncio
import json
import operator
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from rich.console import Console
from rich.table import Table

from magid_agents import config, session
from magid_agents.config import Settings
from magid_agents.models.fakes import FakeChat, FakeObserver, FakePainter, FakeScorer
from magid_agents.models.found import Models
from magid_agents.prompts import Message
from magid_agents.session import Request
from magid_agents.thresholds import Threshold

MOMENTS, ATTEMPTS, IN_FLIGHT = 2, 2, 64
TEXT = "We took the boat out to the island and this is what we saw there in the morning"


class Bare(TypedDict, total=False):
    dialogue: dict[str, Any]
    moment: int
    attempts: int
    outcomes: Annotated[list[int], operator.add]


class Result(TypedDict):
    outcomes: Annotated[list[int], operator.add]


async def scan(_: Bare) -> Bare:
    return {}


async def write(_: Bare) -> Bare:
    return {}


async def paint(_: Bare) -> Bare:
    return {}


async def judge(state: Bare) -> Bare:
    attempts = state.get("attempts", 0) + 1
    done: Bare = {"attempts": attempts}
    if attempts == ATTEMPTS:
        done["outcomes"] = [state["moment"]]
    return done


async def assemble(_: Bare) -> Bare:
    return {}


def bare() -> StateGraph[Any, Any, Any, Any]:
    """The loop's shape with nodes that do nothing but route."""
    moment = (
        StateGraph(Bare, output_schema=Result)
        .add_node(write)
        .add_node(paint)
        .add_node(judge)
        .add_edge(START, "write")
        .add_edge("write", "paint")
        .add_edge("paint", "judge")
        .add_conditional_edges("judge", lambda s: END if s.get("outcomes") else "write", ["write", END])
        .compile()
    )
    return (
        StateGraph(Bare)
        .add_node(scan)
        .add_node("illustrate", moment)
        .add_node(assemble)
        .add_edge(START, "scan")
        .add_conditional_edges(
            "scan",
            lambda s: [Send("illustrate", {"dialogue": s["dialogue"], "moment": m}) for m in range(MOMENTS)],
            ["illustrate"],
        )
        .add_edge("illustrate", "assemble")
        .add_edge("assemble", END)
    )


async def through(graph: Any, dialogues: Sequence[dict[str, Any]]) -> None:
    """All dialogues through a graph, as many in flight as a run has."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(dialogue: dict[str, Any]) -> None:
        async with slots:
            await graph.ainvoke({"dialogue": dialogue}, {"configurable": {"thread_id": dialogue["id"]}})

    await asyncio.gather(*map(one, dialogues))


async def saved(folder: Path, dialogues: Sequence[dict[str, Any]]) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "saver.sqlite")) as saver:
        await through(bare().compile(checkpointer=saver), dialogues)


def script(messages: Sequence[Message], shape: str) -> str:
    """Two moments a dialogue, and prompts that differ by attempt."""
    if shape == "SharingMoments":
        found = [{"rationale": "r", "utterance": i, "description": f"a boat, {i}"} for i in range(MOMENTS)]
        return json.dumps({"moments": found})
    if shape == "GenerationPrompt":
        return json.dumps({"prompt": f"boat {'again' if 'tried' in messages[-1].text else 'first'}"})
    return '{"questions": [{"question": "is it there?", "answer": true}], "comment": "good"}'


def match(prompt: str, _: str) -> float:
    return 0.9 if "again" in prompt else 0.2


@contextmanager
def fakes(_: Settings) -> Iterator[Models]:
    thresholds = (Threshold("image_text_match", 0.5), Threshold("unsafe", 0.5, at_most=True, vital=True))
    scorers = {"image_text_match": FakeScorer(match), "unsafe": FakeScorer(lambda *_: 0.0)}
    yield Models(FakeChat(script), FakePainter(), scorers, thresholds, FakeObserver())


def ours(folder: Path, dialogues: Sequence[dict[str, Any]]) -> None:
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(d) + "\n" for d in dialogues))
    sets = [
        "scanner.prompt=scanner/zero_shot",
        "writer.write=prompt_writer/write",
        f"concurrency={IN_FLIGHT}",
    ]
    sets += ["writer.rewrite=prompt_writer/rewrite", f"budget.attempts={ATTEMPTS}", "budget.candidates=1"]
    request = Request(inputs=[source], out=folder / "out", settings=config.load(sets=sets))
    counts = session.run(request, find=fakes).counts
    assert counts.rewritten == MOMENTS * len(dialogues), counts


def cpu(work: Any) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, default=2000)
    args = parser.parse_args()
    dialogues = [
        {"id": f"d{i}", "utterances": [{"speaker": s, "text": f"{TEXT}, {i}"} for s in "ABAB"]}
        for i in range(args.dialogues)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            "bare LangGraph": cpu(lambda: asyncio.run(through(bare().compile(), dialogues))),
            "with AsyncSqliteSaver": cpu(lambda: asyncio.run(saved(folder, dialogues))),
            "magid with its journal": cpu(lambda: ours(folder, dialogues)),
        }
    table = Table("", "CPU ms a dialogue", "ratio", title=f"{args.dialogues} dialogues, 2 images, 2 attempts")
    first = next(iter(rows.values()))
    for row, seconds in rows.items():
        table.add_row(row, f"{1000 * seconds / args.dialogues:.2f}", f"{seconds / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
