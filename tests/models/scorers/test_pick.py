"""PickScore on a tiny CLIP of its own layout, made here."""

import asyncio
import shutil
from pathlib import Path

import pytest
from PIL import Image

from magid_agents.config import ScorerSettings
from magid_agents.models import scorers


def test_an_image_is_scored_by_its_prompt_and_not_by_its_company(pick_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    paths = [tmp_path / f"{name}.png" for name in ("a", "b")]
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(paths[0])
    Image.new("RGB", (16, 16), "red").save(paths[1])
    scorer = scorers.build("pick", ScorerSettings(backend="pick", model=str(pick_model)))

    async def main() -> list[float]:
        return list(
            await asyncio.gather(*(scorer.score(p, t) for p in paths for t in ("a dog", "the red cat")))
        )

    scores = asyncio.run(main())
    processor, model = CLIPProcessor.from_pretrained(pick_model), CLIPModel.from_pretrained(pick_model)
    with torch.inference_mode():
        asked = processor(text=["a dog"], images=[Image.open(paths[0])], return_tensors="pt")
        expected = model(**asked).logits_per_image.item() / 100
    assert scores[0] == pytest.approx(expected, abs=1e-4)
    assert len(set(scores)) == 4


def test_a_local_model_is_known_by_its_content(pick_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(pick_model, tmp_path / "picker")
    before = scorers.build("pick", ScorerSettings(backend="pick", model=str(model))).identity
    assert before.startswith("picker@")
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    assert scorers.build("pick", ScorerSettings(backend="pick", model=str(model))).identity != before


def test_it_ranks_and_turns_nothing_down() -> None:
    threshold = scorers.threshold("pick", ScorerSettings(backend="pick", model="yuvalkirstain/PickScore_v1"))
    assert threshold.margin(0.15) > 0
