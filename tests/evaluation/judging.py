"""Judges of fake runs."""

from pathlib import Path

from magid_agents.evaluation.judges import Judges
from magid_agents.evaluation.scoring import NamedScorer
from magid_agents.models.fakes import FakeScorer


def shows(prompt: str, text: str) -> float:
    """Return 0.5 if the text names what the prompt does, and 0.2 more for a prompt that says it is better."""
    return 0.2 * ("better" in prompt) + 0.5 * (prompt.split(",")[0] in text)


class FakeEmbedder:
    """Gives each image and each text an axis of its own."""

    identity = "fake-embedder"

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    async def embed_image(self, image: Path) -> list[float]:
        return self._axis(image.name)

    async def embed_text(self, text: str) -> list[float]:
        return self._axis(text)

    def _axis(self, item: str) -> list[float]:
        place = self.known.setdefault(item, len(self.known))
        return [float(place == i) for i in range(32)]


def judges() -> Judges:
    scorers = (
        NamedScorer("image_text_match", FakeScorer(shows, identity="fake-match")),
        NamedScorer("held_out", FakeScorer(shows, identity="fake-held-out")),
    )
    return Judges(scorers, FakeEmbedder())
