"""Identify input files by content, so that they can be moved, and appended to."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from magid_agents.text import encodable

CHUNK_BYTES = 1 << 20


class InputFile(BaseModel):
    """One input, as recorded in the manifest."""

    model_config = ConfigDict(frozen=True)

    name: str  # generated ids and `source` depend on it
    path: str  # where it was found; for information only
    bytes: int | None = None
    sha256: str | None = None  # None if it can be read only once, such as a pipe

    @classmethod
    def describe(cls, path: Path) -> Self:
        """Read a regular file completely; leave anything else to the run. Raises OSError."""
        name, where = encodable(path.name), encodable(str(path.absolute()))
        if not path.is_file():
            return cls(name=name, path=where)
        size, sha256 = _digest(path)
        return cls(name=name, path=where, bytes=size, sha256=sha256)

    def is_at(self, path: Path) -> bool:
        """Return whether the file at `path` is this input, possibly with more at its end.

        Content that was not recorded is not compared.
        """
        if encodable(path.name) != self.name or not path.is_file():
            return False
        return self.sha256 is None or _digest(path, self.bytes) == (self.bytes, self.sha256)


def differences(
    before: Sequence[InputFile], now: Sequence[InputFile], paths: Sequence[Path] = ()
) -> list[str]:
    """Describe how the inputs differ. Content that was not recorded is not compared.

    Args:
        paths: where the inputs are now, if they may have grown at their ends.
    """
    if (old := [file.name for file in before]) != (new := [file.name for file in now]):
        return [f"inputs: {', '.join(old)} -> {', '.join(new)}"]
    found = []
    for i, (recorded, file) in enumerate(zip(before, now, strict=True)):
        if recorded.sha256 in (None, file.sha256) or (paths and recorded.is_at(paths[i])):
            continue
        found.append(f"input {file.name} was changed")
    return found


def _digest(path: Path, limit: int | None = None) -> tuple[int, str]:
    """Return size and SHA-256 of a file, or of its first `limit` bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES if limit is None else min(CHUNK_BYTES, limit - size)):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
