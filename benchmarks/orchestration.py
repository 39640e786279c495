"""What the loop costs beside its models: CPU a dialogue, with fakes that answer at once.

`python -m benchmarks.orchestration [--dialogues N]` runs the same shape three ways in one go: a bare
LangGraph whose nodes only route, the same with LangGraph's own AsyncSqliteSaver, and this project's loop with
its durable journal, images and result files. Every dialogue has two sharing moments of two attempts each.
Rows are ratios to the bare one; seconds are CPU seconds of the process, all threads.
"""

import argparse
import asyncio
import operator
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents import session
from magid_agents.models.fakes import FakePainter

ATTEMPTS, IN_FLIGHT = 2, 64


class Bare(TypedDict, total=False):
    dialogue: dict[str, Any]
    moment: int
    attempts: int
    outcomes: Annotated[list[int], operator.add]


class Result(TypedDict):
    outcomes: Annotated[list[int], operator.add]


async def scan(state: Bare) -> Bare:  # noqa: ARG001  (LangGraph wants the name)
    return {}


async def write(state: Bare) -> Bare:  # noqa: ARG001  (LangGraph wants the name)
    return {}


async def paint(state: Bare) -> Bare:  # noqa: ARG001  (LangGraph wants the name)
    return {}


async def judge(state: Bare) -> Bare:
    attempts = state.get("attempts", 0) + 1
    done: Bare = {"attempts": attempts}
    if attempts == ATTEMPTS:
        done["outcomes"] = [state["moment"]]
    return done


async def assemble(state: Bare) -> Bare:  # noqa: ARG001  (LangGraph wants the name)
    return {}


def each_moment(state: Bare) -> list[Send]:
    return [Send("illustrate", {"dialogue": state["dialogue"], "moment": m}) for m in range(worlds.MOMENTS)]


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
            each_moment,
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


def ours(folder: Path, dialogues: int) -> None:
    request = worlds.request(folder, dialogues, **{"budget.candidates": 1, "concurrency": IN_FLIGHT})
    counts = session.run(request, find=worlds.fakes(FakePainter, attempts=ATTEMPTS)).counts
    assert counts.rewritten == worlds.MOMENTS * dialogues, counts


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
    dialogues = [{"id": f"d{i}", "utterances": [worlds.TEXT] * 4} for i in range(args.dialogues)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "first").mkdir()
        ours(folder / "first", 10)  # imports are a run's cost, not a dialogue's
        rows = {
            "bare LangGraph": cpu(lambda: asyncio.run(through(bare().compile(), dialogues))),
            "with AsyncSqliteSaver": cpu(lambda: asyncio.run(saved(folder, dialogues))),
            "magid with its journal": cpu(lambda: ours(folder, args.dialogues)),
        }
    table = Table("", "CPU ms a dialogue", "ratio", title=f"{args.dialogues} dialogues, 2 images, 2 attempts")
    first = next(iter(rows.values()))
    for row, seconds in rows.items():
        table.add_row(row, f"{1000 * seconds / args.dialogues:.2f}", f"{seconds / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
