"""The diffusers painter on a tiny pipeline of a real class, made here with random weights."""

import asyncio
import inspect
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from magid_agents.config import PainterSettings
from magid_agents.errors import StopRun
from magid_agents.models.painters import pipeline
from magid_agents.models.painters.diffusers import DiffusersPainter
from magid_agents.models.painters.errors import PainterError, PromptTooLong
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
    return DiffusersPainter(PainterSettings.model_validate(given))


def paint(tool: DiffusersPainter, *asked: tuple[str, int]) -> list[np.ndarray]:
    async def main() -> list[np.ndarray]:
        painted = await asyncio.gather(*(tool.paint(prompt, seed) for prompt, seed in asked))
        return [np.asarray(one.image).astype(int) for one in painted]

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


@pytest.mark.parametrize(
    "name",
    [
        "scheduler/scheduler_config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "tokenizer/spiece.model",
        "tokenizer/chat_template.jinja",
    ],
)
def test_its_identity_follows_its_files(folder: Path, name: str) -> None:
    before = painter(folder).identity
    file = folder / name
    content = file.read_bytes() if file.exists() else None
    file.write_bytes((content or b"") + b" ")
    try:
        assert painter(folder).identity != before
    finally:
        file.unlink() if content is None else file.write_bytes(content)
    assert painter(folder).identity == before


@pytest.mark.parametrize(
    "option",
    [
        {"pipeline": "StableDiffusionPipeline"},
        {"variant": "fp16"},
        {"guidance_argument": "g"},
        {"attention": "sage"},
    ],
)
def test_what_decides_an_image_is_in_the_key_of_its_call(folder: Path, option: dict[str, str]) -> None:
    assert painter(folder, **option).parameters == {**painter(folder).parameters, **option}


def test_options_at_their_defaults_leave_older_keys_as_they_are(folder: Path) -> None:
    given = painter(folder, pipeline=None, variant=None, guidance_argument="guidance_scale").parameters
    assert set(given) == {
        *("steps", "guidance", "width", "height", "negative_prompt"),
        *("dtype", "quantise", "scheduler", "arguments"),
    }


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


@pytest.mark.parametrize("option", [{"width": 20}, {"arguments": {"clip_skip": "two"}}])
def test_settings_the_pipeline_turns_down_stop_the_run(folder: Path, option: dict[str, object]) -> None:
    with pytest.raises(
        PainterError, match=r"StableDiffusionPipeline cannot paint .*; see painter\.width"
    ) as error:
        paint(painter(folder, **option), ("a dog", 1))
    assert "\n" not in str(error.value)


@pytest.fixture
def cascade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pipeline in two stages, neither of which is called transformer or unet."""
    import diffusers
    import torch

    class FakeCascade(diffusers.DiffusionPipeline):  # type: ignore[misc]  # diffusers is untyped
        def __init__(self, tokenizer: Any, prior: Any, decoder: Any) -> None:
            super().__init__()
            self.register_modules(tokenizer=tokenizer, prior=prior, decoder=decoder)

        def __call__(
            self,
            prompt: list[str],
            num_inference_steps: int,
            guidance_scale: float,
            width: int,
            height: int,
            generator: list[torch.Generator],
        ) -> Any:
            noise = [torch.rand(height, width, 3, generator=g) for g in generator]
            assert (len(prompt), num_inference_steps, guidance_scale) == (len(noise), 2, 4.0)
            images = [Image.fromarray((n * 255).byte().numpy()) for n in noise]
            return diffusers.pipelines.ImagePipelineOutput(images)

    monkeypatch.setattr(diffusers, "FakeCascade", FakeCascade, raising=False)
    stage = tiny.sd().unet
    FakeCascade(tiny.tokenizer(8), stage, stage).save_pretrained(tmp_path)
    return tmp_path


def test_a_pipeline_without_transformer_or_unet_paints_untuned(cascade: Path) -> None:
    tool = painter(cascade, pipeline="FakeCascade")
    first, second = paint(tool, ("a dog", 1), ("a dog", 2))
    assert first.shape == (16, 16, 3)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"attention": "flash"}, "painter.attention"),
        ({"quantise": "float8"}, "painter.quantise=float8"),
        ({"compile": True}, "painter.compile"),
    ],
)
def test_tuning_a_pipeline_without_a_denoiser_names_the_setting(
    cascade: Path, option: dict[str, object], named: str
) -> None:
    with pytest.raises(PainterError, match=f"^{named}: FakeCascade has no transformer or unet"):
        paint(painter(cascade, pipeline="FakeCascade", **option), ("a dog", 1))


def test_loading_takes_one_thread_however_many_images_wait(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop's default threads also serve the journal's start, encoding and everything else."""
    load, threads, elsewhere = pipeline.load, set[str](), threading.Event()

    def slow(*given: Any) -> Any:
        threads.add(threading.current_thread().name)
        assert elsewhere.wait(30)
        return load(*given)

    monkeypatch.setattr(pipeline, "load", slow)
    tool = painter(folder)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        asked = [asyncio.create_task(tool.paint("a dog", seed)) for seed in range(8)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await asyncio.to_thread(elsewhere.set)
        asked[0].cancel()
        await asyncio.gather(*asked[1:])

    asyncio.run(main())
    assert len(threads) == 1


def test_what_failed_to_load_is_raised_to_all_and_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, tries = pipeline.load, list[int]()

    def broken_once(*given: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise PainterError("painter.model: not yet")
        return load(*given)

    monkeypatch.setattr(pipeline, "load", broken_once)
    tool = painter(folder)

    async def main() -> list[object]:
        return await asyncio.gather(*(tool.paint("a dog", i) for i in range(3)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(main())] == [PainterError] * 3
    assert len(paint(tool, ("a dog", 1))) == 1
    assert len(tries) == 2


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
from magid_agents.config import PainterSettings
from magid_agents.models.painters import pipeline
from magid_agents.models.painters import build
painter = build(PainterSettings(model="tiny/sd", steps=1, width=16, height=16, device="cpu"))
print(painter.identity, asyncio.run(painter.paint("a dog", 1)).image.size)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.stdout.strip() == f"tiny/sd@{commit} (16, 16)", done.stderr


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), AssertionError("not compiled with CUDA")]
)
def test_whatever_keeps_the_pipeline_from_loading_stops_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "_built", fail)
    with pytest.raises(PainterError, match=rf"cannot be loaded: {error}; see painter\.device") as caught:
        paint(painter(folder), ("a dog", 1))
    assert isinstance(caught.value, StopRun)
