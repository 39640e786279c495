"""The run directory: where each file lies, and writing them so that a kill leaves old or new, never half.

    run.json         manifest          dialogues.jsonl     finished dialogues, in input order
    failures.jsonl   failed dialogues  images/ab/*.png     by content
    journal.sqlite   calls and trace   rejected/ab/*.png   by content: what failed safety
    report.html      written at the end
    index.sqlite     made from the rest for lists and filters (reading/index.py), and made again at need

Knows paths and atomic writes; knows no model, no graph and no settings.
"""

import hashlib
import io
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from magid_agents.errors import StopRun
from magid_agents.store.manifest_migrations import SCHEMA, migrate

KEPT, REJECTED = "images", "rejected"  # an image lies in one of the two
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


class RunDirError(StopRun):
    """The directory cannot be used; the message says what to do."""


class RunDir:
    """One run's directory. Creating the object touches nothing.

    `reuse_dirs` are run directories whose images may be taken over, as the answers in their journals are.
    """

    def __init__(self, path: Path, reuse_dirs: Iterable[Path] = ()) -> None:
        self.path, self.reuse_dirs = path, tuple(reuse_dirs)
        self.manifest = path / "run.json"
        self.dialogues = path / "dialogues.jsonl"
        self.failures = path / "failures.jsonl"
        self.journal = path / "journal.sqlite"
        self.report = path / "report.html"
        self.index = path / "index.sqlite"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory and keep any other run out of it.

        Raises RunDirError where it cannot be written or another run holds it.
        """
        lock = self._acquire()
        try:
            yield
        finally:
            lock.release()

    def _acquire(self) -> FileLock:
        # Else a lock that one thread acquired could not be released by another.
        lock = FileLock(self.path / ".lock", thread_local=False)
        try:
            (self.path / KEPT).mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            for folder in (".", KEPT, REJECTED):
                for half in self.path.glob(f"{folder}/*.tmp"):
                    half.unlink()  # left by a run that was killed while it wrote
        except Timeout as error:
            raise RunDirError(
                f"{self.path}: another run is writing here; wait for it to end or choose another --out"
            ) from error
        except (FileExistsError, NotADirectoryError) as error:
            raise RunDirError(f"{self.path}: is not a directory; choose another --out") from error
        except OSError as error:
            raise RunDirError(
                f"{self.path}: cannot be written ({error.strerror}); choose another --out"
            ) from error
        return lock

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the content of run.json in the current schema, or None if the directory holds no run.

        Raises RunDirError if the file cannot be read, or was written by a newer version.
        """
        if not self.manifest.exists():
            return None
        try:
            content = json.loads(self.manifest.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it holds no object")
        except ValueError as error:
            raise RunDirError(
                f"{self.manifest}: is not valid JSON ({error}); restore it, or use --fresh or a new --out"
            ) from error
        if (version := content.get("schema", 1)) > SCHEMA:
            raise RunDirError(
                f"{self.manifest}: was written by a newer version (schema {version}); upgrade magid-agents"
            )
        try:
            return migrate(content)
        except (AttributeError, KeyError, TypeError) as error:
            raise RunDirError(
                f"{self.manifest}: is not a run's manifest ({error!r}); restore it, or use --fresh or a new "
                "--out"
            ) from error

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        write_atomically(self.manifest, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def remove_results(self) -> None:
        """Remove the result files and what is made of them; the journal can give them again."""
        for path in (self.dialogues, self.failures, self.report):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a run wrote here, and nothing else."""
        self.remove_results()
        self.manifest.unlink(missing_ok=True)
        for database in (self.journal, self.index):
            for path in self.path.glob(f"{database.name}*"):
                path.unlink()
        for folder in (KEPT, REJECTED):
            for path in self.path.glob(f"{folder}/??/*.png"):
                path.unlink()

    def image_path(self, sha256: str) -> Path:
        """Return where the image lies; its place in images/ if it is nowhere."""
        kept, rejected = (self.path / image_name(sha256, folder) for folder in (KEPT, REJECTED))
        return rejected if not kept.exists() and rejected.exists() else kept

    def image_name_of(self, sha256: str) -> str:
        """Return the image's path within this directory, wherever it lies there."""
        return self.image_path(sha256).relative_to(self.path).as_posix()

    def has_image(self, sha256: str) -> bool:
        """Return whether the image is here and whole; takes it over from one of the others if it can."""
        if _is_whole(self.image_path(sha256)):
            return True
        for other in self.reuse_dirs:
            for folder in (KEPT, REJECTED):
                if _is_whole(there := other / image_name(sha256, folder)):
                    _store(self.path / image_name(sha256, folder), there.read_bytes())
                    return True
        return False

    def is_placed(self, sha256: str, *, safe: bool) -> bool:
        """Return whether `place_image` has nothing to do."""
        return not (self.path / image_name(sha256, REJECTED if safe else KEPT)).exists()

    def place_image(self, sha256: str, *, safe: bool) -> None:
        """Move a stored image to images/ if it is safe, to rejected/ if not; nothing to do if it is there.

        To be called with every verdict on its safety: another threshold may move an image back. Raises
        RunDirError if it cannot be moved.
        """
        source, target = (self.path / image_name(sha256, folder) for folder in (REJECTED, KEPT))
        if not safe:
            source, target = target, source
        if not self.is_placed(sha256, safe=safe):
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)

    def save_image(self, image: Image.Image, text: Mapping[str, str]) -> str:
        """Store a picture with its PNG text chunks; returns the SHA-256 of the file's bytes."""
        sha256, data = encode_image(image, text)
        self.store_image(sha256, data)
        return sha256

    def store_image(self, sha256: str, data: bytes) -> None:
        """Store what encode_image gave, once. May be called in any thread.

        It survives a kill at once and a power cut after `flush`: waiting for the disk at every image is most
        of what storing one costs, and one that a power cut took is missed by `has_image` and painted again.
        Raises RunDirError where it cannot be written.
        """
        if not _is_whole(target := self.image_path(sha256)):
            _store(target, data)

    def flush(self) -> None:
        """Return when all that was written is on the disk itself."""
        if hasattr(os, "sync"):  # not on Windows
            os.sync()


def encode_image(image: Image.Image, text: Mapping[str, str]) -> tuple[str, bytes]:
    """(SHA-256, bytes) of a PNG file. The same picture with the same texts gives the same file."""
    chunks = PngInfo()
    for key in sorted(text):
        chunks.add_itxt(key, text[key])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=chunks)
    data = buffer.getvalue()
    return hashlib.sha256(data).hexdigest(), data


def _store(target: Path, data: bytes) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Begun in the one folder above: file systems that spread folders over the disk (ext4) take
        # several times as long for a new file in each of 256.
        with atomic_write(target, temp_levels_up=1, durable=False) as out:
            out.write(data)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Raise RunDirError for an OSError: a disk that cannot be written ends the run."""
    try:
        yield
    except OSError as error:
        raise RunDirError(
            f"{target}: cannot be written ({error.strerror}); nothing is lost, mend that and run the "
            "same command again"
        ) from error


def _is_whole(path: Path) -> bool:
    """Whether there is a PNG file with an end."""
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:
        return False


def image_name(sha256: str, folder: str = KEPT) -> str:
    """Return the image's path within a run directory, such as images/ab/<sha256>.png.

    Raises ValueError for anything but a SHA-256 in lower-case hex: only a digest becomes a path.
    """
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"{sha256!r} is no SHA-256")
    return f"{folder}/{sha256[:2]}/{sha256}.png"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside, flush to disk, then take the name."""
    with atomic_write(path) as out:
        out.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_write(path: Path, *, temp_levels_up: int = 0, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file that takes the name when all is written; where durable, when all is on the disk.

    It lies beside until then, or so many folders above.
    """
    beside = path.parents[temp_levels_up] / f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with beside.open("wb") as out:
            yield out
            if durable:
                out.flush()
                os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
