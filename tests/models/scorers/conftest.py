"""Tiny models in the layouts of the real ones, random but seeded, made here."""

import json
from pathlib import Path

import pytest

from magid_agents.models import torchvision_ops
from magid_agents.models.scorers import open_clip as backend
from tests.models.painters import tiny

CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="session")
def tiny_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two tiny architectures that differ in their activation, as open_clip's own do."""
    torchvision_ops.ensure()
    import open_clip

    folder = tmp_path_factory.mktemp("configs")
    (folder / "tiny.json").write_text(json.dumps(CLIP))
    (folder / "tiny-quickgelu.json").write_text(json.dumps(CLIP | {"quick_gelu": True}))
    open_clip.add_model_config(folder)


@pytest.fixture
def clip_weights(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that open_clip lists under the tag `openai` for both, trained with QuickGELU."""
    request.getfixturevalue("tiny_architectures")
    import open_clip
    import torch
    from open_clip import pretrained

    torch.manual_seed(0)
    path = tmp_path / "openai.pt"
    torch.save(open_clip.create_model("tiny-quickgelu").state_dict(), path)
    for architecture in ("tiny", "tiny-quickgelu"):
        known = {"openai": {"file": str(path), "quick_gelu": True}}
        monkeypatch.setitem(pretrained._PRETRAINED, architecture, known)
    backend.matcher.cache_clear()
    backend._load.cache_clear()
    return path


@pytest.fixture(scope="session")
def laion_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision tower of 8 dimensions and a head of two layers, random but seeded."""
    torchvision_ops.ensure()
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


@pytest.fixture(scope="session")
def pick_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
