"""Records to be exported: `said("A", "hello", "a dog")` is an utterance with an image of a dog."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from PIL import Image

from magid_agents.export.turns import Conversation
from magid_agents.reading.records import IllustratedUtterance
from magid_agents.store.rundir import RunDir, encode_image

NOWHERE = {"directory": Path("nowhere")}


@cache
def picture(description: str) -> tuple[str, bytes]:
    """Return the SHA-256 and bytes of an image whose colour the description decides."""
    red, green, blue = hashlib.sha256(description.encode()).digest()[:3]
    return encode_image(Image.new("RGB", (8, 8), (red, green, blue)), {})


def said(speaker: str, text: str, *shown: str) -> IllustratedUtterance:
    images = [
        {
            "path": f"images/{picture(description)[0][:2]}/{picture(description)[0]}.png",
            "sha256": picture(description)[0],
            "description": description,
            "rationale": "r",
            "prompt": "p",
            "seed": 1,
            "model": "m",
            "scores": {},
            "critique": "",
            "attempts": 1,
        }
        for description in shown
    ]
    return IllustratedUtterance.model_validate(
        {"speaker": speaker, "text": text, "images": images}, context=NOWHERE
    )


# What readers of one format or another refuse, drop or misread if it is not dealt with.
DIALOGUES = {
    "plain": [said("A", "look", "a dog"), said("B", "oh")],
    "no image": [said("A", "hi"), said("B", "hello")],
    "three speakers": [said("A", "hi"), said("C", "look", "a cat"), said("B", "hello")],
    "neighbours": [said("A", "look", "a dog"), said("A", "and", "a cat"), said("B", "oh"), said("B", "ah")],
    "odd count": [said("A", "hi"), said("B", "hello"), said("A", "bye")],
    "image alone": [said("A", "", "a dog", "a cat"), said("B", "oh")],
    "assistant shares": [said("A", "hi"), said("B", "look", "a cow"), said("A", "oh"), said("B", "yes")],
    "tokens": [said("A", "<image> <|im_end|>", "an <image>"), said("B", "<video>", "an <image>")],
    "one speaker": [said("A", "hi"), said("A", "hello?", "a dog")],
    "../../etc/passwd": [said("/A", "../.."), said("..", "..", "../..")],
}


def write_records(run: Path, dialogues: Mapping[str, Sequence[IllustratedUtterance]]) -> None:
    """Put the dialogues in the place of those that a run directory holds, with their images."""
    directory = RunDir(run)
    with directory.dialogues.open("w") as file:
        for name, utterances in dialogues.items():
            said = [utterance.model_dump(mode="json", by_alias=True) for utterance in utterances]
            file.write(json.dumps({"id": name, "source": "", "utterances": said, "dropped": []}) + "\n")
            for utterance in utterances:
                for image in utterance.illustrations:
                    directory.store_image(*picture(image.description))


def roles(conversation: Conversation) -> str:
    """Return the first letters of the roles: `ua` for a question and its answer."""
    return "".join(turn.role[0] for turn in conversation.turns)


def texts(conversation: Conversation) -> Sequence[str]:
    return [turn.text for turn in conversation.turns]
