"""Locate the prompt files, the graphs and the cache."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the folder `prompts` or `graphs`: beside the package in a checkout, inside it in a wheel."""
    beside = _PACKAGE.parent / name
    in_checkout = beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").exists()
    return beside if in_checkout else _PACKAGE / "data" / name


def cache_folder(name: str) -> Path:
    """Return the folder that caches one kind of file. MAGID_CACHE overrides the platform's location."""
    return Path(os.environ.get("MAGID_CACHE") or platformdirs.user_cache_dir("magid-agents")) / name
