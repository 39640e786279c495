"""Dialogues from memory: written to a file in the run directory, which the run then reads as its input."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue
from magid_agents.store.rundir import RunDir, RunDirError, atomic_write, writing

NAME = "input.jsonl"
CHUNK_BYTES = 1 << 20


def store(directory: RunDir, dialogues: Iterable[object], *, replace: bool) -> Path:
    """Write the dialogues to a run directory, one after the other, and return the file's path.

    The file may grow at its end from call to call. A dict that is not a dialogue is written too, and the run
    reports it.

    Args:
        replace: the directory may hold other dialogues, which are then given up.

    Raises RunDirError if the directory holds other dialogues, cannot be written, or is in use by another run,
    and ConfigError for what is no JSON.
    """
    path = directory.path / NAME
    with directory.locked(), atomic_write(path) as file:
        for number, dialogue in enumerate(dialogues, 1):
            line = _line(dialogue, number)
            with writing(path):
                file.write(line)
        with writing(path):
            file.flush()
        if path.exists() and not (replace or _begins_with(Path(file.name), path)):
            raise RunDirError(
                f"{path}: holds other dialogues of an earlier run; give these and more, or use --update to "
                "recompute what changed, --fresh to start over, or a new --out"
            )
    return path


def _line(dialogue: object, number: int) -> bytes:
    if isinstance(dialogue, Dialogue):
        dialogue = dialogue.model_dump(exclude_defaults=True)
    if not isinstance(dialogue, Mapping):
        raise ConfigError(
            f"dialogue {number}: must be a dict in the native format or a Dialogue, and is a "
            f"{type(dialogue).__name__}"
        )
    try:
        # Sorted, so that equal dicts make equal files.
        return json.dumps(dict(dialogue), sort_keys=True).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"dialogue {number}: cannot be written as JSON: {error}") from error


def _begins_with(path: Path, beginning: Path) -> bool:
    """Return whether a file holds all of another one, and perhaps more after it."""
    with path.open("rb") as file, beginning.open("rb") as other:
        return all(file.read(len(chunk)) == chunk for chunk in _chunks(other))


def _chunks(file: IO[bytes]) -> Iterable[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")
