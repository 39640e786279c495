"""The diffusers painter on a tiny pipeline of a real class, made here with random weights."""

import asyncio
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magid_agents.config import Painter
from magid_agents.models.painters.diffusers import DiffusersPainter, PromptTooLong
from magid_agents.models.painters.pipeline import PainterError
from tests.models.painters import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StableDiffusionPipeline that reads eight tokens."""
    return tiny.write(tiny.sd, tmp_path_factory.mktemp("pipe"))


def test_it_can_be_imported_first_of_all() -> None:
    """In an interpreter of its own: another test's imports would hide a broken torchvision."""
    code = "import magid_agents.models.painters.diffusers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def painter(folder: Path, **options: object) -> DiffusersPainter:
    given = {"model": str(folder), "steps": 2, "width": 16, "height": 16, "device": "cpu", **options}
    return DiffusersPainter(Painter.model_validate(given))


def paint(tool: DiffusersPainter, *asked: tuple[str, int]) -> list[np.ndarray]:
    async def main() -> list[np.ndarray]:
        images = await asyncio.gather(*(tool.paint(prompt, seed) for prompt, seed in asked))
        return [np.asarray(i).astype(int) for i in images]

    return asyncio.run(main())


def test_seed_and_prompt_decide_the_image_whatever_batch_it_rides_in(folder: Path) -> None:
    alone = paint(painter(folder), ("a dog", 1))[0]
    tool = painter(folder, batch=4)
    mixed = paint(tool, ("a cat", 5), ("a dog", 1), ("a dog", 2))
    assert alone.shape == (16, 16, 3)
    assert np.abs(mixed[1] - alone).max() <= 1
    assert np.abs(mixed[2] - alone).max() > 1
    assert (paint(painter(folder, batch=4), ("a cat", 5), ("a dog", 1), ("a dog", 2))[0] == mixed[0]).all()


def test_a_prompt_over_the_token_limit_is_refused_not_cut(folder: Path) -> None:
    tool = painter(folder)
    assert (tool.token_limit, tool.count_tokens("a red dog")) == (8, 5)
    with pytest.raises(PromptTooLong, match=r"prompt of 9 tokens, .* reads 8"):
        paint(tool, ("a red dog on the beach dog", 1))


def test_its_identity_follows_its_files(folder: Path) -> None:
    before = painter(folder).identity
    config = folder / "scheduler" / "scheduler_config.json"
    text = config.read_text()
    config.write_text(json.dumps(json.loads(text) | {"beta_end": 0.03}))
    try:
        assert painter(folder).identity != before
    finally:
        config.write_text(text)
    assert painter(folder).identity == before


def test_what_cannot_be_loaded_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(PainterError, match=r"painter\.model=.* holds no model_index") as caught:
        painter(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_batch_too_large_for_the_gpu_is_split(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    real, sizes = StableDiffusionPipeline.__call__, list[int]()

    def small(self: StableDiffusionPipeline, *, prompt: list[str], **given: Any) -> Any:
        sizes.append(len(prompt))
        if len(prompt) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, prompt=prompt, **given)

    alone = paint(painter(folder), ("a dog", 3))[0]
    small.__signature__ = inspect.signature(real)  # type: ignore[attr-defined]
    monkeypatch.setattr(StableDiffusionPipeline, "__call__", small)
    images = paint(painter(folder, batch=4), *(("a dog", seed) for seed in range(4)))
    assert sizes == [4, 2, 2]
    assert np.abs(images[3] - alone).max() <= 1


def test_what_the_pipeline_cannot_take_is_named(folder: Path) -> None:
    with pytest.raises(PainterError, match="StableDiffusionPipeline takes no true_cfg_scale"):
        paint(painter(folder, guidance_argument="true_cfg_scale"), ("a dog", 1))
    with pytest.raises(PainterError, match="has no attribute"):
        paint(painter(folder, pipeline="NoSuchPipeline"), ("a dog", 1))


def test_weights_in_fewer_bits_still_paint(folder: Path) -> None:
    assert paint(painter(folder, quantise="float8"), ("a dog", 1))[0].shape == (16, 16, 3)


def test_a_hub_model_is_known_by_the_commit_it_came_from(folder: Path, tmp_path: Path) -> None:
    """From a hub cache as the hub's own library lays it out, with no network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = tmp_path / "hub" / "models--tiny--sd"
    shutil.copytree(folder, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    code = """
import asyncio
from magid_agents.config import Painter
from magid_agents.models.painters import build
painter = build(Painter(model="tiny/sd", steps=1, width=16, height=16, device="cpu"))
print(painter.identity, asyncio.run(painter.paint("a dog", 1)).size)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.stdout.strip() == f"tiny/sd@{commit} (16, 16)", done.stderr
