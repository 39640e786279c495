"""Telling a person at the terminal that weights are on their way.

Knows stderr only: a bar where it is a terminal, a line elsewhere. Knows nothing of sources.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from magid_agents.models.download import Advance


def note(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def meter(title: str, total: int, show: bool) -> Iterator[Advance]:
    """Yields what is to be told of each arrival, in bytes."""
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
