"""Images of any kind, as a viewer shows them: upright, and on white where nothing is drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from magid_agents.models.images import open_rgb


def test_a_photo_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.new("RGB", (40, 20), "navy").save(tmp_path / "photo.jpg", exif=exif)
    assert open_rgb(tmp_path / "photo.jpg").size == (20, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    sticker = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    sticker.putpixel((0, 0), (0, 0, 0, 255))
    sticker.convert(mode).save(tmp_path / "sticker.png")
    pixels = np.asarray(open_rgb(tmp_path / "sticker.png"))
    assert pixels.shape == (4, 4, 3)
    assert (pixels[0, 0] < 5).all()
    assert (pixels[1:, 1:] == 255).all()
