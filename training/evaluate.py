"""Evaluate the embedded models and print all figures.

`python -m training.evaluate [matcher] [painter] [ceiling] [counts] [rewriting] [foils] [quality] [speed]
[sheet]` reads the models in the working folder, or the shipped ones with --shipped. Held-out drawings are
OpenMoji's; held-out prompts are in held_out.py.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from magid_agents.agents.foils import false_facts, foils
from magid_agents.evaluation.intervals import bootstrap, mean
from magid_agents.models import embedded
from magid_agents.models.scorers.open_clip import MatchScorer
from training import backgrounds, broken, build_scenes, held_out, scenes, work
from training.bench import GUIDANCE, STEPS, Bench, auc
from training.captions import with_article
from training.counting import objects_in
from training.sources import HELD_OUT
from training.train_quality import half_formed, spoil


def measure_matcher(bench: Bench) -> None:
    known, pictures = bench.held_out_pictures()
    scores = (bench.images(pictures) @ bench.labels[known].T).numpy()
    own = np.diag(scores)
    rank = (scores > own[:, None]).sum(1)
    other = scores[~np.eye(len(scores), dtype=bool)]
    print(f"matcher, {HELD_OUT.name}, {len(known)} concepts:")
    print(f"  R@1 {np.mean(rank < 1):.3f}  R@5 {np.mean(rank < 5):.3f}  AUC {auc(own, other):.4f}")
    print(
        f"  own label: mean {own.mean():.3f}, 10th percentile {np.quantile(own, 0.1):.3f}; "
        f"other labels: 90th percentile {np.quantile(other, 0.9):.3f}"
    )
    limit = MatchScorer.thresholds["matcher"]
    for kind in ("plain", "pair"):
        drawn, misdrawn, captions = bench.misdrawn_scenes(kind, 400)
        words = bench.texts(captions)
        whole, half = ((bench.images(images) * words).sum(1).numpy() for images in (drawn, misdrawn))
        print(
            f"  {kind} scenes: {np.mean(whole > half):.3f} score above the same misdrawn; "
            f"{np.mean(whole >= limit):.3f} and {np.mean(half >= limit):.3f} pass {limit}"
        )
    pictures, wordings = bench.counted_scenes(400)
    said = torch.stack([bench.texts([pair[i] for pair in wordings]) for i in range(2)])
    right, wrong = (bench.images(pictures) * said).sum(2).numpy()
    print(f"  numbers: {np.mean(right > wrong):.3f} score higher with the right one of two")


def measure_painter(bench: Bench, seeds: int) -> None:
    """Measure the painter. The effect of a word is measured against the same noise without the word."""
    prompts = held_out.all_prompts()
    words = bench.texts(prompts)
    rng = np.random.default_rng(0)
    own, shuffled, hits = [], [], []
    limit = MatchScorer.thresholds["matcher"]
    passing = np.zeros((len(prompts), len(prompts)))
    label_of = {c.label: i for i, c in enumerate(bench.concepts)}
    named = [*held_out.NOUNS, *held_out.PARAPHRASES]
    nouns = len(held_out.NOUNS)
    colour: list[bool] = []
    second: list[bool] = []
    place: list[bool] = []
    places = list(held_out.PLACE_WORDS)
    place_texts = bench.texts(list(held_out.PLACE_WORDS.values()))
    for seed in range(seeds):
        seen = bench.images(bench.paint(prompts, seed))
        own.append((seen * words).sum(1).numpy())
        passing += (seen @ words.T >= limit).numpy() / seeds
        shuffled += [(seen * words[rng.permutation(len(words))]).sum(1).numpy() for _ in range(8)]
        scores = seen[: len(named)] @ bench.labels.T
        target = torch.tensor([label_of[label] for _, label in named])
        rank = (scores > scores.gather(1, target[:, None])).sum(1)
        hits.append((rank < 5).float().numpy())

        at = len(named)
        full = words[at : at + len(held_out.COLOURED)]
        bare = bench.images(bench.paint([b for _, b in held_out.COLOURED], seed, first=at))
        colour += ((seen[at : at + len(full)] * full).sum(1) > (bare * full).sum(1)).tolist()

        at += len(held_out.COLOURED)
        guess = (seen[at : at + len(held_out.PLACED)] @ place_texts.T).argmax(1).tolist()
        place += [places[g] == p for g, (_, p) in zip(guess, held_out.PLACED, strict=True)]

        at += len(held_out.PLACED)
        both = words[at : at + len(held_out.PAIRS)]
        alone = bench.images(bench.paint([a for _, a, _ in held_out.PAIRS], seed, first=at))
        second += ((seen[at : at + len(both)] * both).sum(1) > (alone * both).sum(1)).tolist()
    mean = np.concatenate(own)
    top5 = np.stack(hits)
    print(f"painter, {len(prompts)} wordings x {seeds} seeds, {STEPS} steps, guidance {GUIDANCE}:")
    print(f"  AUC own against shuffled prompts {auc(mean, np.concatenate(shuffled)):.4f}")
    print(
        f"  concept within top 5 of {len(bench.concepts)}: plain nouns {top5[:, :nouns].mean():.3f}, "
        f"paraphrases {top5[:, nouns:].mean():.3f}"
    )
    print(
        f"  colour raises its caption {np.mean(colour):.3f}, second object {np.mean(second):.3f}, "
        f"place named right of {len(places)} {np.mean(place):.3f}"
    )
    others = ~np.eye(len(prompts), dtype=bool)
    print(
        f"  at the critic's limit of {limit}, {np.diag(passing).mean():.3f} pass with their own prompt and "
        f"{passing[others].mean():.4f} with another image's"
    )


def measure_ceiling(bench: Bench, count: int = 400) -> None:
    """Measure what a perfect painter would reach on the plain nouns, by this matcher.

    Scenes are composed, then measured as drawn and after passing through the painter's autoencoder.
    """
    names = list(held_out.PLACE_WORDS)
    place_texts = bench.texts(list(held_out.PLACE_WORDS.values()))
    label_of = {c.label: i for i, c in enumerate(bench.concepts)}
    common = [label_of[label] for _, label in held_out.NOUNS]
    sprites, grounds = build_scenes.load_sprites(bench.work, bench.concepts), backgrounds.Bank()

    def sampler(kind: str) -> scenes.Sampler:
        made = scenes.Sampler(bench.concepts, sprites, {kind: 1.0}, build_scenes.JITTER)
        made.things = common
        return made

    plain = sampler("plain")

    @torch.inference_mode()
    def through(pictures: list[Image.Image]) -> list[Image.Image]:
        pipe = bench.painter
        pixels = pipe.image_processor.preprocess(pictures).to(pipe.vae.dtype)
        return pipe.image_processor.postprocess(
            pipe.vae.decode(pipe.vae.encode(pixels).latent_dist.mean).sample
        )

    for name, kind in (("colour", sampler("colour")), ("second object", sampler("pair"))):
        rng = random.Random(11)
        with_word, without, captions = [], [], []
        for _ in range(count):
            scene, _ = kind.scene(rng, rng.choice(common))
            with_word.append(build_scenes.draw(scene, sprites, grounds))
            alone, _ = plain.scene(rng, scene.objects[0].concept)
            without.append(build_scenes.draw(alone, sprites, grounds))
            captions.append(
                " and ".join(f"a {o.colour or ''} {bench.concepts[o.concept].label}" for o in scene.objects)
            )
        words = bench.texts([" ".join(c.split()) for c in captions])
        shares = []
        for change in (list, through):
            gain = (bench.images(change(with_word)) - bench.images(change(without))) * words
            shares.append(float((gain.sum(1) > 0).float().mean()))
        print(
            f"ceiling, {name}: {shares[0]:.3f} of {count} as drawn, {shares[1]:.3f} through the autoencoder"
        )
    rng, placed = random.Random(12), sampler("place")
    made = [placed.scene(rng, rng.choice(common))[0] for _ in range(count)]
    made = [scene for scene in made if scene.ground in names]
    drawn, own = [build_scenes.draw(s, sprites, grounds) for s in made], [s.ground for s in made]
    shares = [
        float(np.mean([names[i] == o for i, o in zip(guess, own, strict=True)]))
        for guess in (
            (bench.images(change(drawn)) @ place_texts.T).argmax(1).tolist() for change in (list, through)
        )
    ]
    print(
        f"ceiling, place named right: {shares[0]:.3f} of {len(made)} as drawn, {shares[1]:.3f} through the "
        "autoencoder"
    )


def measure_counts(bench: Bench, seeds: int) -> None:
    """Measure how often two and three objects are counted as so many: as drawn and as painted."""
    prompts = [prompt for prompt, _, _ in held_out.COUNTED]
    numbers = [number for _, _, number in held_out.COUNTED]
    label_of = {c.label: i for i, c in enumerate(bench.concepts)}
    sprites, grounds = build_scenes.load_sprites(bench.work, bench.concepts), backgrounds.Bank()
    sampler = scenes.Sampler(bench.concepts, sprites, {"count": 1.0}, build_scenes.JITTER)

    def draw(label: str, number: int, rng: random.Random) -> Image.Image:
        while True:
            scene, _ = sampler.scene(rng, label_of[label])
            plain = scene.ground in ("pale", "white") and scene.objects[0].colour is None
            if plain and len(scene.objects) == number:
                return build_scenes.draw(scene, sprites, grounds)

    def right(images: list[Image.Image]) -> list[bool]:
        return [objects_in(i) == n for i, n in zip(images, numbers, strict=True)]

    rng = random.Random(13)
    drawn = np.mean(right([draw(label, number, rng) for _, label, number in held_out.COUNTED]))
    found = np.stack([right(bench.paint(prompts, seed, first=1000)) for seed in range(seeds)])
    two = np.array(numbers) == 2
    print(
        f"counts, {len(prompts)} prompts x {seeds} seeds: two {found[:, two].mean():.3f}, "
        f"three {found[:, ~two].mean():.3f}; as drawn {drawn:.3f}"
    )


def measure_rewriting(bench: Bench) -> None:
    """Compare how well images of flowery and of plain prompts match the plain description."""
    flowery, plain = zip(*held_out.FLOWERY, strict=True)
    wanted = bench.texts(list(plain))
    scores = [
        (bench.images(bench.paint(list(prompts), seed=7)) * wanted).sum(1).numpy()
        for prompts in (flowery, plain)
    ]
    gain = scores[1] - scores[0]
    found = bootstrap(mean([[float(one)] for one in gain]), len(gain))
    print(
        f"rewriting, {len(gain)} pairs: flowery {scores[0].mean():.3f}, plain {scores[1].mean():.3f}, "
        f"gain {found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
    )


def measure_foils(bench: Bench) -> None:
    """Measure what the critic's foils refuse of the images that the match score lets pass.

    Images of wordings with a colour, second object or number should stay, those of the wordings without it
    should go, unless they happen to show it.
    """
    limit = MatchScorer.thresholds["matcher"]
    cases = {
        "colour": [(full, bare) for full, bare in held_out.COLOURED],
        "second object": [(full, first) for full, first, _ in held_out.PAIRS],
        "number": [(full, with_article(label)) for full, label, _ in held_out.COUNTED],
    }

    def kept(image: torch.Tensor, description: str) -> bool:
        texts = [description, *(foil for others in foils(description).values() for foil in others)]
        fits = (bench.texts(texts) @ image).tolist()
        return not false_facts(description, dict(zip(texts, fits, strict=True)))

    for name, pairs in cases.items():
        told = []
        for which in (0, 1):
            described = [full for full, _ in pairs]
            seen = bench.images(bench.paint([pair[which] for pair in pairs], seed=0))
            fits = (seen * bench.texts(described)).sum(1)
            passing = [kept(i, t) for i, t, fit in zip(seen, described, fits, strict=True) if fit >= limit]
            told.append(f"{sum(passing)} of {len(passing)} that pass {limit} stay")
        print(f"foils, {name}, {len(pairs)} wordings: {told[0]}; without it, {told[1]}")


def measure_quality(bench: Bench) -> None:
    head = embedded.load_quality(bench.folder("quality"))
    rng = random.Random(5)
    drawn, misdrawn, _ = bench.misdrawn_scenes("plain", 600)
    unfinished = half_formed(bench.work)
    spoilt: dict[str, list[Image.Image]] = {kind: [] for kind in broken.KINDS}
    for i, picture in enumerate(drawn):
        kind = broken.KINDS[i % len(broken.KINDS)]
        spoilt[kind].append(misdrawn[i] if kind == "misdrawn" else spoil(picture, unfinished, kind, rng))

    def score(images: list[Image.Image]) -> np.ndarray:
        with torch.inference_mode():
            parts = [
                head(bench.matcher.features(images[i : i + 32])).sigmoid() for i in range(0, len(images), 32)
            ]
        return torch.cat(parts).numpy()

    clean = score(drawn)
    by_kind = {kind: score(images) for kind, images in spoilt.items()}
    print(
        f"quality, {HELD_OUT.name}, {len(drawn)} clean against as many broken: "
        f"AUC {auc(clean, np.concatenate(list(by_kind.values()))):.4f}, clean mean {clean.mean():.2f}"
    )
    for kind, values in by_kind.items():
        print(f"  {kind:12} AUC {auc(clean, values):.4f}, mean {values.mean():.2f}")


def measure_speed(bench: Bench) -> None:
    """Take the median of five, on as many threads as --threads."""

    def median(job: Callable[[], object]) -> float:
        job()
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            job()
            times.append(time.perf_counter() - begin)
        return float(np.median(times))

    prompts = ["a dog", "a red car", "a pizza on a table", "an owl at night"]
    pictures = bench.paint(prompts, 0, batch=4)
    paint = median(lambda: bench.paint(prompts, 0, batch=4)) / 4
    match = median(lambda: bench.matcher.encode_images(pictures)) / 4
    head = embedded.load_quality(bench.folder("quality"))
    features = bench.matcher.features(pictures).clone()
    with torch.inference_mode():
        extra = median(lambda: head(features)) / 4
    size = sum(
        p.stat().st_size
        for name in ("matcher", "painter", "quality")
        for p in bench.folder(name).rglob("*.safetensors")
    )
    print(
        f"speed, {torch.get_num_threads()} threads, batch 4: painter {paint:.3f} s an image, "
        f"matcher {match * 1000:.1f} ms, quality head {extra * 1000:.2f} ms more; "
        f"weights {size / 1e6:.1f} MB"
    )


def contact_sheet(bench: Bench, out: Path, seed: int = 0) -> None:
    """Arrange images of 48 prompts, one each, at twice their size."""
    pictures = bench.paint(list(held_out.SHEET), seed)
    cell, line = 136, 16
    sheet = Image.new("RGB", (8 * cell, 6 * (cell + line)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for i, (prompt, picture) in enumerate(zip(held_out.SHEET, pictures, strict=True)):
        x, y = i % 8 * cell + 4, i // 8 * (cell + line) + 4
        sheet.paste(picture.resize((128, 128), Image.Resampling.BICUBIC), (x, y))
        pen.text((x, y + 130), prompt[:26], fill="black", font=font)
    sheet.save(out)
    print(f"contact sheet in {out}")


def main() -> None:
    parser = work.parser(__doc__ or "")
    parser.add_argument("parts", nargs="*", help="which measurements; all by default")
    parser.add_argument("--shipped", action="store_true", help="measure what the package ships")
    parser.add_argument("--seeds", type=int, default=2, help="images per prompt, for painter and counts")
    parser.add_argument("--sheet", type=Path, default=Path("contact-sheet.png"))
    args = parser.parse_args()
    work.start(args)
    bench = Bench(args.work, args.shipped)
    parts: dict[str, Callable[[], None]] = {
        "matcher": lambda: measure_matcher(bench),
        "painter": lambda: measure_painter(bench, args.seeds),
        "ceiling": lambda: measure_ceiling(bench),
        "counts": lambda: measure_counts(bench, args.seeds),
        "rewriting": lambda: measure_rewriting(bench),
        "foils": lambda: measure_foils(bench),
        "quality": lambda: measure_quality(bench),
        "speed": lambda: measure_speed(bench),
        "sheet": lambda: contact_sheet(bench, args.sheet),
    }
    for name in args.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
