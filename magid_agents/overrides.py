"""Single settings given as text: `--set chat.model=x` and MAGID_CHAT__MODEL=x in the environment.

The text is JSON where it can be, as in `painter.arguments={"eta": 0}`, and is else taken as it stands. For a
setting that is a string it always stands for itself, so that a revision of digits needs no quotes.
"""

import json
import os
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from magid_agents.errors import ConfigError, did_you_mean, unknown
from magid_agents.text import printable

PREFIX, NESTED = "MAGID_", "__"
NOT_SETTINGS = {"MAGID_CACHE"}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`, table by table."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        out[key] = merge(below, value) if both else value  # type: ignore[arg-type]  # both are tables
    return out


def from_flags(items: Iterable[str], settings: type[BaseModel]) -> dict[str, Any]:
    """Parse `key.path=value` items; a part of the path that holds a dot is quoted, as in TOML.

    Raises ConfigError for an item of another form.
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
    """Read every MAGID_ variable that names a setting, in any case.

    Raises ConfigError for a nested name, or one much like a setting's, that is none. Other names may belong
    to somebody else: Kubernetes sets MAGID_PORT for a service that is called magid.
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


def explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """Say in one line which settings cannot be used, and why; never with their values."""
    return " ".join(dict.fromkeys(_sentences(error, settings)))


def _sentences(error: ValidationError, settings: type[BaseModel]) -> Iterator[str]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        path, why = [str(part) for part in one["loc"]], one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            above = path[:-1]
            known = [".".join([*above, name]) for name in _fields(_kinds(above, settings))]
            yield unknown("setting", ".".join(path), known)
        elif path:
            yield f"Setting {'.'.join(path)!r} cannot be used: {why}."
        else:
            yield f"The settings cannot be used: {why}."


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    while isinstance(table, dict):
        ((key, table),) = table.items()
        yield key


def _nested(path: Sequence[str], text: str, settings: type[BaseModel]) -> dict[str, Any]:
    value = _value(text, _kinds(path, settings))
    for part in reversed(path):
        value = {part: value}
    return value


def _value(text: str, kinds: Sequence[Any]) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, str) or (value is None and types.NoneType in kinds):
        return value
    return text if str in kinds or Path in kinds else value


def _kinds(path: Sequence[str], settings: type[BaseModel]) -> list[Any]:
    """The types that a setting may have, of a union each; none for an unknown setting."""
    kinds: list[Any] = [settings]
    for part in path:
        below = [_step(kind, part) for kind in kinds]
        kinds = [one for kind in below if kind is not None for one in _members(kind)]
    return kinds


def _step(kind: Any, part: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(part)
        return field.annotation if field else None
    return get_args(kind)[1] if get_origin(kind) is dict else None


def _members(kind: Any) -> Sequence[Any]:
    if get_origin(kind) is Literal:
        return [type(value) for value in get_args(kind)]
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fields(kinds: Iterable[Any]) -> list[str]:
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [name for model in models for name in model.model_fields]
