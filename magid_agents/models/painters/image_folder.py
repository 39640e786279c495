"""Identify the images in a folder by content.

Copying the folder, renaming files or holding a file twice changes nothing. Digests are cached by path, size
and modification time, so that only new and changed files are read.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from magid_agents.models.painters.errors import PainterError
from magid_agents.models.progress import note
from magid_agents.resources import cache_folder
from magid_agents.store.rundir import atomic_write

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def images_by_digest(folder: Path | None) -> dict[str, Path]:
    """Return the folder's image files by the SHA-256 of their content, in the order of the digests.

    Includes subfolders. Of files with equal content, the one whose path sorts first is returned. Raises
    PainterError if the folder does not exist or holds no image.
    """
    if folder is None or not folder.is_dir():
        raise PainterError(f"painter.folder={folder}: name a folder of images to choose from")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise PainterError(f"painter.folder={folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    by_digest: dict[str, Path] = {}
    for path, digest in _digests(folder, paths):
        by_digest.setdefault(digest, path)
    return dict(sorted(by_digest.items()))


def _digests(folder: Path, paths: list[Path]) -> Iterator[tuple[Path, str]]:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    cache = cache_folder("retrieval") / f"{name}.json"
    known: dict[str, str] = json.loads(cache.read_text()) if cache.exists() else {}
    stamps = {path: _stamp(path, folder) for path in paths}
    fresh = {stamp: path for path, stamp in stamps.items() if stamp not in known}
    if fresh:
        note(f"reading {len(fresh)} images of {folder}, once")
        known |= {stamp: _digest(path) for stamp, path in fresh.items()}
        with writing_cache(cache) as file:
            file.write(json.dumps({stamp: known[stamp] for stamp in stamps.values()}).encode())
    return ((path, known[stamp]) for path, stamp in stamps.items())


def _stamp(path: Path, folder: Path) -> str:
    stat = path.stat()
    return f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}"


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PainterError(
            f"painter.folder: {path} cannot be read ({error.strerror}); take it out"
        ) from error


@contextmanager
def writing_cache(path: Path) -> Iterator[IO[bytes]]:
    """Yield a cache file to write, completely or not at all. Raises PainterError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        raise PainterError(
            f"{path}: cannot be written ({error.strerror}); set MAGID_CACHE to a writable folder"
        ) from error
