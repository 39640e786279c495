"""The retrieval painter on a folder of plain colours, read by a fake encoder that sees colours."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.models.painters import build
from magid_agents.models.painters.errors import PainterError, PromptRefused
from magid_agents.models.painters.retrieval import RetrievalPainter
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
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
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
    tool = build(PainterSettings(backend="retrieval", model="ViT-B-32-quickgelu:openai", folder=folder))
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


@pytest.mark.usefixtures("encoder")
def test_what_is_found_is_not_said_to_be_synthetic(folder: Path) -> None:
    assert not asyncio.run(painter(folder).paint("red", 0)).synthetic


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


def test_a_folder_is_known_by_its_images_wherever_they_lie(
    tmp_path: Path, folder: Path, encoder: FakeEncoder
) -> None:
    first = painter(folder)
    best = found(first, "red", 0, 1)
    copy = tmp_path / "moved"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)  # not the times of change
    (copy / "blue.png").rename(copy / "sea.png")
    assert painter(copy).identity == first.identity
    assert found(painter(copy), "red", 0, 1) == best
    assert encoder.seen == 4


def test_an_image_that_changed_is_another_folder(folder: Path, encoder: FakeEncoder) -> None:
    first = painter(folder)
    assert found(first, "blue", 0) == [COLOURS["blue"]]
    Image.new("RGB", (8, 8), COLOURS["green"]).save(folder / "blue.png")
    assert painter(folder).identity != first.identity
    assert found(painter(folder), "blue", 0) != [COLOURS["blue"]]
    assert encoder.seen == 7  # the two greens are one


def test_an_image_that_is_there_twice_is_chosen_once(folder: Path, encoder: FakeEncoder) -> None:
    shutil.copy(folder / "more" / "red.png", folder / "again.png")
    assert found(painter(folder), "red", 0, 1) == [COLOURS["red"], COLOURS["purple"]]
    assert encoder.seen == 4


def test_the_index_lies_in_the_cache_that_the_environment_names(
    tmp_path: Path, folder: Path, encoder: FakeEncoder
) -> None:
    found(painter(folder), "red", 0)
    assert [path.suffix for path in sorted((tmp_path / "cache" / "retrieval").iterdir())].count(".npy") == 1
    assert encoder.seen == 4


def test_a_cache_that_cannot_be_written_names_the_variable(
    folder: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGID_CACHE", str(folder / "notes.txt"))
    with pytest.raises(PainterError, match="set MAGID_CACHE to a writable folder"):
        painter(folder)
    assert encoder.seen == 0


def test_more_than_there_are_cannot_be_had(folder: Path, encoder: FakeEncoder) -> None:
    assert encoder.seen == 0
    with pytest.raises(PromptRefused, match="holds 4 images, not 5"):
        found(painter(folder), "red", 4)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, folder: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(PainterError, match=r"painter\.folder=None: name a folder"):
        build(PainterSettings(backend="retrieval", model="ViT-B-32-quickgelu:openai"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(PainterError, match="holds no"):
        painter(tmp_path / "empty")
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(PainterError, match=r"broken\.png cannot be read as an image"):
        found(painter(folder), "red", 0)
    assert encoder.seen == 0


def test_a_model_built_unlike_it_was_trained_is_refused(folder: Path) -> None:
    with pytest.raises(PainterError, match=r"^painter: model ViT-B-32:openai: QuickGELU mismatch"):
        build(PainterSettings(backend="retrieval", model="ViT-B-32:openai", folder=folder))
