"""`magid view` and `magid report`: a local page over runs, and one file of a run."""

from pathlib import Path
from typing import Annotated

import typer


def view(
    directories: Annotated[list[Path], typer.Argument(help="Run directories.", metavar="DIR...")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it.")] = True,
) -> None:
    """Open a page that shows what was decided, lists and filters, and compares runs. Ctrl-C ends it."""
    from rich.console import Console
    from rich.progress import Progress

    from magid_agents.viewer.server import prepare, serve

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("index", total=None)
        prepare(directories, lambda done, total: bar.update(task, completed=done, total=total))
    serve(directories, port=port, browser=browser, started=typer.echo)


def report(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    out: Annotated[Path | None, typer.Option(help="The file; DIR/report.html if left out.")] = None,
) -> None:
    """Write one HTML file with figures, charts and a sample of the dialogues; it opens by double click."""
    from magid_agents.errors import ConfigError
    from magid_agents.store.rundir import RunDir
    from magid_agents.viewer.report import write_report

    try:
        typer.echo(write_report(RunDir(directory), out).resolve().as_uri())
    except OSError as error:
        raise ConfigError(f"{out or directory}: the report cannot be written ({error.strerror})") from error
