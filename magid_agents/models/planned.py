"""Find the models of a run that is only planned: none is loaded, downloaded or called.

Models on this machine are found as for a run. What only a server or a download could tell is taken from an
earlier run's record. Without a record, a placeholder takes the model's place, and all of its calls are new.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from magid_agents.config import Chat, PainterSettings, ScorerSettings, Settings
from magid_agents.errors import MagidError, first_line
from magid_agents.models import embedded_chat, painters, scorers, weights
from magid_agents.models.build import IMAGES_ENDPOINT, Models, assemble
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.hub import ScorerError
from magid_agents.models.manifest import WeightsError
from magid_agents.models.own import NONE
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.protocols import ChatModel, ImageTagger, Painter, Probing, Scorer
from magid_agents.models.tagger import MatcherTagger
from magid_agents.models.unopened import NOT_KNOWN, UnopenedPainter, UnopenedScorer, UnopenedTagger

NOT_HERE = (WeightsError, PainterError, ScorerError)
Probed = Callable[[Probing], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Recorded:
    """What earlier runs recorded of models that are still set, by place in the settings."""

    identities: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    painter: Mapping[str, Any] = field(default_factory=dict)  # as run.json has it

    def extend(self, other: "Recorded") -> "Recorded":
        """Return it with what only the other one has."""
        return Recorded(
            {**other.identities, **self.identities},
            {**other.capabilities, **self.capabilities},
            self.painter or other.painter,
        )


def find_models(settings: Settings, recorded: Recorded, probed: Probed) -> tuple[Models, dict[str, str]]:
    """Return the models, and for those not fully known the reason, by place in the settings.

    Args:
        probed: returns the recorded result of probing a model's server; None if there is none.

    Raises what building a model raises, but for missing files: such as ConfigError for an unknown backend.
    """
    finder = _Finder(recorded, probed)
    with weights.without_fetching():
        return assemble(settings, NONE, finder), finder.notes


class _Finder:
    """A models.build.Opener."""

    def __init__(self, recorded: Recorded, probed: Probed) -> None:
        self._recorded, self._probed = recorded, probed
        self.notes: dict[str, str] = {}

    def chat(self, settings: Chat, section: str) -> ChatModel:
        if settings.provider == "embedded":
            identity: str | None = embedded_chat.identity(settings, section)
            return OpenAIChat(
                settings, section=section, identity=identity, capabilities=embedded_chat.CAPABILITIES
            )
        identity = self._recorded.identities.get(section)
        if identity is not None:
            model = OpenAIChat(settings, section=section, identity=identity)
            found = self._probed(model) or self._recorded.capabilities.get(section)
            if found is not None:
                model.adopt(found)
                return model
        self._note_unasked(section)
        return OpenAIChat(settings, section=section, identity=NOT_KNOWN, capabilities=Capabilities())

    def painter(self, settings: PainterSettings) -> Painter:
        identity = self._recorded.identities.get("painter")
        told = {"identity": identity} if settings.backend == IMAGES_ENDPOINT and identity else {}
        try:
            painter = painters.build(settings, **told)
        except NOT_HERE as error:
            return UnopenedPainter(self._note_not_here("painter", error), self._recorded.painter)
        if isinstance(painter, Probing):
            found = self._probed(painter) if settings.backend != IMAGES_ENDPOINT or identity else None
            if found is None:
                self._note_unasked("painter")
                return UnopenedPainter(NOT_KNOWN, {})
            painter.adopt(found)
        return painter

    def scorer(self, check: str, settings: ScorerSettings) -> Scorer:
        try:
            return scorers.build(check, settings)
        except NOT_HERE as error:
            backend = scorers.BACKENDS.load(scorers.setting(check), settings.backend)
            identity = self._note_not_here(f"scorers.{check}", error)
            return UnopenedScorer(identity, getattr(backend, "reads_text", True))

    def tagger(self, device: str) -> ImageTagger:
        try:
            return MatcherTagger(device)
        except NOT_HERE as error:
            return UnopenedTagger(self._note_not_here("observer", error))

    def _note_unasked(self, place: str) -> None:
        self.notes[place] = "only its endpoint can tell what it is; all of its calls count as new"

    def _note_not_here(self, place: str, error: MagidError) -> str:
        """Return the identity of a model whose files are missing here."""
        identity = self._recorded.identities.get(place)
        means = "it is taken from run.json" if identity else "all of its calls count as new"
        self.notes[place] = f"{first_line(error)}; {means}"
        return identity or NOT_KNOWN
