"""The LAION predictor on a tiny model of its own layout, made here."""

import asyncio
import shutil
from pathlib import Path

import pytest
from PIL import Image

from magid_agents.config import ScorerSettings
from magid_agents.errors import StopRun
from magid_agents.models import scorers
from magid_agents.models.hub import ScorerError


def test_a_picture_is_rated_by_tower_and_head(laion_model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    path = tmp_path / "a.png"
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    rating = asyncio.run(
        scorers.build("a", ScorerSettings(backend="laion", model=str(laion_model))).score(path, "")
    )

    pixels = CLIPImageProcessor.from_pretrained(laion_model)(images=[Image.open(path)], return_tensors="pt")
    state = load_file(laion_model / "model.safetensors")
    with torch.inference_mode():
        seen = CLIPVisionModelWithProjection.from_pretrained(laion_model)(**pixels).image_embeds[0]
        hidden = state["layers.0.weight"] @ (seen / seen.norm()) + state["layers.0.bias"]
        expected = state["layers.2.weight"] @ hidden + state["layers.2.bias"]
    assert rating == pytest.approx(expected.item() / 10, abs=1e-4)


def test_a_local_model_is_known_by_its_content(laion_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(laion_model, tmp_path / "aesthetics")
    before = scorers.build("a", ScorerSettings(backend="laion", model=str(model))).identity
    assert before.startswith("aesthetics@")
    (tmp_path / "elsewhere").mkdir()
    moved = model.rename(tmp_path / "elsewhere" / "aesthetics")
    assert scorers.build("a", ScorerSettings(backend="laion", model=str(moved))).identity == before
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert scorers.build("a", ScorerSettings(backend="laion", model=str(moved))).identity != before


def test_a_hub_model_is_known_by_its_commit(
    laion_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a cache of the hub's layout, as `magid models fetch` or an earlier run leaves it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--lab--aesthetics"
    shutil.copytree(laion_model, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert scorers.build("a", ScorerSettings(backend="laion", model="lab/aesthetics")).identity == (
        f"lab/aesthetics@{commit}"
    )


def test_a_model_that_cannot_be_had_is_one_line(
    laion_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ScorerError, match=r"scorers\.a: model no/such cannot be fetched") as caught:
        scorers.build("a", ScorerSettings(backend="laion", model="no/such"))
    assert "\n" not in str(caught.value)
    half = shutil.copytree(laion_model, tmp_path / "half", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ScorerError, match=r"half: the folder has no model\.safetensors"):
        scorers.build("a", ScorerSettings(backend="laion", model=str(half)))


def test_weights_that_cannot_be_loaded_end_the_run(laion_model: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(laion_model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    scorer = scorers.build("a", ScorerSettings(backend="laion", model=str(broken)))
    with pytest.raises(ScorerError, match="broken cannot be loaded: ") as caught:
        asyncio.run(scorer.score(tmp_path / "a.png", ""))
    assert isinstance(caught.value, StopRun)
    assert "\n" not in str(caught.value)
