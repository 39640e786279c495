"""What a model must be able to do, one protocol each; magid_agents.models.fakes has one of every kind.

Every `identity` names a model and what decides its answers besides the request: revision or digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from pydantic import BaseModel

from magid_agents.prompts import Message


@dataclass(frozen=True)
class Reply:
    """The raw answer of a chat model and what it took, in tokens."""

    text: str
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Odds:
    """How likely a chat model is to begin its answer with each of the words it was given, 0 to 1."""

    probabilities: Mapping[str, float]
    usage: Mapping[str, float] = field(default_factory=dict)


class ChatModel(Protocol):
    """A chat model behind an OpenAI-compatible endpoint."""

    identity: str
    parameters: Mapping[str, Any]  # the rest that decides an answer
    vision: bool

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply: ...

    async def odds(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> Odds: ...


@dataclass(frozen=True)
class PaintedImage:
    """An RGB image and what it took: tokens, from a painter that counts them."""

    image: Image.Image
    usage: Mapping[str, float] = field(default_factory=dict)


class Painter(Protocol):
    """The image generation tool."""

    identity: str
    parameters: Mapping[str, Any]  # all that decides an image besides prompt and seed
    token_limit: int | None
    sampled: bool  # a seed makes another image; else it is the image's rank, 0 the best

    def count_tokens(self, prompt: str) -> int: ...

    async def paint(self, prompt: str, seed: int) -> PaintedImage: ...


class Scorer(Protocol):
    """One check of an image, against a text where the check has one."""

    identity: str
    reads_text: bool

    async def score(self, image: Path, text: str) -> float: ...


class Observer(Protocol):
    """Says in words what a model sees, for a critic that cannot look."""

    identity: str

    async def look(self, image: Path) -> Sequence[tuple[str, float]]: ...
