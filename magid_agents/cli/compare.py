"""`magid compare`: paired differences between two runs over the same dialogues."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magid_agents.cli.figures import NONE, as_text, print_figures

if TYPE_CHECKING:
    from magid_agents.evaluation.compare_runs import Comparison, PairedFigure

MAX_FLIPS = 20
COLUMNS = ("left", "right", "right minus left", "p", "of", "detectable")


def compare(
    left: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    right: Annotated[Path, typer.Argument(help="Another run of the same dialogues.", metavar="DIR")],
    held_out: Annotated[
        str | None,
        typer.Option(help="A scorer that neither run chose its images by.", metavar="BACKEND:MODEL"),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, help="Scores that differ by less count as equivalent.")
    ] = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two runs: differences with 95 % intervals over dialogues, and the moments that flipped.

    Scores are compared at equal numbers of images: at the moments that both runs kept, and over all moments
    with as many images from each dialogue as the run with fewer has.
    """
    from magid_agents.evaluation import compare_runs

    found = compare_runs.compare_runs(left, right, held_out, margin)
    if output_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _print(found)


def _print(found: "Comparison") -> None:
    from magid_agents.text import printable

    typer.echo(f"{found.dialogues} dialogues have ended in both")
    for name, identity in found.scorers.items():
        typer.echo(f"{name}: {identity}")
    columns = [*COLUMNS, *([] if found.margin is None else [f"within {found.margin:g}"])]
    for title, figures in found.sections.items():
        if figures:
            typer.echo()
            shown = {f.name: _cells(f)[: len(columns)] for f in figures}
            print_figures([title, *columns], shown)
    counts = Counter(flip.change for flip in found.flips)
    told = ", ".join(f"{counts[change]} {change}" for change in ("gained", "lost", "replaced"))
    typer.echo(f"\nimages {told}")
    for flip in found.flips[:MAX_FLIPS]:
        place = f"{flip.dialogue}, utterance {flip.utterance}"
        typer.echo(f"  {flip.change} {printable(place)}: {printable(flip.description)}")
    if len(found.flips) > MAX_FLIPS:
        typer.echo(f"  and {len(found.flips) - MAX_FLIPS} more; --json lists all")
    for note in found.notes:
        typer.echo(f"magid: {note}", err=True)


def _cells(figure: "PairedFigure") -> list[str]:
    found = figure.difference
    equivalent = {None: NONE, True: "yes", False: "not shown"}[figure.equivalent]
    return [
        f"{figure.left:.3f}",
        f"{figure.right:.3f}",
        as_text(found, 3, signed=True),
        f"{figure.p:.3f}",
        f"{figure.values}",
        f"{found.detectable:.3f}",
        equivalent,
    ]
