"""`magid calibrate`: a scorer's threshold from matched and mismatched pairs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from magid_agents.cli.figures import as_text, print_figures

DIGITS = 3


def calibrate(
    check: Annotated[str, typer.Argument(help="The check, such as image_text_match.")],
    directories: Annotated[list[Path], typer.Argument(help="Run directories.", metavar="DIR...")],
    false_accepts: Annotated[
        float, typer.Option(min=0.0001, max=0.9999, help="Share of mismatched pairs that may pass.")
    ] = 0.05,
    output_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, with the ROC curve.")
    ] = False,
) -> None:
    """Find a threshold at a stated rate of false accepts, and print it as a setting.

    Images of first attempts are scored against their own text and against those of other dialogues. The
    threshold is found on half of the dialogues and judged on the others.
    """
    from magid_agents.evaluation import calibration

    found = calibration.calibrate(check, directories, false_accepts)
    if output_json:
        typer.echo(json.dumps(found.as_dict()))
        return
    typer.echo(f"{check}: {found.scorer}")
    typer.echo(
        f"threshold {as_text(found.threshold, DIGITS)} for {false_accepts:g} false accepts, found on "
        f"{found.dialogues[0]} dialogues; the run's is {found.current:g}"
    )
    cells = {f.name: [as_text(f.interval, DIGITS), f"{f.values}"] for f in found.figures}
    print_figures([f"on {found.dialogues[1]} other dialogues", "", "of"], cells)
    typer.echo(f"--set {found.setting}")
