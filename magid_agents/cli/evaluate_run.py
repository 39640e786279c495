"""`magid evaluate run`: figures of a run's images, attempts and costs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magid_agents.cli.figures import as_text, print_figures

if TYPE_CHECKING:
    from magid_agents.evaluation.evaluate_run import Evaluation

DIGITS = 3


def evaluate_run(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    held_out: Annotated[
        str | None,
        typer.Option(
            help="A scorer that the run did not choose its images by.",
            metavar="BACKEND:MODEL",
        ),
    ] = None,
    best_of: Annotated[
        Path | None,
        typer.Option(help="A run that painted more instead of rewriting, to compare with.", metavar="DIR"),
    ] = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a run: match, quality, yield, attempts, drops, diversity and cost.

    Figures have 95 % intervals over dialogues and are written to DIR/evaluation.json and shown in the report.
    Scores are kept in the run's journal, so that a second time makes no call.
    """
    from magid_agents.evaluation import evaluate_run as evaluation
    from magid_agents.store.rundir import RunDir
    from magid_agents.viewer.report import write_report

    found = evaluation.evaluate_run(directory, held_out, best_of)
    if (run := RunDir(directory)).report.exists():
        write_report(run)
    if output_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _print(found)
        typer.echo(f"figures: {directory / 'evaluation.json'}")


def _print(found: "Evaluation") -> None:
    typer.echo(f"{found.dialogues} dialogues, {found.images} images")
    for name, identity in found.scorers.items():
        typer.echo(f"{name}: {identity}")
    for title, figures in found.sections.items():
        if figures:
            typer.echo()
            cells = {
                f.name: [as_text(f.interval, DIGITS), f"{f.values}", f"{f.interval.detectable:.{DIGITS}f}"]
                for f in figures
            }
            print_figures([title, "", "of", "detectable"], cells)
    for note in found.notes:
        typer.echo(f"magid: {note}", err=True)
