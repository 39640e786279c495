"""The loop with a fourth node, which chooses a style for each image before it is worded."""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from styles import Style

from magid_agents.agents.critic import critic
from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import prompt_writer
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentOutput, MomentState, step_ref
from magid_agents.dialogue import Decision


async def stylist(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """Ask a prompt of our own for an answer of our own."""
    moment = state["moment"]
    answer = await runtime.context.ask(step_ref(state, "style"), "mine/style", {"moment": moment}, Style)
    return {"moment": moment.model_copy(update={"description": f"{moment.description}, {answer.style}"})}


async def rewrite_or_end(state: MomentState) -> str:
    verdict = state["attempts"][-1].verdict
    return "prompt_writer" if verdict and verdict.decision is Decision.REWRITE else END


async def paint_or_end(state: MomentState) -> str:
    return END if state.get("outcomes") else "painter"


illustrate = (
    StateGraph(MomentState, context_schema=Services, output_schema=MomentOutput)
    .add_node(stylist)
    .add_node(prompt_writer)
    .add_node(painter)
    .add_node(critic)
    .add_edge(START, "stylist")
    .add_edge("stylist", "prompt_writer")
    .add_conditional_edges("prompt_writer", paint_or_end, ["painter", END])
    .add_edge("painter", "critic")
    .add_conditional_edges("critic", rewrite_or_end, ["prompt_writer", END])
    .compile(name="illustrate")
)

graph = build_dialogue_graph(illustrate, "styled")
