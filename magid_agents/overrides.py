"""Parse single settings: `--set chat.model=x`, and MAGID_CHAT__MODEL=x in the environment.

A value is parsed as JSON if possible, such as `painter.arguments={"eta": 0}`, and taken as plain text
otherwise. If the setting is a string, the value is always plain text, so that a revision of digits needs no
quotes.
"""

import json
import os
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from magid_agents.errors import ConfigError, did_you_mean, unknown
from magid_agents.text import printable
from magid_agents.validation import types_at

NULL = "null"
PREFIX, NESTED = "MAGID_", "__"
NOT_SETTINGS = {"MAGID_CACHE"}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`, table by table."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        out[key] = merge(below, value) if both else value  # type: ignore[arg-type]  # both are tables
    return out


def from_flags(items: Iterable[str], settings: type[BaseModel]) -> dict[str, Any]:
    """Parse `key.path=value` items. A part of the path that contains a dot is quoted, as in TOML.

    Raises ConfigError for an item of any other form.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        try:
            path = list(_keys(tomllib.loads(f"{key} = 0"))) if equals else []
        except tomllib.TOMLDecodeError:
            path = []
        if not path:
            raise ConfigError(f"--set {printable(item)}: must be key.path=value, such as seed=1")
        out = merge(out, _nested(path, text, settings))
    return out


def from_environment(settings: type[BaseModel]) -> dict[str, Any]:
    """Read all MAGID_ variables that name a setting, in upper or lower case.

    Raises ConfigError for an unknown nested name, and for one that is close to a setting's. Others are
    ignored, as they may belong to something else: Kubernetes sets MAGID_PORT for a service called magid.
    """
    out: dict[str, Any] = {}
    for name, text in sorted(os.environ.items()):
        if not name.upper().startswith(PREFIX) or name.upper() in NOT_SETTINGS:
            continue
        path = name[len(PREFIX) :].lower().split(NESTED)
        if path[0] in settings.model_fields:
            out = merge(out, _nested(path, text, settings))
        elif len(path) > 1 or did_you_mean(path[0], settings.model_fields):
            raise ConfigError(f"{printable(name)}: {unknown('setting', path[0], settings.model_fields)}")
    return out


def with_nulls(
    table: Mapping[str, Any], settings: type[BaseModel], section: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a table with None in place of the text `null`, where a setting can be null: TOML has no null."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        path = [*section, key]
        if isinstance(value, Mapping):
            out[key] = with_nulls(value, settings, path)
        else:
            out[key] = _value(value, types_at(path, settings)) if value == NULL else value
    return out


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    while isinstance(table, dict):
        ((key, table),) = table.items()
        yield key


def _nested(path: Sequence[str], text: str, settings: type[BaseModel]) -> dict[str, Any]:
    value = _value(text, types_at(path, settings))
    for part in reversed(path):
        value = {part: value}
    return value


def _value(text: str, kinds: Sequence[Any]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, str) or (value is None and types.NoneType in kinds):
        return value
    return text if str in kinds or Path in kinds else value
