"""Scorers on a GPU that is too small for their batches: smaller ones, the same scores."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from magid_agents.config import ScorerSettings
from magid_agents.models import scorers
from magid_agents.models.batching import OutOfMemory

FITS = 2  # images


@pytest.fixture(params=["open_clip", "laion", "pick"])
def chosen(request: pytest.FixtureRequest) -> ScorerSettings:
    """A scorer on a tiny model."""
    if request.param == "open_clip":
        request.getfixturevalue("clip_weights")
        return ScorerSettings(backend="open_clip", model="tiny-quickgelu:openai", device="cpu")
    folder: Path = request.getfixturevalue(f"{request.param}_model")
    return ScorerSettings(backend=request.param, model=str(folder), device="cpu")


def limit_memory(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    """Let every network run out of memory on more images than that, as it splits them into patches."""
    forward = torch.nn.Conv2d.forward

    def limited(self: torch.nn.Conv2d, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return forward(self, batch)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", limited)


def pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1 + i / 5), 50).convert("RGB").save(path)
    return paths


def score(chosen: ScorerSettings, paths: Sequence[Path]) -> list[float]:
    scorer = scorers.build("check", chosen)

    async def main() -> list[float]:
        return list(await asyncio.gather(*(scorer.score(path, "a dog") for path in paths)))

    return asyncio.run(main())


def test_a_batch_that_does_not_fit_is_split(
    chosen: ScorerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path)
    expected = score(chosen, paths)
    limit_memory(monkeypatch, FITS)
    assert score(chosen, paths) == pytest.approx(expected, abs=1e-4)


def test_one_image_that_does_not_fit_says_what_to_set(
    chosen: ScorerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, 0)
    with pytest.raises(OutOfMemory, match=f"^{chosen.backend} scorer: .* set its device to cpu"):
        score(chosen, pictures(tmp_path)[:1])
