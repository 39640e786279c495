"""Every painter preset drives a tiny pipeline of its real class: arguments, seeds, batches, token limit."""

import asyncio
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magid_agents import config
from magid_agents.config import PROFILES, ConfigError
from magid_agents.models.painters.diffusers import DiffusersPainter
from magid_agents.models.painters.errors import PromptTooLong
from tests.models.painters import tiny

SIZE = 32
ASKED = [("a dog", 1), ("a cat on the beach", 1), ("a dog", 2)]


def painter(preset: str, folder: Path) -> DiffusersPainter:
    """The preset as it ships, but for what a tiny model on a CPU needs otherwise."""
    sets = [f"painter.preset={preset}", f"painter.model={folder}", "painter.device=cpu", "painter.batch=4"]
    sets += [
        f"painter.width={SIZE}",
        f"painter.height={SIZE}",
        "painter.dtype=float32",
        "painter.variant=null",
    ]
    if preset == "sana-sprint":  # or it would paint at 1,024 pixels, its own size
        sets.append("painter.arguments.use_resolution_binning=false")
    return DiffusersPainter(config.load(overrides=sets).painter)


def paint(tool: DiffusersPainter, *asked: tuple[str, int]) -> list[np.ndarray]:
    async def main() -> list[np.ndarray]:
        painted = await asyncio.gather(*(tool.paint(prompt, seed) for prompt, seed in asked))
        return [np.asarray(one.image).astype(int) for one in painted]

    return asyncio.run(main())


def test_every_preset_has_its_tiny_pipeline() -> None:
    assert {path.stem for path in (PROFILES / "painters").glob("*.toml")} == set(tiny.PIPELINES)


@pytest.mark.parametrize("preset", tiny.PIPELINES)
def test_a_preset_drives_its_pipeline(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers

    folder = tiny.write(tiny.PIPELINES[preset], tmp_path)
    tool = painter(preset, folder)
    settings = tool.settings
    kind = getattr(diffusers, settings.pipeline or "StableDiffusionXLPipeline")
    real, calls = kind.__call__, list[dict[str, Any]]()

    def spy(self: Any, **given: Any) -> Any:
        calls.append(given | {"prompt": list(given["prompt"])} | {"scheduler": type(self.scheduler).__name__})
        return real(self, **given)

    spy.__signature__ = inspect.signature(real)  # type: ignore[attr-defined]
    monkeypatch.setattr(kind, "__call__", spy)
    first, other_prompt, other_seed = paint(tool, *ASKED)
    (call,) = calls
    assert call["prompt"] == [prompt for prompt, _ in ASKED]
    assert call["num_inference_steps"] == settings.steps
    assert call[settings.guidance_argument] == settings.guidance
    assert call["scheduler"] == settings.scheduler.get("class", call["scheduler"])
    assert len(call.get("negative_prompt", ASKED)) == len(ASKED)
    assert first.shape == (SIZE, SIZE, 3)
    assert np.abs(first - other_seed).max() > 1
    assert np.abs(first - other_prompt).max() > 0
    assert (paint(tool, *ASKED)[0] == first).all()
    assert tool.token_limit is not None
    with pytest.raises(PromptTooLong, match=f"reads {tool.token_limit}"):
        paint(tool, ("dog " * tool.token_limit, 1))


def test_a_preset_goes_over_the_defaults_and_under_what_is_set() -> None:
    painter = config.load(overrides=["painter.preset=sdxl-turbo", "painter.steps=2"]).painter
    assert (painter.model, painter.steps, painter.guidance) == ("stabilityai/sdxl-turbo", 2, 0.0)


def test_an_unknown_preset_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Unknown painter\.preset 'dalle'\. Choose from flux2-klein, "):
        config.load(overrides=["painter.preset=dalle"])
