"""The baseline: the description itself is the query, the first safe image is kept, nothing is judged.

    START -> scanner -> one pass per sharing moment -> assemble -> END
                        [ verbatim -> painter -> safety ]

Meant for painter.backend=retrieval; with any other painter it shows what writing prompts is worth.
"""

from langgraph.graph import END, START, StateGraph

from magid_agents.agents.critic import safety
from magid_agents.agents.dialogue_graph import build_dialogue_graph
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import verbatim
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentOutput, MomentState

illustrate = (
    StateGraph(MomentState, context_schema=Services, output_schema=MomentOutput)
    .add_node(verbatim)
    .add_node(painter)
    .add_node(safety)
    .add_edge(START, "verbatim")
    .add_edge("verbatim", "painter")
    .add_edge("painter", "safety")
    .add_edge("safety", END)
    .compile(name="illustrate")
)

graph = build_dialogue_graph(illustrate, "retrieval")
