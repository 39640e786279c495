"""Numbered files of about one size, each of which is complete or not there."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from magid_agents.export.folder import OutputFolder

Opened = TypeVar("Opened")


@dataclass(frozen=True)
class Limits:
    """How much goes into one file."""

    items: int
    bytes: int = 500_000_000


class Shards(Generic[Opened]):
    """The files that one kind of thing is divided into.

    A file that an export completed before it was killed is kept: the same items would go into it again.

    Args:
        name: the files' name, in which `{}` stands for the number.
        open_shard: opens what writes to the file of that path, which is there only once it is complete.
    """

    def __init__(
        self,
        folder: OutputFolder,
        name: str,
        open_shard: Callable[[Path], AbstractContextManager[Opened]],
        limits: Limits,
    ) -> None:
        self._folder, self._name, self._limits = folder, name, limits
        self._open_shard = open_shard
        self._number = -1
        self._begin()

    def add(self, size: int) -> Opened | None:
        """Count an item of so many bytes; return what writes it, or None if it is written already."""
        if self._items >= self._limits.items or self._bytes >= self._limits.bytes:
            self._file.close()
            self._begin()
        self._items += 1
        self._bytes += size
        return self._opened

    def _begin(self) -> None:
        self._number += 1
        self._items = self._bytes = 0
        path = self._folder.path / self._name.format(f"{self._number:05d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._folder.enter(ExitStack())
        self._opened = None if path.exists() else self._file.enter_context(self._open_shard(path))
