"""The plain way: a LangGraph of four nodes over ChatOpenAI with structured output, and an images client.

It keeps nothing but the images: no journal, no scores, no verdicts, no resume.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from openai import AsyncOpenAI

from benchmarks.endpoints import engine, work
from magid_agents import prompts
from magid_agents.dialogue import SharingMoment, Utterance
from magid_agents.schemas import CritiqueAnswer


class State(TypedDict, total=False):
    id: str
    utterances: list[Utterance]
    moment: SharingMoment
    prompt: str
    critique: CritiqueAnswer


def build(url: str, folder: Path) -> Any:
    """Return the compiled graph."""
    model = ChatOpenAI(base_url=url, api_key=lambda: "none", model=engine.MODEL, temperature=0, max_retries=0)
    images = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    def asking(step: str) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        prompt = prompts.load(work.PROMPTS[step])
        assert prompt.schema
        asked = model.with_structured_output(prompt.schema)
        return lambda values: asked.ainvoke([(m.role, m.text) for m in prompt.render(values)])

    scanning, writing, judging = map(asking, work.PROMPTS)

    async def scan(state: State) -> State:
        values = {"utterances": state["utterances"], "max_images": 2}
        (found,) = (await scanning(values)).moments
        speaker = state["utterances"][found.utterance].speaker
        return {"moment": SharingMoment(speaker=speaker, **found.model_dump())}

    async def write(state: State) -> State:
        values = {"utterances": state["utterances"], "moment": state["moment"]}
        return {"prompt": (await writing({**values, "style": "", "token_limit": None})).prompt}

    async def paint(state: State) -> State:
        size: Any = f"{engine.PIXELS}x{engine.PIXELS}"
        painted = await images.images.generate(model=engine.MODEL, prompt=state["prompt"], n=1, size=size)
        assert painted.data
        (folder / f"{state['id']}.png").write_bytes(base64.b64decode(painted.data[0].b64_json or ""))
        return {}

    async def judge(state: State) -> State:
        return {"critique": await judging({"moment": state["moment"], "seen": work.SEEN})}

    graph = StateGraph(State)
    for node in (scan, write, paint, judge):
        graph.add_node(node)
    order = (START, "scan", "write", "paint", "judge", END)
    for before, after in pairwise(order):
        graph.add_edge(before, after)
    return graph.compile()


def main() -> None:
    args = work.arguments(__doc__)
    states = [
        {"id": name, "utterances": [Utterance(**utterance) for utterance in said]}
        for name, said in work.dialogues(args.dialogues)
    ]
    graph = build(args.url, args.folder)
    done = asyncio.run(graph.abatch(states, {"max_concurrency": args.borne}))
    assert all(state["critique"].comment for state in done)


if __name__ == "__main__":
    main()
