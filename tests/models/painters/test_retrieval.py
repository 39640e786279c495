"""The retrieval painter on a folder of plain colours, read by a fake encoder that sees colours."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from magid_agents.config import Painter
from magid_agents.models.endpoint import Rejected
from magid_agents.models.painters import build
from magid_agents.models.painters.retrieval import RetrievalError, RetrievalPainter
from magid_agents.models.scorers import open_clip

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "purple": (200, 0, 200)}


class FakeEncoder:
    """Sees a picture's mean colour, and in a text the colour it names."""

    def __init__(self) -> None:
        self.seen = 0

    def encode_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        self.seen += len(images)
        return self._unit([np.asarray(i).reshape(-1, 3).mean(0) for i in images])

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return self._unit([COLOURS[t.split()[-1]] for t in texts])

    def _unit(self, rows: Sequence[Any]) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.tensor(np.array(rows), dtype=torch.float32), dim=1)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    fake = FakeEncoder()
    monkeypatch.setattr(open_clip, "matcher", lambda *_: lambda: fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "images"
    (out / "more").mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(out / ("more" if name == "red" else "") / f"{name}.png")
    (out / "notes.txt").write_text("no image")
    return out


def painter(folder: Path) -> RetrievalPainter:
    tool = build(Painter(backend="retrieval", model="ViT-B-32:openai", folder=folder))
    assert isinstance(tool, RetrievalPainter)
    return tool


def found(tool: RetrievalPainter, prompt: str, *ranks: int) -> list[tuple[int, ...]]:
    async def main() -> list[Image.Image]:
        painted = await asyncio.gather(*(tool.paint(prompt, rank) for rank in ranks))
        return [one.image for one in painted]

    return [image.getpixel((0, 0)) for image in asyncio.run(main())]  # type: ignore[misc]  # RGB


def test_the_best_come_in_order(folder: Path, encoder: FakeEncoder) -> None:
    assert found(painter(folder), "something red", 0, 1) == [COLOURS["red"], COLOURS["purple"]]
    assert encoder.seen == 4


def test_the_index_is_kept_until_the_folder_changes(folder: Path, encoder: FakeEncoder) -> None:
    first = painter(folder)
    found(first, "red", 0)
    again = painter(folder)
    found(again, "blue", 0)
    assert (encoder.seen, again.identity) == (4, first.identity)
    Image.new("RGB", (8, 8), "yellow").save(folder / "yellow.png")
    assert painter(folder).identity != first.identity
    found(painter(folder), "blue", 0)
    assert encoder.seen == 9


def test_more_than_there_are_cannot_be_had(folder: Path, encoder: FakeEncoder) -> None:
    assert encoder.seen == 0
    with pytest.raises(Rejected, match="holds 4 images, not 5"):
        found(painter(folder), "red", 4)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, folder: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(RetrievalError, match=r"painter\.folder=None: name a folder"):
        build(Painter(backend="retrieval", model="ViT-B-32:openai"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RetrievalError, match="holds no"):
        painter(tmp_path / "empty")
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(RetrievalError, match=r"broken\.png is no image"):
        found(painter(folder), "red", 0)
    assert encoder.seen == 0
