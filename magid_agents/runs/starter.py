"""Copy the prompts and graphs that ship into a folder of one's own, to be edited."""

import shutil
from pathlib import Path

from magid_agents.errors import ConfigError
from magid_agents.resources import folder

COPIED = {"prompts": "*.md", "graphs": "*.py"}


def copy_starter(target: Path) -> list[Path]:
    """Copy prompts/ and graphs/ into a folder, which is created; return the files.

    Raises ConfigError if one of the two exists there or the folder cannot be written. Nothing is overwritten.
    """
    for name in COPIED:
        if (there := target / name).exists():
            raise ConfigError(f"{there}: exists already and may hold your edits; name another folder")
    copied = []
    try:
        for name, pattern in COPIED.items():
            for file in sorted(folder(name).rglob(pattern)):
                path = target / name / file.relative_to(folder(name))
                path.parent.mkdir(parents=True, exist_ok=True)
                copied.append(Path(shutil.copyfile(file, path)))
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written ({error.strerror}); name another folder") from error
    return copied
