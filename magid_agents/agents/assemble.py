"""Assemble the record: accepted images after their utterances, dropped moments with their reasons."""

from collections.abc import Mapping
from typing import Any

from magid_agents.agents.state import DialogueState
from magid_agents.dialogue import Decisions, MomentOutcome


async def assemble(state: DialogueState) -> dict[str, dict[str, Any]]:
    """Return the finished line of dialogues.jsonl."""
    dialogue = state["dialogue"]
    outcomes = _in_order(state)
    images: dict[int, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        if kept := outcome.illustration:
            images.setdefault(outcome.moment.utterance, []).append(kept.model_dump())
    record = {
        "id": dialogue.id,
        "source": dialogue.source,
        "utterances": [
            {"speaker": u.speaker, "text": u.text, "images": images.get(i, [])}
            for i, u in enumerate(dialogue.utterances)
        ],
        "dropped": [o.dropped.model_dump() for o in outcomes if o.dropped],
    }
    return {"record": record}


def decisions(state: Mapping[str, Any]) -> Decisions:
    """Return the decisions in a graph's final state; what the state lacks is left empty.

    Raises ValidationError if a user's own graph put anything else there.
    """
    return Decisions(
        share_probabilities=state.get("share_probabilities", {}), outcomes=tuple(_in_order(state))
    )


def _in_order(state: Mapping[str, Any]) -> list[MomentOutcome]:
    outcomes: list[MomentOutcome] = state.get("outcomes", [])
    return sorted(outcomes, key=lambda outcome: outcome.moment.utterance)
