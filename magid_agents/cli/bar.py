"""A bar on a terminal, for work whose progress is a number."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on stderr if it is a terminal; yield what moves it, given the number done and of all."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
