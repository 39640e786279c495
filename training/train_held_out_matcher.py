"""Train a second matcher that judges what the first one chose: another network, other drawings.

`python -m training.train_held_out_matcher` writes held-out-matcher/ (config and safetensors). The loop must
not be measured by the score that it gates with. This matcher starts from EfficientNet-Lite1, whose weights
stay as ImageNet left them, and never sees the style that the painter draws in. Only two linear layers are
learned, on features that are computed once. It shares MiniLM and the captions with the first one.
"""

from collections.abc import Iterator

import open_clip
import torch
import torch.nn.functional as F
from tqdm import tqdm

from magid_agents.models import weights
from training import augment, concepts, sources, work
from training.text import TextEncoder
from training.train_matcher import (
    STYLES,
    Batches,
    export,
    from_imagenet,
    match_loss,
    model_config,
    normalise,
)

NETWORK = "lite1"
PAINTERS_STYLES = ("twemoji", "twemoji-ink")
SIDE, WIDTH = 112, 384
STEPS, BATCH = 600, 384  # of learning, on the features
NOISE = 0.5  # in deviations of each feature


def main() -> None:
    parser = work.parser(__doc__ or "")
    parser.add_argument("--batches", type=int, default=160, help="of 96 images whose features are computed")
    args = parser.parse_args()
    device = work.start(args)
    text = TextEncoder(device)
    model = open_clip.model.CustomTextCLIP(**model_config(str(weights.ensure("minilm")), NETWORK, bias=True))
    from_imagenet(model.visual.trunk, sources.imagenet(NETWORK, args.work / "downloads"))
    trunk = model.visual.trunk.to(device).to(memory_format=torch.channels_last)
    listed = concepts.load(args.work / "concepts.json")
    names = text.pooled([c.label for c in listed]).to(device)
    styles = {name: weight for name, weight in STYLES.items() if name not in PAINTERS_STYLES}
    pixels = _pixels(Batches(args.work, f"{args.seed}/held-out", styles), args.seed)
    _adapt_statistics(trunk, pixels, device)
    features, captions, labels = [], [], []
    for _ in tqdm(range(args.batches), desc="features", unit="batch"):
        x, said, named = next(pixels)
        with torch.inference_mode(), work.half(device):
            features.append(trunk(x.to(device)).float())
        captions.append(text.pooled(said).to(device))
        labels.append(named.to(device))
    learned, scale = _learn(torch.cat(features), torch.cat(captions), torch.cat(labels), names, args.seed)
    values = {f"visual.trunk.{k}": v for k, v in trunk.state_dict().items()} | learned
    export(model_config("minilm", NETWORK, bias=True), values, scale, args.work / "held-out-matcher")


def _pixels(batches: Batches, seed: int) -> Iterator[tuple[torch.Tensor, list[str], torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for batch in batches:
        x = augment.augment(batch["pixels"].permute(0, 3, 1, 2).float().div(255), SIDE, generator)
        yield (
            normalise(x).contiguous(memory_format=torch.channels_last),
            batch["captions"],
            batch["labels"],
        )


@torch.no_grad()
def _adapt_statistics(
    trunk: torch.nn.Module,
    pixels: Iterator[tuple[torch.Tensor, list[str], torch.Tensor]],
    device: torch.device,
    count: int = 12,
) -> None:
    """Replace the means and deviations of ImageNet's photos by those of drawings (AdaBN, Li et al. 2016)."""
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches
    trunk.train()
    for _ in range(count):
        trunk(next(pixels)[0].to(device))
    trunk.eval()


def _learn(
    features: torch.Tensor, captions: torch.Tensor, labels: torch.Tensor, names: torch.Tensor, seed: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the weights of the two linear layers and the scale.

    A linear layer on so few images would learn them by heart: dropout, noise and decay are strong.
    """
    torch.manual_seed(seed)
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    rows_of = (features - mean) / deviation
    head = torch.nn.Linear(features.shape[1], WIDTH).to(features.device)
    proj = torch.nn.Linear(WIDTH, WIDTH, bias=False).to(features.device)
    with torch.no_grad():
        proj.weight.copy_(torch.eye(WIDTH))
    scale = torch.nn.Parameter(torch.tensor(15.0, device=features.device).log())
    learned = [*head.parameters(), *proj.parameters(), scale]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for step in range(STEPS):
        rows = torch.randint(len(features), (BATCH,), device=features.device)
        noisy = rows_of[rows] + NOISE * torch.randn_like(rows_of[rows])
        images = F.normalize(head(F.dropout(noisy, 0.5)), dim=-1)
        said, every = (F.normalize(proj(words), dim=-1) for words in (captions[rows], names))
        loss, right = match_loss(scale.exp(), images, said, every, labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}  loss {loss.item():.3f}  naming right {right.item():.3f}", flush=True)
    # The standardisation is folded into the layer, so that the model takes features as they are.
    weight = head.weight.detach() / deviation
    return {
        "visual.head.proj.weight": weight,
        "visual.head.proj.bias": head.bias.detach() - weight @ mean,
        "proj.weight": proj.weight.detach(),
    }, scale.detach()


if __name__ == "__main__":
    main()
