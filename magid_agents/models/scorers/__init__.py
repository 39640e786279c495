"""Scorers by the name in `scorers.*.backend`. A new one takes a file here and a line in BACKENDS.

Other packages add theirs through the entry point group `magid_agents.scorers`; see models.protocols.
"""

from magid_agents.config import ConfigError, ScorerSettings
from magid_agents.models.contract import check_parts, construct
from magid_agents.models.hub import ScorerError
from magid_agents.models.protocols import Scorer, ScorerClass
from magid_agents.registry import Registry
from magid_agents.thresholds import UNSAFE, Threshold

BACKENDS = Registry(
    "magid_agents.scorers",
    {
        "open_clip": f"{__name__}.open_clip:MatchScorer",
        "quality": f"{__name__}.quality:QualityScorer",
        "laion": f"{__name__}.laion:LaionScorer",
        "pick": f"{__name__}.pick:PickScorer",
        "nsfw": f"{__name__}.nsfw:NsfwScorer",
    },
)


def build(check: str, settings: ScorerSettings) -> Scorer:
    """Return the scorer of one check, with its model's files found; heavy libraries are imported when needed.

    Raises ConfigError if the backend cannot be used for the check, ScorerError or WeightsError if the model
    cannot be found.
    """
    backend, told = _backend(check, settings), _told(check, settings)
    try:
        scorer = construct(lambda: backend(settings), told)
    except ScorerError as error:
        raise ScorerError(f"scorers.{check}: {error}") from error
    check_parts(scorer, Scorer, told)
    return scorer


def threshold(check: str, settings: ScorerSettings) -> Threshold:
    """Return the threshold of a check: the one in the settings, or else the model's own.

    Raises ConfigError if build() refuses the backend, no threshold is known, or the threshold is
    impossible.
    """
    backend = _backend(check, settings)
    value = settings.threshold if settings.threshold is not None else backend.thresholds.get(settings.model)
    if value is None:
        raise ConfigError(f"no threshold is known for {settings.model}; set scorers.{check}.threshold")
    try:
        return Threshold(check, value, backend.lower_is_better, backend.blocking)
    except ValueError as error:
        raise ConfigError(f"scorers.{check}.threshold={value:g}: {error}") from error


def _backend(check: str, settings: ScorerSettings) -> ScorerClass:
    backend: ScorerClass = BACKENDS.load(setting(check), settings.backend)
    check_parts(backend, ScorerClass, _told(check, settings))
    if settings.arguments and settings.backend in BACKENDS.shipped:
        raise ConfigError(f"{_told(check, settings)} takes no arguments; take out scorers.{check}.arguments")
    if check == UNSAFE and not (backend.blocking and backend.lower_is_better):
        raise ConfigError(
            f"{_told(check, settings)} does not score how unsafe an image is; choose "
            "one that does, such as nsfw"
        )
    return backend


def setting(check: str) -> str:
    """Return the setting that names a check's backend."""
    return f"scorers.{check}.backend"


def _told(check: str, settings: ScorerSettings) -> str:
    return f"{setting(check)}={settings.backend}"
