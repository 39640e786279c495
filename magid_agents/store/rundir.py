"""The layout of a run directory, and writing the files in it.

    run.json         manifest          dialogues.jsonl     finished dialogues, in input order
    failures.jsonl   failed dialogues  images/ab/*.png     by content
    journal.sqlite   calls and trace   rejected/ab/*.png   by content; failed the safety check
    report.html      written at the end
    input.jsonl      the dialogues, if a caller gave them from memory
    stdin            the dialogues, if they came from standard input
    evaluation.json  figures of the run, if it was evaluated
    index.sqlite     derived from the rest for lists and filters (reading/index.py); rebuilt when needed

Writes are atomic: a kill leaves the old file or the new one.
"""

import hashlib
import io
import itertools
import json
import os
import re
import shutil
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

KEPT, REJECTED = "images", "rejected"  # every image is in one of the two
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_SHA256 = re.compile("[0-9a-f]{64}")


class RunDirError(StopRun):
    """The run directory cannot be used; the message says what to do."""


class RunDir:
    """The directory of one run. Creating the object touches no file.

    Args:
        reuse_dirs: run directories that images may be copied from, as answers are from their journals.
    """

    def __init__(self, path: Path, reuse_dirs: Iterable[Path] = ()) -> None:
        self.path, self.reuse_dirs = path, tuple(reuse_dirs)
        self.manifest = path / "run.json"
        self.dialogues = path / "dialogues.jsonl"
        self.failures = path / "failures.jsonl"
        self.journal = path / "journal.sqlite"
        self.report = path / "report.html"
        self.evaluation = path / "evaluation.json"
        self.index = path / "index.sqlite"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory and lock it against other runs.

        Raises RunDirError if it cannot be written or another run holds the lock.
        """
        lock = self._acquire()
        try:
            yield
        finally:
            lock.release()

    def _acquire(self) -> FileLock:
        # Otherwise a lock acquired in one thread could not be released in another.
        lock = FileLock(self.path / ".lock", thread_local=False)
        try:
            (self.path / KEPT).mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            for folder in (".", KEPT, REJECTED):
                for half in self.path.glob(f"{folder}/*.tmp"):
                    half.unlink()  # left by a run that was killed while writing
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
        """Remove the result files and what was made from them, all of which the journal can restore."""
        for path in (self.dialogues, self.failures):
            path.unlink(missing_ok=True)
        self.remove_derived()

    def remove_derived(self) -> None:
        """Remove what was made from the result files."""
        for path in (self.report, self.evaluation):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything that a run wrote here, and nothing else."""
        self.remove_results()
        self.manifest.unlink(missing_ok=True)
        for database in (self.journal, self.index):
            for suffix in ("", "-wal", "-shm", "-journal"):
                database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
        for folder in (KEPT, REJECTED):
            for path in self.path.glob(f"{folder}/??/*.png"):
                path.unlink()

    def image_path(self, sha256: str) -> Path:
        """Return where the image lies, or its path in images/ if it does not exist."""
        kept = self.path / image_name(sha256)
        if kept.exists():
            return kept
        rejected = self.path / image_name(sha256, REJECTED)
        return rejected if rejected.exists() else kept

    def image_name_of(self, sha256: str) -> str:
        """Return the image's path relative to this directory, in images/ or rejected/."""
        return self.image_path(sha256).relative_to(self.path).as_posix()

    def has_image(self, sha256: str) -> bool:
        """Return whether the image is here and complete; copy it from a reused directory if it is not."""
        found = self.find_image(sha256)
        if found is None:
            return False
        here = self.path / found.relative_to(found.parents[2])  # in the folder it has there
        if here != found:
            _store(here, found.read_bytes())
        return True

    def find_image(self, sha256: str) -> Path | None:
        """Return where the complete image lies, here or in a reused directory; None if it is nowhere."""
        others = itertools.product(self.reuse_dirs, (KEPT, REJECTED))
        places = [self.image_path(sha256), *(other / image_name(sha256, folder) for other, folder in others)]
        return next(filter(_is_whole, places), None)

    def is_placed(self, sha256: str, *, safe: bool) -> bool:
        """Return whether `place_image` has nothing to do."""
        return not (self.path / image_name(sha256, REJECTED if safe else KEPT)).exists()

    def place_image(self, sha256: str, *, safe: bool) -> None:
        """Move a stored image to images/ if it is safe, to rejected/ if not, unless it is already there.

        Call it after every safety verdict: another threshold may move an image back. Raises RunDirError if
        the image cannot be moved.
        """
        source, target = (self.path / image_name(sha256, folder) for folder in (REJECTED, KEPT))
        if not safe:
            source, target = target, source
        if not self.is_placed(sha256, safe=safe):
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    source.replace(target)
                except FileNotFoundError:
                    if not target.exists():  # otherwise another dialogue's thread has moved it
                        raise

    def save_image(self, image: Image.Image, text: Mapping[str, str]) -> str:
        """Store an image with its PNG text chunks; return the SHA-256 of the file."""
        sha256, data = encode_image(image, text)
        self.store_image(sha256, data)
        return sha256

    def store_image(self, sha256: str, data: bytes) -> None:
        """Store what `encode_image` returned, unless it is there already. May be called from any thread.

        The image survives a kill at once, and a power cut after `flush`: waiting for the disk after every
        image would be most of the cost. If a power cut loses one, `has_image` notices and it is painted
        again. Raises RunDirError if it cannot be written.
        """
        if not _is_whole(target := self.image_path(sha256)):
            _store(target, data)

    def flush(self) -> None:
        """Wait until everything written so far is on the disk itself."""
        if hasattr(os, "sync"):  # not on Windows
            os.sync()


def encode_image(image: Image.Image, text: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the SHA-256 and bytes of a PNG file; equal pixels and texts give equal bytes."""
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
        # The temporary file is created one level up: file systems that spread folders over the disk, such
        # as ext4, take several times as long to create files in 256 different ones.
        with atomic_write(target, temp_levels_up=1, durable=False) as out:
            out.write(data)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn an OSError in the block into a RunDirError: a disk that cannot be written ends the run."""
    try:
        yield
    except OSError as error:
        raise RunDirError(
            f"{target}: cannot be written ({error.strerror}); nothing is lost, mend that and run the "
            "same command again"
        ) from error


def _is_whole(path: Path) -> bool:
    """Return whether this is a PNG file that is complete, judged by its end."""
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
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256 digest")
    return f"{folder}/{sha256[:2]}/{sha256}.png"


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name: a hard link, or a copy on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        beside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        shutil.copy2(source, beside)
        beside.replace(target)  # so that a kill leaves no half of it under its name


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file in hex; None if there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write to a temporary file, flush it to disk, then rename it."""
    with atomic_write(path) as out:
        out.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_write(path: Path, *, temp_levels_up: int = 0, durable: bool = True) -> Iterator[IO[bytes]]:
    """Yield a temporary file that gets its final name once it is completely written.

    Args:
        temp_levels_up: how many folders above `path` the temporary file lies.
        durable: flush the file to disk before it is renamed.
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
