"""The folder that an export writes: it gets its name once it is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from magid_agents.errors import ConfigError
from magid_agents.store.rundir import RunDir, RunDirError, image_name, link_or_copy, writing

Entered = TypeVar("Entered")


class OutputFolder:
    """A folder that is being written. No name in it comes from a dialogue."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.image_count = 0  # files, each image once
        self._open = ExitStack()

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the folder for writing; it is closed with the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._open.enter_context(path.open("wb"))

    def enter(self, manager: AbstractContextManager[Entered]) -> Entered:
        """Enter a context that is left when the folder is closed, before the files opened earlier."""
        return self._open.enter_context(manager)

    def add_image(self, run: RunDir, sha256: str) -> str:
        """Link or copy a run's image into the folder; return its path within the folder.

        Raises RunDirError if the run does not have it.
        """
        source, name = find_image(run, sha256), image_name(sha256)
        if not (target := self.path / name).exists():
            link_or_copy(source, target)
            self.image_count += 1
        return name

    def close(self) -> None:
        self._open.close()


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
def create_folder(path: Path) -> Iterator[OutputFolder]:
    """Yield a folder beside `path`, which gets its name if the block ends well and is removed if not.

    Raises ConfigError if the path is taken, and RunDirError if it cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ConfigError(f"--out {path}: already exists; remove it or choose another --out")
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    folder = OutputFolder(beside)
    with writing(path):
        try:
            beside.mkdir(parents=True)
            yield folder
            folder.close()
            if path.exists():
                path.rmdir()
            beside.replace(path)
        except BaseException:
            with suppress(OSError):  # a full disk has no room for what closing writes either
                folder.close()
            shutil.rmtree(beside, ignore_errors=True)
            raise
