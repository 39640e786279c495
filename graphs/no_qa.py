"""Ablation: the loop without quality assurance. What is painted first is kept, if only it is safe.

START -> scanner -> [ prompt_writer -> painter -> safety ] per sharing moment -> assemble -> END
"""

from langgraph.graph import END, START, StateGraph

from magid_agents.agents.critic import safety
from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import prompt_writer
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentOutput, MomentState


async def paint_or_end(state: MomentState) -> str:
    return END if state.get("outcomes") else "painter"


illustrate = (
    StateGraph(MomentState, context_schema=Services, output_schema=MomentOutput)
    .add_node(prompt_writer)
    .add_node(painter)
    .add_node(safety)
    .add_edge(START, "prompt_writer")
    .add_conditional_edges("prompt_writer", paint_or_end, ["painter", END])
    .add_edge("painter", "safety")
    .add_edge("safety", END)
    .compile(name="illustrate")
)

graph = build_dialogue_graph(illustrate, "no_qa")
