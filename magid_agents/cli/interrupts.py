"""What is printed when a command is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Print how to go on after Ctrl-C or SIGTERM, which Typer would drop."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            typer.echo(f"magid: {interrupt}", err=True)
        raise
