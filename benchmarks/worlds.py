"""Dialogues and free fake models for the benchmarks, with a known number of moments and attempts."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat
from magid_agents.models.protocols import ChatModel, Painter, Scorer
from magid_agents.prompts import Message
from magid_agents.runs.session import RunRequest
from magid_agents.thresholds import Threshold

MOMENTS = 2
SETS = (
    "scanner.prompt=scanner/zero_shot",
    "writer.write=prompt_writer/write",
    "writer.rewrite=prompt_writer/rewrite",
    "critic.critique=critic/text",
)
TEXT = "We took the boat out to the island and this is what we saw there in the morning"
THRESHOLDS = (
    Threshold("image_text_match", 0.5),
    Threshold("unsafe", 0.5, lower_is_better=True, blocking=True),
)


def script(messages: Sequence[Message], shape: str) -> str:
    """Answer with two moments per dialogue; descriptions and prompts name dialogue and attempt."""
    text = messages[-1].text
    if shape == "SharingMoments":
        name = text.rpartition("morning, ")[2].split()[0]
        found = [
            {"rationale": "r", "utterance": i, "description": f"boat {name} {i}"} for i in range(MOMENTS)
        ]
        return json.dumps({"moments": found})
    if shape == "GenerationPrompt":
        (what,) = re.findall(r"shows?: (boat .*)", text)
        return json.dumps({"prompt": f"{what} {text.count('- ')}"})
    return '{"questions": [{"question": "is it there?", "answer": true}], "comment": "good"}'


class Nth:
    """A free scorer that passes the nth attempt at each description, and all later ones."""

    identity, reads_text = "nth", True

    def __init__(self, attempts: int, candidates: int) -> None:
        self._first, self._seen = (attempts - 1) * candidates, Counter[str]()

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (never looks)
        self._seen[text] += 1
        return 0.9 if self._seen[text] > self._first else 0.1


class Safe:
    """A free safety scorer that finds nothing."""

    identity, reads_text = "safe", False

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (never looks)
        return 0.0


class Told:
    """A free tagger that sees what it was told to see."""

    identity = "told"

    async def tag_image(self, image: Path) -> list[tuple[str, float]]:  # noqa: ARG002  (never looks)
        return [("boat", 0.9)]

    async def compare(self, image: Path, texts: Sequence[str]) -> list[float]:  # noqa: ARG002  (the protocol's)
        return [0.9] * len(texts)


def fakes(
    painter: Callable[[], Painter],
    chat: Callable[[], ChatModel] = lambda: FakeChat(script),
    attempts: int = 2,
) -> Callable[[Settings], AbstractContextManager[Models]]:
    """Return models for session.run that accept the nth attempt of every moment."""

    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        scorers: dict[str, Scorer] = {
            "image_text_match": Nth(attempts, settings.budget.candidates),
            "unsafe": Safe(),
        }
        yield Models(chat(), painter(), scorers, THRESHOLDS, Told())

    return open_models


def request(folder: Path, dialogues: int, **sets: object) -> RunRequest:
    """Return a run of that many dialogues, which are written to folder/in.jsonl, into folder/out."""
    source = folder / "in.jsonl"
    with source.open("w") as file:
        for i in range(dialogues):
            said = [{"speaker": s, "text": f"{TEXT}, {i}"} for s in "ABAB"]
            file.write(json.dumps({"id": f"d{i}", "utterances": said}) + "\n")
    given = [f"{key}={json.dumps(value)}" for key, value in sets.items()]
    return RunRequest(inputs=[source], out=folder / "out", settings=config.load(overrides=[*SETS, *given]))
