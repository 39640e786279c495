"""Read images for scorers, and recognise blank ones."""

from pathlib import Path
from typing import cast

from PIL import Image, ImageOps

INLINE_MAX_PIXELS = 128 * 128  # up to which a PNG is read or written faster than a thread is woken
BLANK = 8  # of 255: variation that a codec may add to a single colour


def open_rgb(path: Path) -> Image.Image:
    """Return the image in RGB, with its file closed."""
    with Image.open(path) as image:
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB as viewers show it: upright, and on white where it is transparent."""
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")


def is_blank(image: Image.Image) -> bool:
    """Return whether the image has one single colour, as after a pipeline's own censorship or overflow."""
    bands = image.convert("RGB").split()
    extrema = (cast("tuple[int, int]", band.getextrema()) for band in bands)
    return all(high - low <= BLANK for low, high in extrema)
