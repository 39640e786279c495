"""The baseline: the description itself is the query, the first safe image is kept, nothing is judged.

    START -> scanner -> one pass per sharing moment -> assemble -> END
                        [ verbatim -> painter -> safety ]

Meant for painter.backend=retrieval; with any other painter it shows what writing prompts is worth.
"""

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from magid_agents.agents.assemble import assemble
from magid_agents.agents.critic import safety
from magid_agents.agents.painter import painter
from magid_agents.agents.prompt_writer import verbatim
from magid_agents.agents.scanner import scanner
from magid_agents.agents.state import DialogueState, MomentOutput, MomentState
from magid_agents.services import Services


def each_moment(state: DialogueState) -> list[Send] | str:
    moments = [Send("illustrate", {"dialogue": state["dialogue"], "moment": m}) for m in state["moments"]]
    return moments or "assemble"


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

graph = (
    StateGraph(DialogueState, context_schema=Services)
    .add_node(scanner)
    .add_node("illustrate", illustrate)
    .add_node(assemble)
    .add_edge(START, "scanner")
    .add_conditional_edges("scanner", each_moment, ["illustrate", "assemble"])
    .add_edge("illustrate", "assemble")
    .add_edge("assemble", END)
    .compile(name="retrieval")
)
