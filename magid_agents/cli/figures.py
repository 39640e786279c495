"""Figures with intervals as text, and tables of them."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from magid_agents.evaluation.intervals import Interval

PIPED_WIDTH = 240  # characters; a table that is read by a program is not folded
NONE = "-"


def as_text(figure: "Interval | None", digits: int = 2, *, signed: bool = False) -> str:
    """Return a figure with its interval, such as 0.46 [0.38, 0.53]; a dash if there is none."""
    if figure is None or math.isnan(figure.estimate):
        return NONE
    spec = f"{'+' if signed else ''}.{digits}f"
    if math.isnan(figure.low):
        return f"{figure.estimate:{spec}}"
    return f"{figure.estimate:{spec}} [{figure.low:{spec}}, {figure.high:{spec}}]"


def print_figures(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Print a table on stdout, a named row each."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=width is not None)
    for name, cells in rows.items():
        table.add_row(escape(name), *map(escape, cells))
    Console(highlight=False, width=width).print(table)
