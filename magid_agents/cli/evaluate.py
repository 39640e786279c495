"""`magid evaluate`: measure a scanner against labels."""

import typer

from magid_agents.cli import evaluate_scanner

app = typer.Typer(help="Measure with intervals: the scanner against labels.", no_args_is_help=True)
app.command("scanner")(evaluate_scanner.evaluate_scanner)
