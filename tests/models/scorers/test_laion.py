"""The LAION predictor on a tiny model of its own layout, made here."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from magid_agents.config import ConfigError, Scorer
from magid_agents.models import scorers
from magid_agents.models import torchvision_ops as _ops


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision tower of 8 dimensions and a head of two layers, random but seeded."""
    _ops.ensure()
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("laion")
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        projection_dim=8,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(out)
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(out)
    state = load_file(out / "model.safetensors")
    state |= {"layers.0.weight": torch.randn(4, 8), "layers.0.bias": torch.randn(4)}
    state |= {"layers.2.weight": torch.randn(1, 4), "layers.2.bias": torch.tensor([5.0])}
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    return out


def test_a_picture_is_rated_by_tower_and_head(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    path = tmp_path / "a.png"
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    rating = asyncio.run(scorers.build("a", Scorer(backend="laion", model=str(folder))).score(path, ""))

    pixels = CLIPImageProcessor.from_pretrained(folder)(images=[Image.open(path)], return_tensors="pt")
    state = load_file(folder / "model.safetensors")
    with torch.inference_mode():
        seen = CLIPVisionModelWithProjection.from_pretrained(folder)(**pixels).image_embeds[0]
        hidden = state["layers.0.weight"] @ (seen / seen.norm()) + state["layers.0.bias"]
        expected = state["layers.2.weight"] @ hidden + state["layers.2.bias"]
    assert rating == pytest.approx(expected.item() / 10, abs=1e-4)


def test_a_model_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match="scorer model no/such cannot be had") as caught:
        scorers.build("a", Scorer(backend="laion", model="no/such"))
    assert "\n" not in str(caught.value)
