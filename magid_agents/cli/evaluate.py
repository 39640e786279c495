"""`magid evaluate`: measure a scanner against labels, or a run's images."""

import typer

from magid_agents.cli import evaluate_run, evaluate_scanner

app = typer.Typer(
    help="Measure with intervals: the scanner against labels, or a run's images.", no_args_is_help=True
)
app.command("scanner")(evaluate_scanner.evaluate_scanner)
app.command("run")(evaluate_run.evaluate_run)
