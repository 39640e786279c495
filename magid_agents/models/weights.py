"""Weights by name, verified: shipped inside the package, or fetched once into a cache.

Knows where weights lie and that no file is used before its digest was checked; knows no model.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import platformdirs
from filelock import FileLock

from magid_agents.models import download
from magid_agents.models.manifest import SHIPPED, File, Weights, WeightsError, entry, manifest

State = Literal["shipped", "cached", "missing", "corrupt"]

__all__ = ["State", "WeightsError", "cache", "ensure", "manifest", "status", "where"]


def cache() -> Path:
    """Where fetched weights lie; MAGID_CACHE overrules the platform's cache folder."""
    return Path(os.environ.get("MAGID_CACHE") or platformdirs.user_cache_dir("magid-agents")) / "weights"


def where(name: str) -> Path:
    """The entry's folder, whether or not its files are there."""
    return (SHIPPED if entry(name).shipped else cache()) / name


def status(name: str) -> State:
    """What is on disk now, without fetching; a changed file is hashed again."""
    weights, folder = entry(name), where(name)
    if not all((folder / f.path).exists() for f in weights.files):
        return "missing"
    if not all(_verified(folder, f) for f in weights.files):
        return "corrupt"
    return "shipped" if weights.shipped else "cached"


def ensure(name: str) -> Path:
    """The entry's folder with every file there and verified, fetched first where needed.

    Raises WeightsError for an unknown name, a wrong digest, no source or a full disk.
    """
    weights, folder = entry(name), where(name)
    state = status(name)
    if state in ("shipped", "cached"):
        return folder
    if weights.shipped:
        raise WeightsError(f"{folder}: shipped weights are {state}; reinstall magid-agents")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{name}.lock")):
            if status(name) != "cached":  # another process may have fetched them meanwhile
                _fetch(weights, folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            need = weights.bytes / 1e9
            raise WeightsError(
                f"no space left for {name} in {folder} ({need:.1f} GB, and as much again in the temporary "
                "folder); free some or set MAGID_CACHE to a larger disk"
            ) from error
        raise WeightsError(
            f"{name} cannot be stored: {error}; set MAGID_CACHE to a writable folder"
        ) from error
    return folder


def _fetch(weights: Weights, folder: Path) -> None:
    missing = [f for f in weights.files if not ((folder / f.path).exists() and _verified(folder, f))]
    need = sum(f.bytes for f in missing)
    if shutil.disk_usage(folder).free < need:
        raise OSError(errno.ENOSPC, "too little space")
    troubles: list[str] = []
    with _progress(weights.name, need) as advance:
        try:
            for file in missing:
                part = folder / f"{file.path}.partial"
                part.parent.mkdir(parents=True, exist_ok=True)
                download.from_hub(weights, file, part, advance)
                _accept(part, folder, file)
            return
        except (download.Unreachable, WeightsError) as error:
            troubles.append(f"hub: {error}")
    with _progress(weights.name, weights.bytes) as advance:
        try:
            arrived = download.from_mirror(weights, folder, advance)
            for file in weights.files:
                _accept(arrived[file.path], folder, file)
            return
        except (download.Unreachable, WeightsError) as error:
            troubles.append(f"mirror: {error}")
    raise WeightsError(
        f"{weights.name} cannot be fetched ({'; '.join(troubles)}); check the network and retry"
    )


def _accept(part: Path, folder: Path, file: File) -> None:
    """Give a downloaded file its name if its digest is right; delete it if not."""
    digest = _sha256(part)
    if digest != file.sha256:
        part.unlink()
        raise WeightsError(f"{file.path} has digest {digest[:12]}..., not {file.sha256[:12]}...")
    with part.open("rb") as f:
        os.fsync(f.fileno())
    target = folder / file.path
    part.replace(target)
    _stamp(folder, file)


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _verified(folder: Path, file: File) -> bool:
    """Whether the file has its digest; hashing is skipped while size, time and digest are as stamped."""
    path = folder / file.path
    if path.stat().st_size != file.bytes:
        return False
    stamps = _stamps(folder)
    if stamps.get(file.path) == [file.sha256, path.stat().st_mtime_ns]:
        return True
    if _sha256(path) != file.sha256:
        return False
    _stamp(folder, file)
    return True


def _stamps(folder: Path) -> dict[str, list[str | int]]:
    try:
        stamps: dict[str, list[str | int]] = json.loads((_stamp_file(folder)).read_text())
        return stamps
    except (OSError, ValueError):
        return {}


def _stamp(folder: Path, file: File) -> None:
    stamps = _stamps(folder) | {file.path: [file.sha256, (folder / file.path).stat().st_mtime_ns]}
    target = _stamp_file(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(stamps))
        beside.replace(target)
    except OSError:
        return  # a stamp only saves time: an unwritable cache means hashing again


def _stamp_file(folder: Path) -> Path:
    # Shipped folders may be read-only, and two installations must not share a stamp.
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return cache().parent / "verified" / f"{place}.json"


@contextmanager
def _progress(name: str, total: int) -> Iterator[download.Advance]:
    """A bar on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        print(f"fetching {name} ({total / 1e6:.0f} MB)", file=sys.stderr, flush=True)
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"fetching {name}", total=total)
        yield lambda count: bar.advance(task, count)
