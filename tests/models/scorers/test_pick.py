"""PickScore on a tiny CLIP of its own layout, made here."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from magid_agents.config import Scorer
from magid_agents.models import scorers
from tests.models.painters import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from magid_agents.models import torchvision_ops

    torchvision_ops.ensure()
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        "vocab_size": len(tiny.WORDS),
        "max_position_embeddings": 64,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    config = CLIPConfig(
        text_config=size | text, vision_config=size | {"image_size": 16, "patch_size": 8}, projection_dim=8
    )
    out = tmp_path_factory.mktemp("pick")
    CLIPModel(config).save_pretrained(out)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPProcessor(images, tiny.tokenizer()).save_pretrained(out)
    return out


def test_an_image_is_scored_by_its_prompt_and_not_by_its_company(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    paths = [tmp_path / f"{name}.png" for name in ("a", "b")]
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(paths[0])
    Image.new("RGB", (16, 16), "red").save(paths[1])
    scorer = scorers.build("pick", Scorer(backend="pick", model=str(folder)))

    async def main() -> list[float]:
        return list(
            await asyncio.gather(*(scorer.score(p, t) for p in paths for t in ("a dog", "the red cat")))
        )

    scores = asyncio.run(main())
    processor, model = CLIPProcessor.from_pretrained(folder), CLIPModel.from_pretrained(folder)
    with torch.inference_mode():
        asked = processor(text=["a dog"], images=[Image.open(paths[0])], return_tensors="pt")
        expected = model(**asked).logits_per_image.item() / 100
    assert scores[0] == pytest.approx(expected, abs=1e-4)
    assert len(set(scores)) == 4


def test_it_ranks_and_turns_nothing_down() -> None:
    threshold = scorers.threshold("pick", Scorer(backend="pick", model="yuvalkirstain/PickScore_v1"))
    assert threshold.margin(0.15) > 0
