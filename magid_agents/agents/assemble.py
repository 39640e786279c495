"""Assemble: accepted images after their utterances, dropped moments with their reasons."""

from typing import Any

from magid_agents.agents.state import DialogueState


async def assemble(state: DialogueState) -> dict[str, dict[str, Any]]:
    """The finished line of dialogues.jsonl."""
    dialogue = state["dialogue"]
    outcomes = sorted(state.get("outcomes", []), key=lambda o: o["utterance"])
    images: dict[int, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        if kept := outcome["illustration"]:
            images.setdefault(outcome["utterance"], []).append(kept.model_dump())
    record = {
        "id": dialogue.id,
        "source": dialogue.source,
        "utterances": [
            {"speaker": u.speaker, "text": u.text, "images": images.get(i, [])}
            for i, u in enumerate(dialogue.utterances)
        ],
        "dropped": [o["dropped"].model_dump() for o in outcomes if o["dropped"]],
    }
    return {"record": record}
