"""Records to be exported, without a run: `said("A", "hello", "a dog")` is an utterance with an image."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from magid_agents.export.turns import Conversation
from magid_agents.reading.records import IllustratedUtterance

NOWHERE = {"directory": Path("nowhere")}


def said(speaker: str, text: str, *shown: str) -> IllustratedUtterance:
    images = []
    for description in shown:
        sha256 = hashlib.sha256(description.encode(errors="surrogatepass")).hexdigest()
        images.append(
            {
                "path": f"images/{sha256[:2]}/{sha256}.png",
                "sha256": sha256,
                "description": description,
                "rationale": "r",
                "prompt": "p",
                "seed": 1,
                "model": "m",
                "scores": {},
                "critique": "",
                "attempts": 1,
            }
        )
    return IllustratedUtterance.model_validate(
        {"speaker": speaker, "text": text, "images": images}, context=NOWHERE
    )


def roles(conversation: Conversation) -> str:
    """Return the first letters of the roles: `ua` for a question and its answer."""
    return "".join(turn.role[0] for turn in conversation.turns)


def texts(conversation: Conversation) -> Sequence[str]:
    return [turn.text for turn in conversation.turns]
