"""Explain what is wrong with a user's file or settings, and suggest the key that was meant."""

import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from magid_agents.errors import unknown


@dataclass(frozen=True)
class Formerly:
    """Annotate a field with its earlier name, so that the error for that name suggests the new one."""

    name: str


def explain(error: ValidationError, model: type[BaseModel], kind: str) -> str:
    """Explain in one line which keys cannot be used, and why, never quoting their values.

    Args:
        model: what was validated.
        kind: what to call a key of it, such as "setting".
    """
    return " ".join(dict.fromkeys(_sentences(error, model, kind)))


def types_at(path: Sequence[str], model: type[BaseModel]) -> list[Any]:
    """Return the types that the value at this path of a model may have; none if the path is unknown."""
    kinds: list[Any] = [model]
    for part in path:
        below = [_type_below(kind, part) for kind in kinds]
        kinds = [member for kind in below if kind is not None for member in _members(kind)]
    return kinds


def _sentences(error: ValidationError, model: type[BaseModel], kind: str) -> Iterator[str]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        path, why = [str(part) for part in one["loc"]], one["msg"].removeprefix("Value error, ")
        if path and len(types_at(path[:-1], model)) > 1 and not types_at(path, model):
            del path[-1]  # pydantic's name for one of several types, which is no part of the setting's
        if one["type"] == "extra_forbidden":
            above = "".join(f"{part}." for part in path[:-1])
            fields = _fields(types_at(path[:-1], model))
            renamed = {
                above + former.name: above + name
                for name, field in fields.items()
                for former in field.metadata
                if isinstance(former, Formerly)
            }
            yield unknown(kind, ".".join(path), [above + name for name in fields], renamed=renamed)
        elif path:
            yield f"{kind.capitalize()} {'.'.join(path)!r} cannot be used: {why}."
        else:
            yield f"The {kind}s cannot be used: {why}."


def _type_below(kind: Any, part: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(part)
        return field.annotation if field else None
    return get_args(kind)[1] if get_origin(kind) is dict else None


def _members(kind: Any) -> Sequence[Any]:
    if get_origin(kind) is Literal:
        return [type(value) for value in get_args(kind)]
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fields(kinds: Iterable[Any]) -> dict[str, FieldInfo]:
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return {name: field for model in models for name, field in model.model_fields.items()}
