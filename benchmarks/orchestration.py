"""Measure the CPU time per dialogue of the loop itself, with fake models that answer at once.

`python -m benchmarks.orchestration [--dialogues N]` runs the same shape three ways in turn, for several
rounds: a bare LangGraph with the loop's states and edges, whose nodes return a constant; the same with
LangGraph's own AsyncSqliteSaver; and this project's loop with its durable journal, images and result files.
Then it runs the finished run again, whose dialogues are only looked up. Every dialogue has two sharing
moments with two attempts each. Rows are medians over the rounds, with ratios to the bare graph; seconds are
the process's CPU time over all threads.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from graphs import magid
from magid_agents.agents.dialogue_graph import fan_out_moments
from magid_agents.agents.state import DialogueState, MomentOutput, MomentState, dropped
from magid_agents.dialogue import Attempt, Decision, Dialogue, SharingMoment, Utterance, Verdict
from magid_agents.models.fakes import FakePainter
from magid_agents.runs import session

ATTEMPTS, IN_FLIGHT = 2, 64


MOMENTS = [
    SharingMoment(utterance=i, speaker="A", description="a boat", rationale="r")
    for i in range(worlds.MOMENTS)
]
DRAFT = Attempt(prompt="a boat")
REWRITE, ACCEPT = (
    DRAFT.model_copy(update={"verdict": Verdict(decision=decision, reason="r")})
    for decision in (Decision.REWRITE, Decision.ACCEPT)
)


async def scan(state: DialogueState) -> dict[str, Any]:  # noqa: ARG001  (LangGraph wants the name)
    return {"moments": MOMENTS}


async def write(state: MomentState) -> dict[str, Any]:  # noqa: ARG001  (LangGraph wants the name)
    return {"draft": DRAFT}


async def judge(state: MomentState) -> dict[str, Any]:
    attempts = state.get("attempts", [])
    if len(attempts) + 1 < ATTEMPTS:
        return {"attempts": [*attempts, REWRITE]}
    return {"attempts": [*attempts, ACCEPT], "outcomes": [dropped(state, "r", [*attempts, ACCEPT])]}


async def assemble(state: DialogueState) -> dict[str, Any]:  # noqa: ARG001  (LangGraph wants the name)
    return {"record": {}}


def bare() -> StateGraph[Any, Any, Any, Any]:
    """Build a graph with the loop's states, edges and routes, whose nodes return a constant."""
    moment = (
        StateGraph(MomentState, output_schema=MomentOutput)
        .add_node("prompt_writer", write)
        .add_node("painter", write)
        .add_node("critic", judge)
        .add_edge(START, "prompt_writer")
        .add_conditional_edges("prompt_writer", magid.paint_or_end, ["painter", END])
        .add_edge("painter", "critic")
        .add_conditional_edges("critic", magid.rewrite_or_end, ["prompt_writer", END])
        .compile()
    )
    return (
        StateGraph(DialogueState)
        .add_node(scan)
        .add_node("illustrate", moment)
        .add_node(assemble)
        .add_edge(START, "scan")
        .add_conditional_edges("scan", fan_out_moments, ["illustrate", "assemble"])
        .add_edge("illustrate", "assemble")
        .add_edge("assemble", END)
    )


async def through(graph: Any, dialogues: Sequence[Dialogue]) -> None:
    """Run all dialogues through a graph, as many at once as in a run."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(dialogue: Dialogue) -> None:
        async with slots:
            await graph.ainvoke({"dialogue": dialogue}, {"configurable": {"thread_id": dialogue.id}})

    await asyncio.gather(*map(one, dialogues))


async def saved(folder: Path, dialogues: Sequence[Dialogue]) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "saver.sqlite")) as saver:
        await through(bare().compile(checkpointer=saver), dialogues)


def saver(folder: Path, dialogues: Sequence[Dialogue]) -> None:
    asyncio.run(saved(folder, dialogues))


def ours(folder: Path, dialogues: int, finished_before: int = 0) -> None:
    request = worlds.request(folder, dialogues, **{"budget.candidates": 1, "concurrency": IN_FLIGHT})
    done = session.run(request, open_models=worlds.fakes(FakePainter, attempts=ATTEMPTS))
    assert done.counts.rewritten == worlds.MOMENTS * dialogues, done
    assert done.calls.dialogues == finished_before, done


def cpu(work: Any) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    said = tuple(Utterance(speaker=s, text=worlds.TEXT) for s in "ABAB")
    dialogues = [Dialogue(id=f"d{i}", utterances=said) for i in range(args.dialogues)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "first").mkdir()
        ours(folder / "first", 10)  # imports are a run's cost, not a dialogue's
        rows: dict[str, list[float]] = {}
        for number in range(args.rounds):
            there = folder / str(number)
            there.mkdir()
            for row, work in (
                ("bare LangGraph", lambda: asyncio.run(through(bare().compile(), dialogues))),
                ("with AsyncSqliteSaver", partial(saver, there, dialogues)),
                ("magid with its journal", partial(ours, there, args.dialogues)),
                ("the same, met again", partial(ours, there, args.dialogues, args.dialogues)),
            ):
                rows.setdefault(row, []).append(cpu(work))
    title = f"{args.dialogues} dialogues, 2 images, 2 attempts, median of {args.rounds} rounds"
    table = Table("", "CPU ms a dialogue", "ratio", title=title)
    medians = {row: statistics.median(seconds) for row, seconds in rows.items()}
    first = next(iter(medians.values()))
    for row, seconds in medians.items():
        table.add_row(row, f"{1000 * seconds / args.dialogues:.2f}", f"{seconds / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
