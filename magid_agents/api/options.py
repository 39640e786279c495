"""Turn the arguments of the API's functions into settings, paths and models."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from magid_agents import config
from magid_agents.config import ConfigError, Settings
from magid_agents.models.own import OwnModels
from magid_agents.models.protocols import ChatModel, JudgedScorer, Painter

PathLike = str | os.PathLike[str]


def load_settings(
    profile: PathLike, preset: str, settings: Mapping[str, Any], graph: str | None, seed: int | None
) -> Settings:
    """Load settings as the command does, from its layers and `settings` over them.

    Args:
        settings: values by dotted name, such as {"budget.attempts": 2}.

    Raises ConfigError for an unknown profile, preset or setting, and for a value of the wrong type.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError('settings: must be a dict of values by name, such as {"budget.attempts": 2}')
    named = {"graph": graph, "seed": seed}
    given = {name: value for name, value in named.items() if value is not None} | dict(settings)
    overrides = [f"{name}={json.dumps(value, default=str)}" for name, value in given.items()]
    return config.load(os.fspath(profile), preset, overrides)


def own_models(
    chat: ChatModel | None, painter: Painter | None, scorers: Mapping[str, JudgedScorer] | None
) -> OwnModels:
    """Return the caller's models. Raises ConfigError for one that cannot be used."""
    return OwnModels(chat, painter, {} if scorers is None else scorers)


def to_path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def to_paths(paths: object, name: str) -> list[Path]:
    """Return one path, or those of an iterable, as a list. Raises ConfigError if anything else is in it.

    Args:
        name: of the argument that has them.
    """
    several = paths if isinstance(paths, Iterable) and not isinstance(paths, str) else [paths]
    return [_path(path, name) for path in several]


def _path(path: object, name: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"{name}: {path!r:.60} is a {type(path).__name__} and not a path")
    return Path(path)
