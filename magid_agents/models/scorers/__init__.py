"""Scorers by the backend name the settings give them. A new one is a file here and a line below."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from magid_agents.config import ConfigError
from magid_agents.config import Scorer as ScorerSettings

if TYPE_CHECKING:
    from magid_agents.services import Scorer

_BACKENDS = {
    "open_clip": "MatchScorer",
    "quality": "QualityScorer",
    "nsfw": "NsfwScorer",
}


def build(check: str, settings: ScorerSettings) -> "Scorer":
    """The scorer of one check; its backend's libraries are imported here and not before.

    Raises ConfigError for an unknown backend, and whatever the backend raises where it cannot load.
    """
    if settings.backend not in _BACKENDS:
        known = ", ".join(_BACKENDS)
        raise ConfigError(f"scorers.{check}.backend={settings.backend} is unknown; there are: {known}")
    module = import_module(f"{__name__}.{settings.backend}")
    make: Callable[[ScorerSettings], Scorer] = getattr(module, _BACKENDS[settings.backend])
    return make(settings)
