"""Train the painter, a text-conditional latent diffusion model, on the composed scenes.

`python -m training.train_painter` encodes the scenes if necessary (latents.npy, states.npy), resumes from
painter.pt and writes painter/, a StableDiffusionPipeline folder without MiniLM's weights. Objective: flow
matching along straight paths (Lipman et al. 2023; Liu et al. 2023): the model predicts noise minus data.
Noise levels are sampled towards the noisy end, at which an image's content is decided: sampled around the
middle, the prompt had no visible effect. The caption also joins the time embedding
(`addition_embed_type="text"`), because cross-attention alone learns too slowly in small models.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from transformers import AutoConfig, AutoTokenizer

from magid_agents.models import weights
from training import work
from training.text import TOKEN_LIMIT, WIDTH, TextEncoder
from training.train_autoencoder import LATENT_CHANNELS, to_tensor

BATCH = 64
CAPTION_DROPOUT = 0.1
# t = sigmoid(SHIFT + SPREAD * normal): the median is at 0.73 noise.
SHIFT, SPREAD = 1.0, 1.4


def build(channels: tuple[int, ...] = (128, 256)) -> UNet2DConditionModel:
    """Build a new UNet for the 8 x 8 grid, with attention heads 32 wide."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        cross_attention_dim=WIDTH,
        attention_head_dim=tuple(c // 32 for c in channels),
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


def scheduler() -> DPMSolverMultistepScheduler:
    """Return a second-order solver of the same straight paths, which gives good images in 10 steps."""
    return DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0, steps_offset=1
    )


@torch.no_grad()
def encode_pool(folder: Path, device: torch.device) -> None:
    """Encode pixels to scaled latents and captions to token states, both fp16, if they are missing."""
    captions: list[str] = json.loads((folder / "scenes.json").read_text())
    count = len(captions)
    if not (folder / work.LATENTS).exists():
        pool = np.load(folder / "scenes.npy", mmap_mode="r")
        vae = AutoencoderKL.from_pretrained(folder / "autoencoder").to(device).eval()

        def latents(part: slice) -> torch.Tensor:
            with work.half(device):
                mean = vae.encode(to_tensor(pool[part]).to(device)).latent_dist.mean
            return mean.float() * vae.config.scaling_factor

        _fill(folder / work.LATENTS, (count, LATENT_CHANNELS, 8, 8), latents)
    if not (folder / work.STATES).exists():
        text = TextEncoder(device)
        _fill(folder / work.STATES, (count, TOKEN_LIMIT, WIDTH), lambda part: text.states(captions[part]))


def _fill(path: Path, shape: tuple[int, ...], rows: Callable[[slice], torch.Tensor]) -> None:
    """Write an fp16 array to disk, 500 rows at a time; it gets its final name when it is complete."""
    part = path.with_suffix(".tmp.npy")
    array = np.lib.format.open_memmap(part, "w+", np.float16, shape)
    for at in range(0, len(array), 500):
        array[at : at + 500] = rows(slice(at, at + 500)).half().cpu().numpy()
        if at % 10_000 == 0:
            print(f"{path.stem}: {at}/{len(array)}", flush=True)
    part.rename(path)


def export(values: dict[str, torch.Tensor], folder: Path, out: Path) -> None:
    """Write the pipeline folder: unet and vae in fp16, scheduler, tokenizer, text encoder configuration.

    The text encoder's weights are MiniLM's, which are fetched once for painter and matcher.
    """
    minilm = weights.ensure("minilm")
    unet = build()
    unet.load_state_dict(values)
    vae = AutoencoderKL.from_pretrained(folder / "autoencoder")
    unet.half().save_pretrained(out / "unet")
    vae.half().save_pretrained(out / "vae")
    scheduler().save_pretrained(out / "scheduler")
    tokenizer = AutoTokenizer.from_pretrained(minilm, model_max_length=TOKEN_LIMIT)
    tokenizer.save_pretrained(out / "tokenizer")
    text = AutoConfig.from_pretrained(minilm)
    text.use_attention_mask = True  # the pipeline only passes on the padding mask if this is set
    text.save_pretrained(out / "text_encoder")
    index = {
        "_class_name": StableDiffusionPipeline.__name__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "BertModel"],
        "tokenizer": ["transformers", type(tokenizer).__name__],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2))


def main() -> None:
    parser = work.parser(__doc__ or "", minutes=120)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--final", action="store_true", help="let the rate fall to zero over this budget")
    work.add_from_shipped(parser)
    args = parser.parse_args()
    device = work.start(args)
    encode_pool(args.work, device)
    latents = np.load(args.work / work.LATENTS, mmap_mode="r")
    states = np.load(args.work / work.STATES, mmap_mode="r")
    empty = TextEncoder(device).states([""]).float()
    unet = build().to(device)
    if args.from_shipped:
        work.load_shipped(unet, "unet")
    if device.type == "cpu":
        # Fused attention's backward pass is slow for short sequences: without it, a step is a third faster.
        unet.set_attn_processor(AttnProcessor())
    ema = work.Ema(unet, 0.999)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=args.lr, weight_decay=0.01, fused=True)
    keep, step, seen = work.Checkpoint(args.work / "painter.pt"), 0, 0
    if state := keep.load():
        unet.load_state_dict(state["unet"])
        optimizer.load_state_dict(state["optimizer"])
        for group in optimizer.param_groups:
            group["fused"] = True
        ema.values, step, seen = state["ema"], state["step"], state["seen"]
    rng = np.random.default_rng([args.seed, step])
    torch.manual_seed(args.seed + step)

    def save() -> None:
        keep.save(
            {
                "unet": unet.state_dict(),
                "optimizer": optimizer.state_dict(),
                "ema": ema.values,
                "step": step,
                "seen": seen,
            }
        )

    unet.train()
    recent: list[float] = []
    for spent, due in work.clock(args.minutes, every=120):
        for group in optimizer.param_groups:
            fall = 0.5 + 0.5 * math.cos(math.pi * spent) if args.final else 1.0
            group["lr"] = args.lr * min(1.0, (step + 1) / 300) * fall
        rows = np.sort(rng.integers(0, len(latents), args.batch))
        data = torch.from_numpy(latents[rows]).to(device).float()
        context = torch.from_numpy(states[rows]).to(device).float()
        dropped = torch.rand(args.batch, 1, 1, device=device) < CAPTION_DROPOUT
        context = torch.where(dropped, empty, context)
        noise = torch.randn_like(data)
        t = torch.sigmoid(SHIFT + SPREAD * torch.randn(args.batch, device=device))
        mix = t[:, None, None, None]
        with work.half(device):
            guess = unet((1 - mix) * data + mix * noise, t * 1000, context).sample
        loss = F.mse_loss(guess.float(), noise - data)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        step, seen = step + 1, seen + args.batch
        ema.update(unet, step)
        recent.append(loss.item())
        if due:
            print(f"step {step}  seen {seen}  loss {np.mean(recent):.4f}", flush=True)
            recent.clear()
            save()
    save()
    export(ema.values, args.work, args.work / "painter")


if __name__ == "__main__":
    main()
