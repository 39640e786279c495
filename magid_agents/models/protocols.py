"""What a model must be able to do, one protocol each; magid_agents.models.fakes has one of every kind.

Every `identity` names a model and what decides its answers besides the request: revision or digest. It is
part of the journal's keys: a model whose answers change needs another identity, or it is not asked again.

Painters and scorers may come from other packages. Their class is called with the section of the settings
that names it, PainterSettings or ScorerSettings; `arguments` there is free for settings of their own. This
finds the model's files and loads nothing: a run whose answers are all in the journal needs no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from pydantic import BaseModel

from magid_agents.config import ScorerSettings
from magid_agents.models.capabilities import Capabilities
from magid_agents.prompts import Message


@dataclass(frozen=True)
class Reply:
    """The raw answer of a chat model and what it took, in tokens."""

    text: str
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenProbabilities:
    """How likely a chat model is to begin its answer with each of the words it was given, 0 to 1.

    All are 0 if its answer is none of them.
    """

    probabilities: Mapping[str, float]
    usage: Mapping[str, float] = field(default_factory=dict)
    text: str = ""  # what it said


class ChatModel(Protocol):
    """A chat model behind an OpenAI-compatible endpoint."""

    identity: str
    parameters: Mapping[str, Any]  # the rest that decides an answer
    vision: bool

    @property
    def capabilities(self) -> Capabilities:
        """How it must be asked."""
        ...

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply: ...

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities: ...


IMAGES = "images"  # in the usage of a call to a painter, beside tokens


@dataclass(frozen=True)
class PaintedImage:
    """An RGB image and what it took: tokens, from a painter that counts them."""

    image: Image.Image
    usage: Mapping[str, float] = field(default_factory=dict)


class Painter(Protocol):
    """The image generation tool. Its class is called with a PainterSettings."""

    identity: str
    token_limit: int | None
    sampled: bool  # a seed makes another image; else it is the image's rank, 0 the best

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that decides an image besides prompt and seed."""
        ...

    @property
    def reproducible(self) -> bool:
        """Whether prompt and seed give the same image again; if not, no record claims a seed."""
        ...

    def count_tokens(self, prompt: str) -> int: ...

    async def paint(self, prompt: str, seed: int) -> PaintedImage: ...


@dataclass(frozen=True)
class Probed:
    """What a probe found out, as JSON, and what it took: tokens, images."""

    found: Mapping[str, Any]
    usage: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Probing(Protocol):
    """A model that has to ask its server before it knows how to be used.

    What a probe finds is recorded: a run directory holds answers of one kind, and a resumed run asks nothing.
    """

    identity: str

    @property
    def adopted(self) -> Mapping[str, Any] | None:
        """What a probe found, once it was adopted."""
        ...

    @property
    def probe_request(self) -> Mapping[str, Any]:
        """All that decides what a probe finds."""
        ...

    async def probe(self) -> Probed: ...

    def adopt(self, found: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Connected(Protocol):
    """A model with connections."""

    async def aclose(self) -> None:
        """Close them, on the event loop that used them; the model can be used again."""
        ...


class Scorer(Protocol):
    """One check of an image, against a text where the check has one; made by a ScorerClass."""

    identity: str
    reads_text: bool

    async def score(self, image: Path, text: str) -> float: ...


class ScorerClass(Protocol):
    """A scorer's class, which says how its scores are judged. A threshold says nothing of another model."""

    lower_is_better: bool
    blocking: bool  # an image that fails is never kept
    thresholds: Mapping[str, float]  # those that are known, by `model`

    def __call__(self, settings: ScorerSettings) -> Scorer:
        """Raises ScorerError or WeightsError if its model cannot be found."""
        ...


class JudgedScorer(Scorer, Protocol):
    """A scorer that a caller gives as an object: it says itself what the class of another one says."""

    threshold: float
    lower_is_better: bool
    blocking: bool  # an image that fails is never kept


class ImageTagger(Protocol):
    """Says in words what a model sees, for a critic that cannot look."""

    identity: str

    async def tag_image(self, image: Path) -> Sequence[tuple[str, float]]: ...
