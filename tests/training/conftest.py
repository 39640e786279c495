"""Drawings of the three concepts in two styles."""

from pathlib import Path

import numpy as np
import pytest

from training import scenes


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two styles of three discs; the second style lacks the nurse."""
    folder = tmp_path_factory.mktemp("sprites")
    rows, cols = np.mgrid[0:128, 0:128]
    disc = ((rows - 64) ** 2 + (cols - 64) ** 2 < 50**2)[..., None]
    pictures = [
        np.where(disc, np.array([*c, 255]), 0).astype(np.uint8)
        for c in ((200, 120, 60), (220, 30, 30), (90, 90, 200))
    ]
    for style, index in (("one", [0, 1, 2]), ("two", [0, 1, -1])):
        np.save(folder / f"sprites-{style}.npy", np.stack(pictures[: 3 if style == "one" else 2]))
        np.save(folder / f"sprites-{style}-index.npy", np.array(index))
    return folder


@pytest.fixture(scope="session")
def sprites(folder: Path) -> scenes.Sprites:
    return scenes.Sprites(folder, {"one": 1.0, "two": 1.0})
