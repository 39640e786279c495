"""Fake models for tests and dry runs: instant, deterministic, and named so.

Each counts its calls. None pretends to judge: each answers what it was told to answer.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel

from magid_agents.models.capabilities import Capabilities
from magid_agents.models.protocols import PaintedImage, Reply, TokenProbabilities
from magid_agents.prompts import Message

Script = Callable[[Sequence[Message], str], str]  # (messages, name of the schema) -> raw answer


class FakeChat:
    """Answers what its script returns."""

    capabilities = Capabilities()

    def __init__(self, script: Script, vision: bool = False) -> None:
        self.identity, self.vision = "fake-chat", vision
        self.parameters: Mapping[str, Any] = {"temperature": 0.0}
        self.script, self.calls, self.looked = script, 0, 0

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        self.calls += 1
        self.looked += len(images)
        text = self.script(messages, schema.__name__ if schema else "")
        return Reply(text, {"input_tokens": sum(len(m.text) for m in messages), "output_tokens": len(text)})

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        """Give probability 1 to the word that the script returns for the schema "TokenProbabilities"."""
        self.calls += 1
        self.looked += len(images)
        said = self.script(messages, TokenProbabilities.__name__)
        return TokenProbabilities({word: float(word == said) for word in words}, text=said)


class FakePainter:
    """Paints two colours that depend on prompt and seed; counts one token per word."""

    sampled = True

    def __init__(self, token_limit: int | None = 32) -> None:
        self.identity, self.token_limit, self.reproducible = "fake-painter", token_limit, True
        self.parameters: Mapping[str, Any] = {"steps": 1}
        self.calls = 0

    def count_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        self.calls += 1
        r, g, b = hashlib.sha256(f"{prompt}/{seed}".encode()).digest()[:3]
        image = Image.new("RGB", (8, 8), (r, g, b))
        image.paste((255 - r, 255 - g, 255 - b), (0, 0, 4, 8))
        return PaintedImage(image)


class FakeScorer:
    """Scores by a function of the text and of the image's own prompt, read from its PNG text."""

    def __init__(
        self, rule: Callable[[str, str], float], reads_text: bool = True, identity: str = "fake-scorer"
    ) -> None:
        """Set up a scorer. Two scorers with different rules need different identities, as all models do."""
        self.identity, self.reads_text = identity, reads_text
        self.rule, self.calls = rule, 0

    async def score(self, image: Path, text: str) -> float:
        self.calls += 1
        with Image.open(image) as picture:
            return self.rule(str(picture.info["prompt"]), text)


class FakeTagger:
    """Sees the image's own prompt."""

    def __init__(self) -> None:
        self.identity, self.calls = "fake-observer", 0

    async def tag_image(self, image: Path) -> list[tuple[str, float]]:
        self.calls += 1
        with Image.open(image) as picture:
            return [(str(picture.info["prompt"]), 0.9)]

    async def compare(self, image: Path, texts: Sequence[str]) -> list[float]:
        """Return the share of each text's words that the prompt has."""
        self.calls += 1
        with Image.open(image) as picture:
            words = str(picture.info["prompt"]).split()
        return [sum(word in words for word in text.split()) / len(text.split()) for text in texts]
