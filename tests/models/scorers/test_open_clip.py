"""open_clip's dual encoders: built as they were trained, found before they are loaded, in memory once."""

import asyncio
from pathlib import Path

import pytest
import torch
from PIL import Image

from magid_agents import config
from magid_agents.config import PRESETS, PROFILES, ScorerSettings
from magid_agents.errors import StopRun
from magid_agents.models import devices, scorers, torchvision_ops
from magid_agents.models.hub import ScorerError
from magid_agents.models.scorers import open_clip as backend
from magid_agents.models.scorers.open_clip import MatchScorer

torchvision_ops.ensure()
import open_clip  # noqa: E402  (after torchvision can be imported)


def scorer(model: str) -> MatchScorer:
    built = scorers.build("image_text_match", ScorerSettings(backend="open_clip", model=model, device="cpu"))
    assert isinstance(built, MatchScorer)
    return built


def activations(network: torch.nn.Module) -> set[str]:
    return {type(m).__name__ for m in network.modules() if "GELU" in type(m).__name__}


@pytest.mark.usefixtures("clip_weights")
def test_a_model_is_scored_with_the_activation_it_was_trained_with(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_mandelbrot((16, 16), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    score = asyncio.run(scorer("tiny-quickgelu:openai").score(path, "a dog"))

    network, preprocess = open_clip.create_model_from_pretrained("tiny-quickgelu", pretrained="openai")
    assert activations(network) == {"QuickGELU"}
    network.eval()
    with torch.inference_mode():
        image = network.encode_image(preprocess(Image.open(path))[None], normalize=True)
        text = network.encode_text(open_clip.get_tokenizer("tiny-quickgelu")(["a dog"]), normalize=True)
    assert score == pytest.approx((image @ text.T).item(), abs=1e-4)


@pytest.mark.usefixtures("clip_weights")
def test_weights_are_never_put_into_a_network_with_another_activation() -> None:
    with pytest.raises(ScorerError, match=r"scorers\.image_text_match: .*tiny-quickgelu:openai$") as caught:
        scorer("tiny:openai")
    assert "QuickGELU mismatch" in str(caught.value)
    assert "\n" not in str(caught.value)


def mismatches() -> list[tuple[str, str]]:
    """What open_clip lists and would build with another activation than it was trained with."""
    return [
        (architecture, tag)
        for architecture, tag in open_clip.list_pretrained()
        if open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu")
        and not open_clip.get_model_config(architecture).get("quick_gelu")
    ]


def test_every_such_model_is_refused_in_favour_of_one_that_exists() -> None:
    assert {("ViT-B-32", "openai"), ("ViT-L-14", "metaclip_400m"), ("ViT-B-16", "dfn2b")} <= set(mismatches())
    for architecture, tag in mismatches():
        with pytest.raises(ScorerError) as caught:
            backend.matcher(f"{architecture}:{tag}")
        named, _, _ = str(caught.value).rpartition(" ")[2].partition(":")
        assert open_clip.get_model_config(named)["quick_gelu"]
        assert tag in open_clip.list_pretrained_tags_by_model(named)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("profile", [p.stem for p in PROFILES.glob("*.toml")])
def test_profiles_and_presets_name_models_that_are_built_as_trained(profile: str, preset: str) -> None:
    for chosen in config.load(profile, preset).scorers.values():
        if chosen.backend != "open_clip" or chosen.model == "matcher":
            continue
        architecture, _, tag = chosen.model.partition(":")
        assert tag in open_clip.list_pretrained_tags_by_model(architecture)
        assert (architecture, tag) not in mismatches()


def test_nothing_is_loaded_before_the_first_image(clip_weights: Path, tmp_path: Path) -> None:
    clip_weights.write_bytes(b"not a checkpoint")
    unloaded = scorer("tiny-quickgelu:openai")
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 16)).save(path)
    with pytest.raises(ScorerError, match="model tiny-quickgelu:openai cannot be loaded") as caught:
        asyncio.run(unloaded.score(path, "a dog"))
    assert isinstance(caught.value, StopRun)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("clip_weights")
def test_a_model_that_cannot_be_fetched_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: object) -> str:
        raise OSError

    monkeypatch.setattr(open_clip, "download_pretrained", unreachable)
    with pytest.raises(ScorerError, match="model tiny-quickgelu:openai cannot be fetched: OSError"):
        scorer("tiny-quickgelu:openai")


@pytest.mark.usefixtures("clip_weights")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ViT-Z-99:openai", "open_clip has no architecture 'ViT-Z-99'"),
        ("tiny-quickgelu:nope", "name it as tiny-quickgelu:TAG or tiny-quickgelu:FILE; tags: openai"),
        ("tiny-quickgelu", "tags: openai"),
    ],
)
def test_an_unknown_model_is_one_line_that_says_what_there_is(model: str, message: str) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer(model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_ones_own_is_known_by_its_content(clip_weights: Path) -> None:
    before = scorer(f"tiny-quickgelu:{clip_weights}").identity
    assert before.startswith("tiny-quickgelu:openai.pt@")
    clip_weights.write_bytes(clip_weights.read_bytes() + b"more")
    assert backend.identity(f"tiny-quickgelu:{clip_weights}") != before
    assert backend.identity("tiny-quickgelu:openai") == "tiny-quickgelu:openai"


@pytest.mark.usefixtures("clip_weights")
def test_a_model_is_in_memory_once_however_its_device_is_named() -> None:
    by_name = backend.matcher("tiny-quickgelu:openai", devices.first("auto"))
    by_default = backend.matcher("tiny-quickgelu:openai")
    assert by_name() is by_default() is backend.matcher("tiny-quickgelu:openai", "auto")()
