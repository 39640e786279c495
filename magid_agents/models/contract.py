"""Construct models of other packages, and check that they have every part before a run uses them."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TypeVar, get_type_hints

from magid_agents.errors import ConfigError, MagidError, first_line

Made = TypeVar("Made")

CHECKED_TYPES = (str, bool)  # of attributes; the rest may be anything that behaves alike


def construct(make: Callable[[], Made], told: str) -> Made:
    """Return what `make` makes. A MagidError is raised as it is, anything else as a ConfigError."""
    try:
        return make()
    except MagidError:
        raise
    except Exception as error:  # whatever somebody's class raises
        raise ConfigError(f"{told}: cannot be made: {type(error).__name__}: {first_line(error)}") from error


def check_parts(thing: object, protocol: type, told: str) -> None:
    """Raise ConfigError, which names the first part that is missing or of another kind.

    Args:
        told: how the message begins: the setting that named the object.
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
    """Return whether there is an attribute; a property is not evaluated, as it may need a probe first."""
    return hasattr(type(thing), name) or hasattr(thing, name)
