"""Placeholders for models that are not opened, because nothing asks them anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents.models.hub import ScorerError
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.protocols import PaintedImage

NOT_KNOWN = "not known"  # identity of a placeholder


class UnopenedPainter:
    """A painter that cannot paint. Its token limit is not known, so every prompt fits."""

    token_limit: int | None = None
    sampled = True

    def __init__(self, identity: str = NOT_KNOWN, recorded: Mapping[str, Any] | None = None) -> None:
        """Stand in for a painter; `recorded` is what a run recorded of it."""
        recorded = recorded or {}
        self.identity = identity
        self.parameters: Mapping[str, Any] = recorded.get("parameters", {})
        self.reproducible: bool = recorded.get("reproducible", True)

    def count_tokens(self, prompt: str) -> int:  # noqa: ARG002  (the protocol's argument)
        return 0

    async def paint(self, prompt: str, seed: int) -> PaintedImage:  # noqa: ARG002  (the protocol's arguments)
        raise PainterError("painter: is not opened")


@dataclass
class UnopenedScorer:
    """A scorer that cannot score."""

    identity: str
    reads_text: bool

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (the protocol's arguments)
        raise ScorerError("scorers: are not opened")


@dataclass
class UnopenedTagger:
    """A tagger that cannot look at images."""

    identity: str

    async def tag_image(self, image: Path) -> list[tuple[str, float]]:  # noqa: ARG002  (the protocol's)
        raise ScorerError("observer: is not opened")

    async def compare(self, image: Path, texts: Sequence[str]) -> list[float]:  # noqa: ARG002  (the protocol's)
        raise ScorerError("observer: is not opened")
