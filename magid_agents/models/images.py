"""Pictures on disk, as scorers want them."""

from pathlib import Path

from PIL import Image


def open_rgb(path: Path) -> Image.Image:
    """The picture in RGB, its file closed."""
    with Image.open(path) as image:
        return image.convert("RGB")
