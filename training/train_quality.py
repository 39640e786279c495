"""Train the quality head: clean drawings against broken ones, on the matcher's frozen trunk.

`python -m training.train_quality` writes quality/ (safetensors). Clean images are scenes as drawn and as
reconstructed by the painter's autoencoder; broken ones are the same scenes, misdrawn or spoiled (broken.py).
"""

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from magid_agents.models.embedded import Matcher, QualityHead, load_matcher, load_painter
from training import backgrounds, broken, concepts, scenes, work
from training.train_matcher import STYLES


def half_formed(folder: Path) -> broken.HalfFormed:
    """Return the spoiler that uses the painter in `folder`."""
    pipe = load_painter(folder / "painter")
    text, _ = pipe.encode_prompt("", torch.device("cpu"), 1, False)
    return broken.HalfFormed(pipe.vae.eval(), pipe.unet.eval(), text)


def spoil(image: Image.Image, unfinished: broken.HalfFormed, kind: str, rng: random.Random) -> Image.Image:
    return unfinished(image, rng) if kind == "half-formed" else broken.SPOILERS[kind](image, rng)


def examples(folder: Path, matcher: Matcher, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return trunk features of clean (1) and broken (0) images, half each."""
    rng = random.Random(seed)
    sprites = scenes.Sprites(folder, STYLES)
    shares = {"plain": 0.4, "colour": 0.1, "place": 0.2, "pair": 0.15, "mixed": 0.1, "count": 0.05}
    sampler = scenes.Sampler(concepts.load(folder / "concepts.json"), sprites, shares)
    grounds, unfinished = backgrounds.Bank(), half_formed(folder)

    def draw(scene: scenes.Scene) -> Image.Image:
        return scenes.draw(scene, sprites, grounds)

    def finish(image: Image.Image, way: float) -> Image.Image:
        """Give clean and misdrawn images the same texture, so that only their content tells them apart."""
        if way < 0.4:
            return broken.decode(unfinished.vae, broken.encode(unfinished.vae, [image]))[0]
        return image.resize((64, 64), Image.Resampling.BOX) if way < 0.7 else image

    features, labels = [], []
    for at in range(0, count, 32):
        images: list[Image.Image] = []
        for _ in range(16):
            scene, _ = sampler.scene(rng)
            way, kind = rng.random(), rng.choice(broken.KINDS)
            image = finish(draw(scene), way)
            if kind == "misdrawn":
                images += [image, finish(broken.misdraw(scene, draw, rng), way)]
            else:
                images += [image, spoil(image, unfinished, kind, rng)]
        features.append(matcher.features(images))
        labels += [1.0, 0.0] * 16
        if at % 1600 == 0:
            print(f"features {at}/{count}", flush=True)
    return torch.cat(features).clone(), torch.tensor(labels)


def main() -> None:
    parser = work.parser(__doc__ or "")
    parser.add_argument("--pictures", type=int, default=9600)
    args = parser.parse_args()
    work.start(args)
    matcher = load_matcher(args.work / "matcher")
    x, y = examples(args.work, matcher, args.pictures, args.seed)
    head = QualityHead()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    for epoch in range(20):
        order = torch.randperm(len(x))
        for rows in order.split(128):
            # Feature noise keeps the head from relying on the trunk's finest digits.
            noisy = x[rows] + 0.1 * x.std() * torch.randn(len(rows), x.shape[1])
            loss = F.binary_cross_entropy_with_logits(head(noisy), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = ((head(x) > 0) == (y > 0)).float().mean()
        print(f"epoch {epoch}  loss {loss.item():.4f}  right {right:.4f}", flush=True)
    out = args.work / "quality"
    out.mkdir(exist_ok=True)
    save_file({k: v.half() for k, v in head.state_dict().items()}, out / "model.safetensors")


if __name__ == "__main__":
    main()
