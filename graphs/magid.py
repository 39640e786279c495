"""The loop: write, paint and judge for each sharing moment until it is accepted or its budget is spent.

START -> scanner -> one loop per sharing moment -> assemble -> END
                    [ prompt_writer -> painter -> critic ]
                            ^------- rewrite -------'
"""

from langgraph.graph import END, START, StateGraph

from magid_agents.agents.critic import critic
from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import prompt_writer
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentOutput, MomentState
from magid_agents.dialogue import Decision

# Routes are async: LangGraph hands a plain function to a thread, which costs more than the route itself.


async def rewrite_or_end(state: MomentState) -> str:
    verdict = state["attempts"][-1].verdict
    return "prompt_writer" if verdict and verdict.decision is Decision.REWRITE else END


async def paint_or_end(state: MomentState) -> str:
    return END if state.get("outcomes") else "painter"


illustrate = (
    StateGraph(MomentState, context_schema=Services, output_schema=MomentOutput)
    .add_node(prompt_writer)
    .add_node(painter)
    .add_node(critic)
    .add_edge(START, "prompt_writer")
    .add_conditional_edges("prompt_writer", paint_or_end, ["painter", END])
    .add_edge("painter", "critic")
    .add_conditional_edges("critic", rewrite_or_end, ["prompt_writer", END])
    .compile(name="illustrate")
)

graph = build_dialogue_graph(illustrate, "magid")
