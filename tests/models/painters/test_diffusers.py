"""The diffusers painter on a tiny pipeline of a real class, made here with random weights."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from magid_agents.config import Painter
from magid_agents.models.painters.diffusers import DiffusersPainter, PainterError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "cat", "red", "on", "the", "beach"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StableDiffusionPipeline of 8-pixel latents, written as any hub model is."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", model_max_length=8
    )
    text = CLIPTextConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=8, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, in_channels=4,
        cross_attention_dim=16, attention_head_dim=2, out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("pipe")
    pipe.save_pretrained(out)
    return out


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
    with pytest.raises(PainterError, match=r"prompt of 9 tokens, .* reads 8"):
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
