"""Where the prompt files and the graphs lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `prompts` or `graphs`."""
    beside = _PACKAGE.parent / name
    in_checkout = beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").exists()
    return beside if in_checkout else _PACKAGE / "data" / name
