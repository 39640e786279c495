"""Show many dialogues as a table, one row each, with constant memory."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from magid_agents.reading.trace import DialogueTrace
from magid_agents.text import printable

ROWS_AT_ONCE = 500  # columns are as wide as these rows need; further rows may widen them
WORDS = {"id", "state"}  # columns that are not numbers


def print_table(console: Console, traces: Iterable[DialogueTrace], *, dollars: bool) -> None:
    """Print the traces as they come, some hundred at a time."""
    rows, widths = map(_row, traces), Counter[str]()
    while some := list(islice(rows, ROWS_AT_ONCE)):
        table = Table(box=None, pad_edge=False, show_header=not widths)
        columns = [name for name in some[0] if dollars or name != "dollars"]
        for name in columns:
            widths[name] = max(widths[name], cell_len(name), *(cell_len(row[name]) for row in some))
            table.add_column(
                name,
                justify="left" if name in WORDS else "right",
                overflow="fold",
                no_wrap=name not in WORDS,
                min_width=min(widths[name], console.width // 4),
            )
        for row in some:
            cells = (Text(row[name]) for name in columns)
            table.add_row(*cells, style="red" if row["state"].startswith("failed") else "")
        console.print(table)


def _row(one: DialogueTrace) -> dict[str, str]:
    """Return a dialogue's cells by column."""
    outcomes, spent = one.decisions.outcomes, one.spent.computed
    state = "finished" if one.finished else "under way"
    return {
        "id": printable(one.id),
        "moments": f"{len(outcomes)}",
        "accepted": f"{sum(outcome.illustration is not None for outcome in outcomes)}",
        "rewritten": f"{sum(len(outcome.attempts) > 1 for outcome in outcomes)}",
        "dropped": f"{sum(outcome.dropped is not None for outcome in outcomes)}",
        "attempts": f"{sum(len(outcome.attempts) for outcome in outcomes)}",
        "seconds": f"{spent.seconds:.1f}",
        "dollars": f"{spent.cost:.4f}",
        "state": printable(f"failed: {one.stage}: {one.cause}" if one.failure else state),
    }
