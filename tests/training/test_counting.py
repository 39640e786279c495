"""Counting: separate discs are counted, whatever the background; specks and inner areas are not."""

import pytest
from PIL import Image, ImageDraw

from training.counting import objects_in


@pytest.mark.parametrize("background", ["white", (250, 230, 240), (20, 20, 60)])
@pytest.mark.parametrize("centres", [[], [(32, 32)], [(16, 32), (48, 32)], [(32, 14), (14, 48), (50, 48)]])
def test_discs_are_counted(background: str | tuple[int, int, int], centres: list[tuple[int, int]]) -> None:
    image = Image.new("RGB", (64, 64), background)
    pen = ImageDraw.Draw(image)
    for x, y in centres:
        pen.ellipse([x - 12, y - 12, x + 12, y + 12], fill=(200, 90, 40))
        pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=background)
    pen.point((1, 60), fill=(200, 90, 40))
    assert objects_in(image) == len(centres)


def test_objects_that_touch_count_as_one() -> None:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).rectangle([4, 20, 60, 44], fill="red")
    assert objects_in(image) == 1


def test_what_lies_inside_an_object_is_part_of_it() -> None:
    image = Image.new("RGB", (64, 64), "white")
    pen = ImageDraw.Draw(image)
    for radius, colour in ((26, "red"), (18, "white"), (9, "red")):
        pen.ellipse([32 - radius, 32 - radius, 32 + radius, 32 + radius], fill=colour)
    assert objects_in(image) == 1
