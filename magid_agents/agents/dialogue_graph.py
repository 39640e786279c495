"""Build what all topologies share: scan the dialogue, handle each sharing moment, assemble the record.

    START -> scanner -> Send per sharing moment -> [ a topology's own ] -> assemble -> END

The inner graph takes a MomentState and returns outcomes.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from magid_agents.agents.assemble import assemble
from magid_agents.agents.scanner import scanner
from magid_agents.agents.services import Services
from magid_agents.agents.state import DialogueState


async def fan_out_moments(state: DialogueState) -> list[Send] | str:
    moments = [Send("illustrate", {"dialogue": state["dialogue"], "moment": m}) for m in state["moments"]]
    return moments or "assemble"


def build_dialogue_graph(illustrate: Any, name: str) -> Any:
    """Compile the graph of a dialogue, with the compiled graph of a moment inside."""
    return (
        StateGraph(DialogueState, context_schema=Services)
        .add_node(scanner)
        .add_node("illustrate", illustrate)
        .add_node(assemble)
        .add_edge(START, "scanner")
        .add_conditional_edges("scanner", fan_out_moments, ["illustrate", "assemble"])
        .add_edge("illustrate", "assemble")
        .add_edge("assemble", END)
        .compile(name=name)
    )
