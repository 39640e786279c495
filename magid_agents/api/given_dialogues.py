"""Dialogues from memory, written as the lines of a file that the run then reads as its input."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue
from magid_agents.runs import given_input
from magid_agents.store.rundir import RunDir

NAME = "input.jsonl"


def store(directory: RunDir, dialogues: Iterable[object], *, replace: bool) -> Path:
    """Write the dialogues to a run directory, one after the other, and return the file's path.

    The file may grow at its end from call to call. A dict that is not a dialogue is written too, and the run
    reports it.

    Args:
        replace: the directory may hold other dialogues, which are then given up.

    Raises RunDirError as given_input.store does, and ConfigError for what is no JSON.
    """
    lines = (_line(dialogue, number) for number, dialogue in enumerate(dialogues, 1))
    return given_input.store(directory, NAME, lines, replace=replace)


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
