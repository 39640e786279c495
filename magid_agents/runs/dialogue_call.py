"""Run one dialogue through a graph, as one journaled call.

Its key is the dialogue, the graph and everything else that decides the result. Its answer is the finished
record together with all decisions, so a finished dialogue costs one look-up, and decisions are shown as
they were made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.assemble import decisions
from magid_agents.agents.services import Services
from magid_agents.agents.state import DIALOGUE
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError, StopRun, cause_of
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.runs.graph_loader import Topology
from magid_agents.store.journal import Answer, Call, StepRef
from magid_agents.store.results import Failure, Unanswered, is_record

STEPS_PER_ATTEMPT = 25  # of a graph, after which LangGraph assumes that it never ends


class NoRecord(MagidError):
    """The graph ended without a finished record."""

    cause = "no record"


async def walk(graph: Any, dialogue: Dialogue, services: Services) -> Mapping[str, Any]:
    """Run a dialogue through every node of a graph and return the final state.

    Raises what a node raises, and NoRecord if the state has no finished record.
    """
    await services.journal.begin(dialogue.id)
    limit = STEPS_PER_ATTEMPT * (services.settings.budget.attempts + 1)
    state: Mapping[str, Any] = await graph.ainvoke(
        {"dialogue": dialogue}, config={"recursion_limit": limit}, context=services
    )
    if not is_record(state.get("record")):
        raise NoRecord(
            f"graph={services.settings.graph}: ends without a finished record; its last node must return "
            '{"record": {"id": ..., "utterances": [...], "dropped": [...]}}, as assemble does'
        )
    return state


@dataclass(frozen=True)
class DialogueRunner:
    """Runs dialogues through a graph with the same services.

    `depends_on` is a hash of everything besides dialogue and graph that decides a result
    (provenance.digest).
    """

    graph: Topology
    depends_on: str
    services: Services

    async def run(self, dialogue: Dialogue) -> dict[str, Any] | Failure:
        """Return the finished record, or why there is none. Raises StopRun if the whole run must end."""
        journal = self.services.journal
        try:
            answer = await journal.get_or_compute(
                self._call(dialogue),
                compute=lambda: self._compute(dialogue),
                step=StepRef(dialogue.id, DIALOGUE),
                is_valid=self._has_images,
                latest_only=True,
            )
        except Exception as raised:
            error = unwrap(raised)
            if isinstance(error, StopRun):
                raise error from None
            text = str(error) if isinstance(error, MagidError) else f"{type(error).__name__}: {error}"
            raw = ""
            if isinstance(error, InvalidAnswer):
                raw = error.raw
            if isinstance(error, MagidError) and error.keys:
                await journal.reject(error.keys, text)  # so that the next run asks again
            kind = Unanswered if isinstance(error, EndpointUnavailable) else Failure
            return kind(dialogue.id, _stage(raised), text, raw, cause_of(error))
        record: dict[str, Any] = answer.value["record"]
        return record

    def _call(self, dialogue: Dialogue) -> Call:
        request = {
            "id": dialogue.id,
            "source": dialogue.source,
            "utterances": [[u.speaker, u.text] for u in dialogue.utterances],
            "depends_on": self.depends_on,
        }
        return Call(DIALOGUE, self.graph.identity, request)

    async def _compute(self, dialogue: Dialogue) -> Answer:
        state = await walk(self.graph.graph, dialogue, self.services)
        decided = decisions(state).model_dump(exclude_defaults=True)
        return Answer({"record": state["record"], "decisions": decided})

    def _has_images(self, value: Mapping[str, Any]) -> bool:
        outcomes = value["decisions"].get("outcomes", [])
        kept = [outcome["illustration"] for outcome in outcomes if "illustration" in outcome]
        return all(self.services.run_dir.has_image(illustration["sha256"]) for illustration in kept)


def unwrap(error: Exception) -> Exception:
    """Return one of the errors that a node's tasks raised together, preferably one that ends the run."""
    while isinstance(error, ExceptionGroup):
        error = (error.subgroup(StopRun) or error).exceptions[0]
    return error


def _stage(error: Exception) -> str:
    """Return the innermost node that raised, as LangGraph names it in the exception's notes."""
    for note in getattr(error, "__notes__", []):
        if named := re.search(r"During task with name '([^']+)'", note):
            return named[1]
    return "run"
