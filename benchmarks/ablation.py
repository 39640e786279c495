"""Measure what each part of the loop is worth: the published ablation (MAGID, section 4.3) with intervals.

`python -m benchmarks.ablation INPUT... --pictures DIR --out DIR` runs the same dialogues through every
variant and prints one table. Each variant is a run directory in --out that reuses the answers of `full`, so
that only what differs is computed and an interrupted benchmark goes on. `--pictures` is the folder that the
retrieval baseline chooses from; training/build_data.py writes one of drawings that no shipped model has seen.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from magid_agents import config, formats
from magid_agents.cli.figures import NONE, as_text
from magid_agents.dialogue import Dialogue
from magid_agents.evaluation.compare_runs import EQUAL_COUNTS, SAME_MOMENTS, Comparison, compare_runs
from magid_agents.evaluation.evaluate_run import evaluate_run
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest

SHOWN = ("moments with an image", "image_text_match, description", "held_out, description")
FULL, BEST_OF = "full", "best_of_6"
RETRIEVAL = ("graph=retrieval", "painter.backend=retrieval", "painter.model=matcher", "budget.candidates=1")
VARIANTS: Mapping[str, Sequence[str]] = {
    FULL: (),
    "no_critic": ("graph=no_qa", "budget.candidates=1"),
    BEST_OF: ("budget.attempts=1", "budget.candidates=6"),  # as many images as three attempts of two
    "retrieval": RETRIEVAL,
    "few_shot": ("scanner.prompt=scanner/few_shot",),
    "zero_shot": ("scanner.prompt=scanner/zero_shot",),
    "chain_of_thought": ("scanner.prompt=scanner/chain_of_thought",),
}


def choose(inputs: Sequence[Path], count: int) -> list[Dialogue]:
    """Return the first dialogues, taken from the inputs in turn until each is used up."""
    files = [(d for d in formats.read(path) if isinstance(d, Dialogue)) for path in inputs]
    return list(itertools.islice(_in_turn(files), count))


def _in_turn(files: Sequence[Iterator[Dialogue]]) -> Iterator[Dialogue]:
    for round_ in itertools.zip_longest(*files):
        yield from (dialogue for dialogue in round_ if dialogue is not None)


def run(
    variant: str,
    source: Path,
    out: Path,
    profile: str,
    pictures: Path,
    limit: int | None,
    reuse: Sequence[Path],
    more: Sequence[str] = (),
) -> None:
    """Run one variant, or what is left of it."""
    sets = [*VARIANTS[variant], *more]
    if VARIANTS[variant] is RETRIEVAL:
        sets.append(f"painter.folder={pictures}")
    settings = config.load(profile, overrides=sets)
    others = [out / FULL, *reuse] if variant != FULL else reuse
    session.run(RunRequest([source], out / variant, settings, limit=limit, reuse=others))


def show(out: Path, variants: Sequence[str]) -> None:
    """Print every variant's figures, and by how much the whole loop's held-out score is above it."""
    columns = (
        "variant",
        "dialogues",
        "images",
        "moments with an image",
        "match",
        "held-out",
        "dialogues compared",
    )
    apart = ("full minus this, moments that both kept", "images", "full minus this, equal counts", "images")
    table = Table(*columns, *apart, box=None, pad_edge=False)
    for variant in variants:
        found = evaluate_run(out / variant)
        figures = {f.name: f.interval for section in found.sections.values() for f in section}
        row = [variant, f"{found.dialogues}", f"{found.images}"]
        row += [as_text(figures.get(name)) for name in SHOWN]
        if variant != FULL:
            row += _against_full(compare_runs(out / variant, out / FULL))
        table.add_row(*row)
    Console(highlight=False, width=240).print(table)


def _against_full(found: Comparison) -> Iterator[str]:
    yield f"{found.dialogues}"
    for section in (SAME_MOMENTS, EQUAL_COUNTS):
        scores = {figure.name: figure for figure in found.sections[section]}
        score = scores.get(SHOWN[-1])
        yield as_text(score.difference, signed=True) if score else NONE
        yield f"{score.values}" if score else "0"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dialogues", type=int, default=40)
    parser.add_argument("--limit", type=int, help="run only the first of them")
    parser.add_argument("--reuse", nargs="*", type=Path, default=[], help="runs whose answers are taken over")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    source = args.out / "dialogues.jsonl"
    chosen = choose(args.inputs, args.dialogues)
    source.write_text("".join(f"{d.model_dump_json()}\n" for d in chosen), encoding="utf-8")
    for variant in args.variants:
        run(variant, source, args.out, args.profile, args.pictures, args.limit, args.reuse, args.sets)
    show(args.out, args.variants)


if __name__ == "__main__":
    main()
