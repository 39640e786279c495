"""Compose the painter's training scenes, at 64 x 64 pixels with one caption each.

`python -m training.build_scenes` writes scenes.npy (n, 64, 64, 3) uint8 and scenes.json (captions). Every
block of scenes has its own seed, so the scenes do not depend on the number of processes.
"""

import json
import multiprocessing
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from training import backgrounds, concepts, scenes, work

SIDE = 64
BLOCK = 1000
# One artist only: if a prompt has one look, the painter learns shapes; if it has three, it first learns their
# average. Twemoji's flat shapes stay readable at 64 pixels.
STYLES = {"twemoji": 1.0}
# Twemoji's banana is half peeled, a shape that 64 pixels do not show; FxEmoji's is not.
EXCEPTIONS = {"banana": "fxemoji"}
# Each object at nearly the same size and place: otherwise a small painter paints the mean of all of them.
JITTER = 0.2
SHARES = {"plain": 0.19, "colour": 0.07, "place": 0.18, "pair": 0.38, "mixed": 0.11, "count": 0.07}


@lru_cache(maxsize=1)
def _makers(folder: Path) -> tuple[scenes.Sampler, scenes.Sprites, backgrounds.Bank]:
    known = concepts.load(folder / "concepts.json")
    sprites = load_sprites(folder, known)
    return scenes.Sampler(known, sprites, SHARES, JITTER), sprites, backgrounds.Bank()


def load_sprites(folder: Path, known: list[concepts.Concept]) -> scenes.Sprites:
    """Load the drawings that the painter learns."""
    exceptions = {i: EXCEPTIONS[c.label] for i, c in enumerate(known) if c.label in EXCEPTIONS}
    return scenes.Sprites(folder, STYLES, exceptions)


def draw(scene: scenes.Scene, sprites: scenes.Sprites, grounds: backgrounds.Bank) -> Image.Image:
    """Draw the scene at the painter's size."""
    return scenes.draw(scene, sprites, grounds).resize((SIDE, SIDE), Image.Resampling.BOX)


def block(job: tuple[Path, int, int]) -> tuple[int, np.ndarray, list[str]]:
    """Compose a block from (folder, seed, number); return its number, pixels and captions."""
    folder, seed, number = job
    sampler, sprites, grounds = _makers(folder)
    rng = random.Random(f"{seed}/{number}")
    pixels = np.empty((BLOCK, SIDE, SIDE, 3), np.uint8)
    words = []
    for i in range(BLOCK):
        scene, text = sampler.scene(rng)
        pixels[i] = np.asarray(draw(scene, sprites, grounds))
        words.append(text)
    return number, pixels, words


def main() -> None:
    parser = work.parser(__doc__ or "")
    parser.add_argument("--scenes", type=int, default=80_000)
    args = parser.parse_args()
    work.start(args)
    blocks = args.scenes // BLOCK
    shape = (blocks * BLOCK, SIDE, SIDE, 3)
    pool = np.lib.format.open_memmap(args.work / "scenes.npy", "w+", np.uint8, shape)
    words: list[str] = [""] * (blocks * BLOCK)
    jobs = [(args.work, args.seed, n) for n in range(blocks)]
    with multiprocessing.Pool(args.threads) as processes:
        for number, pixels, text in processes.imap_unordered(block, jobs):
            pool[number * BLOCK : (number + 1) * BLOCK] = pixels
            words[number * BLOCK : (number + 1) * BLOCK] = text
            print(f"block {number + 1}/{blocks}", flush=True)
    pool.flush()
    for name in (work.LATENTS, work.STATES):
        (args.work / name).unlink(missing_ok=True)
    (args.work / "scenes.json").write_text(json.dumps(words))


if __name__ == "__main__":
    main()
