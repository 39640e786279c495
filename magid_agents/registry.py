"""Find parts of the program by name, both those that ship and those of other packages.

A package adds a part by an entry point in the registry's group. A part without an entry point can be named
as `package.module:Class`.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any

from magid_agents.errors import ConfigError, did_you_mean, first_line, unknown

SHIPPED_BY = "magid-agents"


@dataclass(frozen=True)
class Registry:
    """The available parts of one kind.

    Args:
        group: the group of the entry points, such as "magid_agents.painters".
        shipped: the parts that ship, each as `package.module:attribute`, by name.
        otherwise: what may be given instead of a name, for messages.
    """

    group: str
    shipped: Mapping[str, str]
    otherwise: str = "or package.module:Class"

    def names(self) -> list[str]:
        """List all names, the shipped ones first, without importing anything."""
        added = {entry.name for entry in _installed(self.group, tuple(sys.path))}
        return [*self.shipped, *sorted(added - self.shipped.keys())]

    def check(self, setting: str, name: str) -> None:
        """Raise ConfigError if a name is unknown or provided twice, without importing anything.

        Args:
            setting: where the name was given, for messages.
        """
        self._find(setting, name)

    def load(self, setting: str, name: str) -> Any:
        """Import the part of that name.

        Raises ConfigError if the name is unknown or provided twice, or if it cannot be imported.
        """
        return import_object(self._find(setting, name), f"{setting}={name}")

    def _find(self, setting: str, name: str) -> str:
        if ":" in name:
            return name
        found = list(self._providers(name))
        if not found:
            raise ConfigError(unknown(setting, name, self.names(), self.otherwise))
        if len(found) > 1:
            packages = " and ".join(package for package, _ in found)
            raise ConfigError(
                f"{setting}={name}: the name is taken more than once, by {packages}; uninstall one of them, "
                "or write package.module:Class"
            )
        return found[0][1]

    def _providers(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield every package that provides the name, and the reference to its part."""
        if name in self.shipped:
            yield SHIPPED_BY, self.shipped[name]
        for entry in _installed(self.group, tuple(sys.path)):
            if entry.name == name:
                yield entry.dist.name if entry.dist else "an unnamed package", entry.value


def import_object(reference: str, told: str) -> Any:
    """Import `package.module:attribute`.

    Args:
        told: prefix of the messages: where the reference was given.

    Raises ConfigError if it does not exist or its module cannot be imported.
    """
    name, _, attribute = reference.partition(":")
    if not all(part.isidentifier() for part in (*name.split("."), *attribute.split("."))):
        raise ConfigError(f"{told}: must be of the form package.module:Class")
    try:
        module = import_module(name)
    except Exception as error:  # a third-party module may raise anything; the message blames that module
        raise ConfigError(f"{told}: {_why_not_imported(name, error)}") from error
    try:
        return attrgetter(attribute)(module)
    except AttributeError as error:
        near = did_you_mean(attribute, vars(module))
        hint = f". Did you mean {near!r}?" if near else ""
        raise ConfigError(f"{told}: module {name} has no {attribute!r}{hint}") from error


@cache  # reads every installed package's metadata, which does not change while a process runs
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001  (in the cache key)
    return tuple(entry_points(group=group))


def _why_not_imported(name: str, error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{name}.".startswith(f"{missing}."):
        return f"there is no module {missing}; install its package, or put its folder on PYTHONPATH"
    return f"module {name} cannot be imported: {type(error).__name__}: {first_line(error)}"
