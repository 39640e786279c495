"""Construct models of other packages, and check them against their protocol before a run uses them."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TypeVar, get_type_hints

from magid_agents.errors import ConfigError, MagidError, first_line

Made = TypeVar("Made")

CHECKED_TYPES = (str, bool)  # attribute types that are checked; any others are duck-typed


def construct(make: Callable[[], Made], told: str) -> Made:
    """Return what `make` returns. A MagidError passes through; anything else becomes a ConfigError."""
    try:
        return make()
    except MagidError:
        raise
    except Exception as error:  # a third-party class may raise anything
        raise ConfigError(f"{told}: cannot be made: {type(error).__name__}: {first_line(error)}") from error


def check_parts(thing: object, protocol: type, told: str) -> None:
    """Raise ConfigError if parts of the protocol are missing or of another type; the message names them.

    Args:
        told: prefix of the message: the setting that named the object.
    """
    hints = get_type_hints(protocol)
    methods = {name: part for name, part in vars(protocol).items() if not name.startswith("_")}
    where = f"see {protocol.__name__} in {protocol.__module__}"
    if missing := [name for name in {**hints, **methods} if not _has(thing, name)]:
        raise ConfigError(f"{told}: lacks {', '.join(missing)}; {where}")
    for name, part in methods.items():
        if iscoroutinefunction(part) and not iscoroutinefunction(getattr(thing, name)):
            raise ConfigError(f"{told}: {name} must be an `async def`; {where}")
    for name, kind in hints.items():
        if kind in CHECKED_TYPES and not isinstance(getattr(thing, name), kind):
            raise ConfigError(f"{told}: {name} must be a {kind.__name__}; {where}")


def _has(thing: object, name: str) -> bool:
    """Return whether the attribute exists, without evaluating a property, which may need a probe first."""
    return hasattr(type(thing), name) or hasattr(thing, name)
