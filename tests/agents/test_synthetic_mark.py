"""The file of a generated image says that it is synthetic, in XMP that no image library need read."""

import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from magid_agents.models.fakes import FakePainter
from magid_agents.models.protocols import PaintedImage
from tests import fake_run

SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


class FindingPainter(FakePainter):
    """Returns images that no model generated."""

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        return PaintedImage((await super().paint(prompt, seed)).image, synthetic=False)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the chunks of a PNG file."""
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def source_types(path: Path) -> list[str | None]:
    """Return the DigitalSourceType of each XMP packet, as the specification of PNG says where it is."""
    # Keyword, then: not compressed, no method, no language, no translated keyword.
    head = b"XML:com.adobe.xmp\0\0\0\0\0"
    packets = [
        content.removeprefix(head)
        for kind, content in chunks(path.read_bytes())
        if kind == b"iTXt" and content.startswith(head)
    ]
    found = []
    for packet in packets:
        (description,) = ElementTree.fromstring(packet).iter(
            "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
        )
        found.append(description.get(SOURCE_TYPE))
    return found


@pytest.mark.parametrize(
    ("painter", "expected"),
    [
        (FakePainter(), ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]),
        (FindingPainter(), []),
    ],
)
def test_only_a_generated_image_is_marked(tmp_path: Path, painter: FakePainter, expected: list[str]) -> None:
    fake_run.run(tmp_path, "dog", "cake", painter=painter)
    paths = list(tmp_path.glob("out/images/*/*.png"))
    assert paths
    assert [source_types(path) for path in paths] == [expected] * len(paths)
