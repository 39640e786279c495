"""`magid view`: a local page over runs."""

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

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("index", total=None)
        prepare(directories, lambda done, total: bar.update(task, completed=done, total=total))
    serve(directories, port=port, browser=browser, started=typer.echo)
