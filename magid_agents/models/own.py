"""Models that a caller passes as objects, instead of those that the settings name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from magid_agents.errors import ConfigError
from magid_agents.models.contract import check_parts
from magid_agents.models.protocols import ChatModel, JudgedScorer, Painter, Scorer
from magid_agents.thresholds import Threshold


@dataclass(frozen=True)
class OwnModels:
    """A caller's own models, checked. Raises ConfigError for the first that lacks a part of its protocol.

    `scorers` are by check: a scorer for a check in the settings replaces theirs, others are added.
    """

    chat: ChatModel | None = None
    painter: Painter | None = None
    scorers: Mapping[str, JudgedScorer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.chat is not None:
            _check(self.chat, "chat", ChatModel)
        if self.painter is not None:
            _check(self.painter, "painter", Painter)
        if not isinstance(self.scorers, Mapping):
            raise ConfigError('scorers: must be a dict of scorers by check, such as {"aesthetics": scorer}')
        for check, scorer in self.scorers.items():
            _check(scorer, f"scorers[{check!r}]", Scorer, JudgedScorer)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds of these scorers. Raises ConfigError if one is impossible."""
        return tuple(_threshold(check, scorer) for check, scorer in self.scorers.items())


NONE = OwnModels()


def _threshold(check: str, scorer: JudgedScorer) -> Threshold:
    try:
        return Threshold(check, float(scorer.threshold), scorer.lower_is_better, scorer.blocking)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"scorers[{check!r}]: {error}") from error


def _check(thing: object, told: str, *protocols: type) -> None:
    if isinstance(thing, type):
        raise ConfigError(f"{told}: {thing.__name__} is a class; give an object, such as {thing.__name__}()")
    for protocol in protocols:
        check_parts(thing, protocol, f"{told}: {type(thing).__name__}")
