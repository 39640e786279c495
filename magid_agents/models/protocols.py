"""What a model must be able to do, as one protocol per kind; magid_agents.models.fakes has one of each.

An `identity` names a model and whatever decides its answers besides the request, such as revision or
digest. It is part of the journal's keys: a model whose answers change needs a new identity, or recorded
answers are used instead of it.

Painters and scorers may come from other packages. Their class is called with the section of the settings
that names it, PainterSettings or ScorerSettings, where `arguments` is free for settings of their own. The
constructor finds the model's files but loads nothing: a run whose answers are all in the journal needs no
model.
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
    """The raw answer of a chat model, and the tokens that it took."""

    text: str
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenProbabilities:
    """How likely a chat model is to begin its answer with each of the given words, 0 to 1.

    All are 0 if its answer is none of them.
    """

    probabilities: Mapping[str, float]
    usage: Mapping[str, float] = field(default_factory=dict)
    text: str = ""  # the model's answer


class ChatModel(Protocol):
    """A chat model behind an OpenAI-compatible endpoint."""

    identity: str
    parameters: Mapping[str, Any]  # everything else that decides an answer
    vision: bool

    @property
    def capabilities(self) -> Capabilities:
        """How the model must be asked."""
        ...

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply: ...

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities: ...


IMAGES = "images"  # key in a painter's usage, besides tokens


@dataclass(frozen=True)
class PaintedImage:
    """An RGB image, and the tokens that it took if the painter counts them.

    Args:
        synthetic: a model generated it, and its file says so; not if it was only found.
    """

    image: Image.Image
    usage: Mapping[str, float] = field(default_factory=dict)
    synthetic: bool = True


class Painter(Protocol):
    """The image generation tool. Its class is called with PainterSettings."""

    identity: str
    token_limit: int | None
    sampled: bool  # every seed gives another image; if not, the seed is a rank, 0 the best

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything that decides an image besides prompt and seed."""
        ...

    @property
    def reproducible(self) -> bool:
        """Whether prompt and seed give the same image again. If not, no record states a seed."""
        ...

    def count_tokens(self, prompt: str) -> int: ...

    async def paint(self, prompt: str, seed: int) -> PaintedImage: ...


@dataclass(frozen=True)
class Probed:
    """The result of a probe, as JSON, and its usage: tokens, images."""

    found: Mapping[str, Any]
    usage: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Probing(Protocol):
    """A model that must ask its server before it knows how to use it.

    The result is recorded, so that all answers in a run directory were asked for in the same way, and a
    resumed run does not probe again.
    """

    identity: str

    @property
    def adopted(self) -> Mapping[str, Any] | None:
        """The result of a probe, or None if none was adopted yet."""
        ...

    @property
    def probe_request(self) -> Mapping[str, Any]:
        """Everything that decides what a probe finds."""
        ...

    async def probe(self) -> Probed: ...

    def adopt(self, found: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Connected(Protocol):
    """A model that keeps connections open."""

    async def aclose(self) -> None:
        """Close them, on the event loop that used them. The model can be used again."""
        ...


class Scorer(Protocol):
    """One check of an image, some against a text. Made by a ScorerClass."""

    identity: str
    reads_text: bool

    async def score(self, image: Path, text: str) -> float: ...


class ScorerClass(Protocol):
    """A scorer's class, which also says how its scores are judged: thresholds differ between models."""

    lower_is_better: bool
    blocking: bool  # an image that fails is never kept
    thresholds: Mapping[str, float]  # known thresholds by `model`

    def __call__(self, settings: ScorerSettings) -> Scorer:
        """Make the scorer. Raises ScorerError or WeightsError if its model cannot be found."""
        ...


class JudgedScorer(Scorer, Protocol):
    """A scorer passed as an object, which itself says what a ScorerClass says of others."""

    threshold: float
    lower_is_better: bool
    blocking: bool  # an image that fails is never kept


class ImageTagger(Protocol):
    """Tell in words what is in an image, for a critic without vision."""

    identity: str

    async def tag_image(self, image: Path) -> Sequence[tuple[str, float]]: ...

    async def compare(self, image: Path, texts: Sequence[str]) -> Sequence[float]:
        """Return how well each text fits the image; of two, the larger value fits better."""


class Embedder(Protocol):
    """Embed images and texts in one space, as vectors of unit length."""

    identity: str

    async def embed_image(self, image: Path) -> list[float]: ...

    async def embed_text(self, text: str) -> list[float]: ...
