"""Find the models that the settings name, with all their files, and load none of them yet."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from magid_agents.config import Chat, PainterSettings, ScorerSettings, Settings
from magid_agents.models import painters, scorers
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.embedded_chat import EmbeddedChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.own import NONE, OwnModels
from magid_agents.models.protocols import ChatModel, Connected, ImageTagger, Painter, Probing, Scorer
from magid_agents.models.reach import Listing, reach
from magid_agents.models.tagger import MATCHER, MatcherTagger
from magid_agents.models.unopened import UnopenedPainter
from magid_agents.thresholds import Threshold

IMAGES_ENDPOINT = "images_endpoint"  # the painter backend that is behind an address


@dataclass(frozen=True)
class Models:
    """All models of a run."""

    chat: ChatModel
    painter: Painter
    scorers: Mapping[str, Scorer]
    thresholds: tuple[Threshold, ...]
    tagger: ImageTagger | None
    vision_chat: ChatModel | None = None
    safety_chat: ChatModel | None = None

    @property
    def identities(self) -> dict[str, str]:
        """Each model's identity in the journal, by its place in the settings."""
        names = {"chat": self.chat.identity, "painter": self.painter.identity}
        names |= {f"scorers.{check}": scorer.identity for check, scorer in self.scorers.items()}
        others = {"observer": self.tagger, "critic.chat": self.vision_chat, "safety.policy": self.safety_chat}
        return names | {place: model.identity for place, model in others.items() if model}

    @property
    def capabilities(self) -> dict[str, dict[str, Any]]:
        """How each chat model that was probed must be asked, by its place in the settings."""
        chats = {"chat": self.chat, "critic.chat": self.vision_chat, "safety.policy": self.safety_chat}
        return {
            place: asdict(chat.capabilities)
            for place, chat in chats.items()
            if chat is not None and isinstance(chat, Probing)
        }

    async def aclose(self) -> None:
        """Close every model's connections. Call it on the event loop that used them."""
        for model in (self.chat, self.vision_chat, self.safety_chat, self.painter):
            if isinstance(model, Connected):
                await model.aclose()


@contextmanager
def open_models(settings: Settings, own: OwnModels = NONE) -> Iterator[Models]:
    """Yield the models of a run; whatever they start is ended with the block.

    Args:
        own: models that replace those the settings name, which are then not opened.

    Raises a MagidError (ConfigError, ChatError, PainterError, WeightsError) that names the setting to
    change if a model cannot be used.
    """
    with ExitStack() as stack:
        yield assemble(settings, own, _Opener(stack))


@contextmanager
def open_chat(settings: Settings) -> Iterator[Models]:
    """Yield the chat model alone, for work that asks nothing else. Raises ChatError or WeightsError."""
    with ExitStack() as stack:
        chat = _Opener(stack).chat(settings.chat, "chat")
        yield Models(chat, UnopenedPainter(), scorers={}, thresholds=(), tagger=None)


class Opener(Protocol):
    """Provides the models that the settings name."""

    def chat(self, settings: Chat, section: str) -> ChatModel: ...

    def painter(self, settings: PainterSettings) -> Painter: ...

    def scorer(self, check: str, settings: ScorerSettings) -> Scorer: ...

    def tagger(self, device: str) -> ImageTagger: ...


def assemble(settings: Settings, own: OwnModels, opener: Opener) -> Models:
    """Return the models of a run: those of `own`, all others from the opener. Raises what that raises."""
    _check_backends(settings)
    checks = {check: scorer for check, scorer in settings.scorers.items() if check not in own.scorers}
    thresholds = (*(scorers.threshold(check, scorer) for check, scorer in checks.items()), *own.thresholds)
    # A critic without vision is told what the embedded matcher sees, if that model also scores the match.
    vision_chat, policy = settings.critic.chat, settings.safety.policy
    sees = (vision_chat or own.chat or settings.chat).vision
    told = settings.critic.critique is not None and not sees
    match = embedded_match(checks)
    return Models(
        chat=own.chat or opener.chat(settings.chat, "chat"),
        vision_chat=opener.chat(vision_chat, "critic.chat") if vision_chat else None,
        safety_chat=opener.chat(policy, "safety.policy") if policy else None,
        painter=own.painter or opener.painter(settings.painter),
        scorers={check: opener.scorer(check, scorer) for check, scorer in checks.items()} | dict(own.scorers),
        thresholds=thresholds,
        tagger=opener.tagger(match.device) if told and match else None,
    )


def embedded_match(checks: Mapping[str, ScorerSettings]) -> ScorerSettings | None:
    """Return the match scorer if it is the embedded matcher, which can also tell what it sees."""
    match = checks.get("image_text_match")
    return match if match and match.model == MATCHER else None


def _check_backends(settings: Settings) -> None:
    """Raise ConfigError for a mistyped name before any backend, which may be large, is imported."""
    painters.BACKENDS.check(painters.SETTING, settings.painter.backend)
    for check, scorer in settings.scorers.items():
        scorers.BACKENDS.check(scorers.setting(check), scorer.backend)


class _Opener:
    """Finds every model's files and contacts every server.

    Equal settings of a chat model share it, equal addresses share concurrency limits.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._models: dict[Chat, ChatModel] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._listings: dict[tuple[str, str | None], Listing] = {}

    def chat(self, settings: Chat, section: str) -> ChatModel:
        """Return the model of a section. Raises ChatError or WeightsError if it cannot be used."""
        if settings not in self._models:
            if settings.provider == "embedded":
                model: ChatModel = self._stack.enter_context(EmbeddedChat(settings, section))
            else:
                model = self._remote(settings, section)
            self._models[settings] = model
        return self._models[settings]

    def painter(self, settings: PainterSettings) -> Painter:
        served = {}
        if settings.backend == IMAGES_ENDPOINT:
            listing = self._listing(settings, "painter", "images/generations")
            served["identity"] = listing.identity(settings.model)
        return painters.build(settings, **served)

    def scorer(self, check: str, settings: ScorerSettings) -> Scorer:
        return scorers.build(check, settings)

    def tagger(self, device: str) -> ImageTagger:
        return MatcherTagger(device)

    def _remote(self, settings: Chat, section: str) -> OpenAIChat:
        identity = self._listing(settings, section).identity(settings.model)
        endpoint = self._endpoints.setdefault(
            settings.address, Endpoint(settings.concurrency, settings.retries)
        )
        return OpenAIChat(settings, section=section, endpoint=endpoint, identity=identity)

    def _listing(
        self, settings: Chat | PainterSettings, section: str, path: str = "chat/completions"
    ) -> Listing:
        """Contact an address, once for all models behind it. Raises ChatError."""
        place = (settings.address, settings.key_variable)
        if place not in self._listings:
            self._listings[place] = reach(settings, section, path)
        return self._listings[place]
