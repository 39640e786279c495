"""Fetch the files of the models that settings name, before a run needs them."""

from collections.abc import Iterator

from magid_agents.config import Settings
from magid_agents.models import embedded_chat, painters, scorers, weights
from magid_agents.models.build import IMAGES_ENDPOINT


def fetch_models(settings: Settings) -> Iterator[tuple[str, str]]:
    """Fetch what is missing here, and yield each model's place in the settings and its identity.

    Models behind an endpoint are left to their server. Raises a MagidError (WeightsError, PainterError,
    ScorerError, ChatError) if files cannot be fetched.
    """
    for section, chat in settings.chats.items():
        if chat.provider == "embedded":
            identity = embedded_chat.identity(chat, section)
            weights.ensure(chat.model)
            yield section, identity
    if settings.painter.backend != IMAGES_ENDPOINT:
        yield "painter", painters.build(settings.painter).identity
    for check, scorer in settings.scorers.items():
        yield f"scorers.{check}", scorers.build(check, scorer).identity
