"""Report the progress of downloads on stderr: a bar on a terminal, a line elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from magid_agents.models.download import Advance


def note(text: str) -> None:
    """Print one line to stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def meter(title: str, total: int, show: bool) -> Iterator[Advance]:
    """Yield a function to call with the number of bytes whenever some arrive."""
    if not show or not sys.stderr.isatty():
        if show:
            note(f"{title} ({total / 1e6:,.1f} MB)")
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
