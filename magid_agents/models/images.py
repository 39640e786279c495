"""Pictures on disk, as scorers want them, and whether there is anything in one."""

from pathlib import Path

import numpy as np
from PIL import Image

BLANK = 8  # of 255: what a codec may add to one colour


def open_rgb(path: Path) -> Image.Image:
    """The picture in RGB, its file closed."""
    with Image.open(path) as image:
        return image.convert("RGB")


def is_blank(image: Image.Image) -> bool:
    """Whether the picture is one single colour: what a pipeline gives that censors itself, or overflows."""
    low, high = np.array(image.convert("RGB").getextrema()).T
    return bool((high - low <= BLANK).all())
