"""The folder that an export writes: it gets its name once it is complete, and a kill can be resumed."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from filelock import FileLock, Timeout

from magid_agents.errors import ConfigError
from magid_agents.export.signing import ImageSigner, is_synthetic
from magid_agents.formats import Seen
from magid_agents.store.rundir import RunDir, RunDirError, image_name, link_or_copy, write_atomically, writing

REQUEST, LOCK, SIGNED = ".request.json", ".lock", ".signed"  # only while the folder is being written
Entered = TypeVar("Entered")


class OutputFolder:
    """A folder that is being written. No name in it comes from a dialogue."""

    def __init__(self, path: Path, signer: ImageSigner | None = None) -> None:
        self.path, self._signer = path, signer
        self._images = Seen()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    @property
    def signed_count(self) -> int:
        """The number of images that were signed."""
        return sum(1 for _ in (self.path / SIGNED).glob("*")) if self._signer else 0

    @property
    def image_count(self) -> int:
        """The number of images, each once."""
        return len(self._images)

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the folder for writing; it is closed with the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._open.enter_context(path.open("wb"))

    def enter(self, manager: AbstractContextManager[Entered]) -> Entered:
        """Enter a context that is left when the folder is closed, before the files opened earlier."""
        return self._open.enter_context(manager)

    def use_image(self, run: RunDir, sha256: str) -> Path:
        """Count an image of the folder, and return its file: the run's, or a signed copy of it.

        Raises RunDirError if the run does not have it, or it cannot be signed.
        """
        source = find_image(run, sha256)
        self._images.add(sha256)
        if self._signer is None or not is_synthetic(source):
            return source
        signed = self.path / SIGNED / source.name
        if not signed.exists():
            signed.parent.mkdir(exist_ok=True)
            half = signed.with_suffix(".tmp.png")
            half.unlink(missing_ok=True)
            self._signer.sign(source, half)
            half.replace(signed)
        return signed

    def add_image(self, run: RunDir, sha256: str) -> str:
        """Link or copy an image into the folder; return its path within the folder.

        Raises what use_image does.
        """
        source, name = self.use_image(run, sha256), image_name(sha256)
        if not (target := self.path / name).exists():
            link_or_copy(source, target)
        return name


def find_image(run: RunDir, sha256: str) -> Path:
    """Return the file of an image that a run has kept.

    Raises RunDirError if there is none, or if it has failed a safety check since.
    """
    try:
        path = run.path / image_name(sha256)
    except ValueError as error:
        raise RunDirError(f"{run.dialogues}: {error}; restore the file from a copy") from error
    if not (run.has_image(sha256) and path.exists()):
        raise RunDirError(
            f"{path}: the image is missing or incomplete; repeat the magid run that made it, or restore it"
        )
    return path


@contextmanager
def create_folder(
    path: Path, request: Mapping[str, Any], signer: ImageSigner | None = None
) -> Iterator[OutputFolder]:
    """Yield the folder `PATH.partial`, which gets its name if the block ends well.

    It is removed if the block fails. A kill or Ctrl-C leaves it: the same request finds there what was
    complete, and another one begins anew.

    Args:
        request: all that decides what the folder holds, as JSON values.
        signer: signs copies of generated images, which then take their place.

    Raises ConfigError if the path is taken, `PATH.partial` is not an export's or another export writes to
    it, and RunDirError if it cannot be written.
    """
    path = path.absolute()  # "." has no name
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ConfigError(f"--out {path}: already exists; remove it or choose another --out")
    if path == Path.cwd() or not path.name:
        raise ConfigError(f"--out {path}: the export cannot take this folder's place; choose a new one")
    partial = path.with_name(f"{path.name}.partial")
    with writing(path):
        _refuse_unknown(partial)
        partial.mkdir(parents=True, exist_ok=True)
        lock = _lock(partial)
        try:
            _resume(partial, json.dumps(request, sort_keys=True))
            with OutputFolder(partial, signer) as folder:
                yield folder
            shutil.rmtree(partial / SIGNED, ignore_errors=True)
            lock.release()  # Windows cannot remove an open file
            for name in (LOCK, REQUEST):  # without its request, the folder would not be known for an export
                (partial / name).unlink()
            if path.exists():
                path.rmdir()
            partial.replace(path)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{partial} is kept; the same command finishes the export") from None
        except Exception:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            lock.release()


def _lock(partial: Path) -> FileLock:
    lock = FileLock(partial / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"{partial}: another export is writing here; wait for it to end") from error
    return lock


def _refuse_unknown(partial: Path) -> None:
    """Raise ConfigError if there is such a path and no export left it."""
    if partial.is_dir() and (partial / REQUEST).exists():
        return
    if partial.exists() and not (
        partial.is_dir()
        and all(p.name == LOCK or p.name.startswith(f"{REQUEST}.") for p in partial.iterdir())
    ):
        raise ConfigError(f"{partial}: was not left by an export; move it away or choose another --out")


def _resume(partial: Path, request: str) -> None:
    """Keep what the same request has left, without files that were being written, and nothing else."""
    recorded = partial / REQUEST
    if recorded.exists() and recorded.read_text(encoding="utf-8") == request:
        for half in partial.rglob("*.tmp"):
            half.unlink()
        return
    for left in partial.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name not in (LOCK, REQUEST):  # without its request, a folder is not an export's
            left.unlink()
    write_atomically(recorded, request)
