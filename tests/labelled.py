"""Labelled dialogues, and a chat model that finds their moments as well as its instructions let it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.evaluation.labels import LabelledDialogue
from magid_agents.prompts import Message

# The double says Yes of an utterance that has one of the words its instructions list after "Words:".
YES_NO = """\
---
description: Lists words.
variables: [utterances, utterance]
output: YesOrNo
---
## system
Answer Yes or No. Words: {}.

## user
Message: {{{{ utterances[utterance].text }}}}
"""


def labelled(number: str, *texts: str) -> LabelledDialogue:
    """A dialogue; an image follows each text that ends in an exclamation mark."""
    said = tuple(Utterance(speaker="AB"[i % 2], text=text) for i, text in enumerate(texts))
    shared = frozenset(i for i, text in enumerate(texts) if text.endswith("!"))
    return LabelledDialogue(Dialogue(id=number, utterances=said), shared)


def write_labels(path: Path, dialogues: Sequence[LabelledDialogue]) -> Path:
    with path.open("w") as file:
        for one in dialogues:
            said = [
                {"speaker": u.speaker, "text": u.text, "shares_image": i in one.shared}
                for i, u in enumerate(one.dialogue.utterances)
            ]
            file.write(json.dumps({"id": one.dialogue.id, "utterances": said}) + "\n")
    return path


def write_prompt(folder: Path, name: str, *words: str) -> str:
    """Write scanner/NAME.md, whose instructions list these words; return the prompt's name."""
    path = folder / "scanner" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(YES_NO.format(" ".join(words)))
    return f"scanner/{name}"


def says_yes(system: str, text: str) -> bool:
    found = re.search(r"Words: ([^.]*)\.", system)
    return found is not None and bool(set(found[1].split()) & set(re.findall(r"\w+", text)))


def script(messages: Sequence[Message], _: str) -> str:
    return "Yes" if says_yes(messages[0].text, messages[-1].text) else "No"


def answer(body: dict[str, Any]) -> str | None:
    """The same over HTTP."""
    system, last = body["messages"][0]["content"], body["messages"][-1]["content"]
    if "Words: " not in system:
        return None
    return "Yes" if says_yes(system, last) else "No"
