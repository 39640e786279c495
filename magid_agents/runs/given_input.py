"""Input that is no file of the user's: it is kept in the run directory, which the run then reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from magid_agents.store.rundir import RunDir, RunDirError, atomic_write, writing

CHUNK_BYTES = 1 << 20


def store(directory: RunDir, name: str, chunks: Iterable[bytes], *, replace: bool) -> Path:
    """Write the input to a file of the run directory, one chunk after the other, and return its path.

    The file may grow at its end from call to call.

    Args:
        replace: the directory may hold other input, which is then given up.

    Raises RunDirError if the directory holds other input, cannot be written, or is in use by another run.
    """
    path = directory.path / name
    with directory.locked(), atomic_write(path) as file:
        for chunk in chunks:
            with writing(path):
                file.write(chunk)
        with writing(path):
            file.flush()
        if path.exists() and not (replace or _begins_with(Path(file.name), path)):
            raise RunDirError(
                f"{path}: holds other dialogues of an earlier run; give these and more, or use --update to "
                "recompute what changed, --fresh to start over, or a new --out"
            )
    return path


def chunks_of(file: IO[bytes]) -> Iterable[bytes]:
    """Yield what is left of a file."""
    return iter(lambda: file.read(CHUNK_BYTES), b"")


def _begins_with(path: Path, beginning: Path) -> bool:
    """Return whether a file holds all of another one, and perhaps more after it."""
    with path.open("rb") as file, beginning.open("rb") as other:
        return all(file.read(len(chunk)) == chunk for chunk in chunks_of(other))
