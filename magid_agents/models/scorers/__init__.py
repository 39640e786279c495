"""Scorers by the backend name the settings give them. A new one is a file here and a line below.

Besides what the protocol asks, a backend says which way its scores go (`lower_is_better`), whether failing
it rules a candidate out (`blocking`), and the thresholds known for its models: none holds for another model.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from magid_agents.config import ConfigError, ScorerSettings
from magid_agents.models.hub import ScorerError
from magid_agents.models.protocols import Scorer
from magid_agents.thresholds import UNSAFE, Threshold

_BACKENDS = {
    "open_clip": "MatchScorer",
    "quality": "QualityScorer",
    "laion": "LaionScorer",
    "pick": "PickScorer",
    "nsfw": "NsfwScorer",
}


class Backend(Protocol):
    """A scorer's class."""

    lower_is_better: bool
    blocking: bool
    thresholds: Mapping[str, float]

    def __call__(self, settings: ScorerSettings) -> Scorer: ...


def build(check: str, settings: ScorerSettings) -> Scorer:
    """Return one check's scorer, its model's files found; its libraries are imported when they are needed.

    Raises ConfigError for a backend that is unknown or cannot score the check, ScorerError or WeightsError if
    the model cannot be found.
    """
    try:
        return _backend(check, settings)(settings)
    except ScorerError as error:
        raise ScorerError(f"scorers.{check}: {error}") from error


def threshold(check: str, settings: ScorerSettings) -> Threshold:
    """Return what a check's scores are held against: the threshold that is set, else the model's.

    Raises ConfigError for a backend that build() refuses, if no threshold is known, and if it is impossible.
    """
    backend = _backend(check, settings)
    value = settings.threshold if settings.threshold is not None else backend.thresholds.get(settings.model)
    if value is None:
        raise ConfigError(f"no threshold is known for {settings.model}; set scorers.{check}.threshold")
    try:
        return Threshold(check, value, backend.lower_is_better, backend.blocking)
    except ValueError as error:
        raise ConfigError(f"scorers.{check}.threshold={value:g}: {error}") from error


def _backend(check: str, settings: ScorerSettings) -> Backend:
    if settings.backend not in _BACKENDS:
        known = ", ".join(_BACKENDS)
        raise ConfigError(f"scorers.{check}.backend={settings.backend} is unknown; there are: {known}")
    module = import_module(f"{__name__}.{settings.backend}")
    backend: Backend = getattr(module, _BACKENDS[settings.backend])
    if check == UNSAFE and not (backend.blocking and backend.lower_is_better):
        raise ConfigError(
            f"scorers.{check}.backend={settings.backend} does not score how unsafe an image is; choose "
            "one that does, such as nsfw"
        )
    return backend
