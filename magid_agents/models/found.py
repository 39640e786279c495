"""From settings to models: every one's files found, none of them loaded yet.

Knows which setting names which model; what each can do is its own file's.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from magid_agents.config import Chat, Remote, Settings
from magid_agents.models import painters, scorers
from magid_agents.models.chat import ChatError, OpenAIChat
from magid_agents.models.embedded_chat import EmbeddedChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.observer import MATCHER, MatcherObserver
from magid_agents.models.protocols import ChatModel, Observer, Painter, Scorer
from magid_agents.thresholds import Threshold

REACH = 10  # seconds an endpoint has to say that it is there


@dataclass(frozen=True)
class Models:
    """All models of a run."""

    chat: ChatModel
    painter: Painter
    scorers: Mapping[str, Scorer]
    thresholds: tuple[Threshold, ...]
    observer: Observer | None
    eyes: ChatModel | None = None
    policy: ChatModel | None = None

    @property
    def identities(self) -> dict[str, str]:
        """What each model is called in the journal, by its place in the settings."""
        names = {"chat": self.chat.identity, "painter": self.painter.identity}
        names |= {f"scorers.{check}": scorer.identity for check, scorer in self.scorers.items()}
        others = {"observer": self.observer, "critic.chat": self.eyes, "safety.policy": self.policy}
        return names | {place: model.identity for place, model in others.items() if model}


@contextmanager
def find(settings: Settings) -> Iterator[Models]:
    """The models of a run; what they started ends with the block.

    Raises a MagidError (ConfigError, ChatError, PainterError, WeightsError) that names the setting to change
    where one cannot be had.
    """
    limits = tuple(scorers.threshold(check, scorer) for check, scorer in settings.scorers.items())
    # A critic that cannot look is told what the embedded matcher sees, where that model is the match's too.
    sees = (settings.critic.chat or settings.chat).vision
    told = settings.critic.critique is not None and not sees
    match = settings.scorers.get("image_text_match")
    endpoints: dict[str | None, Endpoint] = {}

    def remote(chat: Chat, section: str) -> OpenAIChat:
        reach(chat, section)
        # Two models behind one address share what it can bear.
        endpoint = endpoints.setdefault(chat.base_url, Endpoint(chat.concurrency, chat.retries))
        return OpenAIChat(chat, section=section, endpoint=endpoint)

    if settings.painter.backend == "images_endpoint":
        reach(settings.painter, "painter")
    with ExitStack() as stack:
        chat: ChatModel
        if settings.chat.provider == "embedded":
            chat = stack.enter_context(EmbeddedChat(settings.chat))
        else:
            chat = remote(settings.chat, "chat")
        yield Models(
            chat=chat,
            eyes=remote(eyes, "critic.chat") if (eyes := settings.critic.chat) else None,
            policy=remote(policy, "safety.policy") if (policy := settings.safety.policy) else None,
            painter=painters.build(settings.painter),
            scorers={check: scorers.build(check, scorer) for check, scorer in settings.scorers.items()},
            thresholds=limits,
            observer=MatcherObserver(match.device) if told and match and match.model == MATCHER else None,
        )


def reach(settings: Remote, section: str) -> None:
    """Raises ChatError where the endpoint is not there or turns the key down.

    `section` names the settings that describe it.
    """
    base = (settings.base_url or "https://api.openai.com/v1").rstrip("/")
    key = settings.key()
    if key is None and settings.base_url is None:
        raise ChatError(
            f"{section}: {base} wants an API key; set the environment variable {settings.api_key_env}"
        )
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        status = httpx.get(f"{base}/models", headers=headers, timeout=REACH).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ChatError(
            f"{section}.base_url={base}: does not answer ({type(error).__name__}); start it or name another"
        ) from error
    if status in (401, 403):
        raise ChatError(
            f"{section}.base_url={base}: turns the key down ({status}); check the environment variable "
            f"{settings.api_key_env}"
        )
