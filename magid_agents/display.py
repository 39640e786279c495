"""How a run looks on a terminal: the bar while it goes and the table when it is done."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from magid_agents.rundir import RunDir
from magid_agents.runner import Counts
from magid_agents.runner import Progress as Report
from magid_agents.session import Outcome
from magid_agents.text import printable

SHOWN, LONGEST = 10, 300  # failures on stderr, and characters of each


@contextmanager
def bar(total: int | None) -> Iterator[Report]:
    """A bar on stderr; gives the function that moves it. Silent where stderr is no terminal."""
    columns = (
        TextColumn("dialogues"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("run", total=total, said="")

        def report(counts: Counts) -> None:
            said = (
                f"{counts.accepted} images, {counts.dropped} dropped, {counts.failed} failed, "
                f"{counts.reused} calls reused"
            )
            progress.update(task, completed=counts.dialogues, said=said)

        yield report


def failures(directory: RunDir) -> None:
    """The first failures, one line each, on stderr."""
    with directory.failures.open(encoding="utf-8", errors="surrogatepass") as file:
        for number, line in enumerate(file):
            if number == SHOWN:
                print(f"magid: more failed; see {directory.failures}", file=sys.stderr)
                return
            failure = json.loads(line)
            where = "" if failure["stage"] == "read" else f"{failure['id']}: {failure['stage']}: "
            print(f"magid: {where}{_one_line(failure['error'])}", file=sys.stderr)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:LONGEST]


def summary(outcome: Outcome, out: Path) -> None:
    """The table at the end, on stdout."""
    counts = outcome.counts
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("dialogues", f"{counts.dialogues}"),
        ("images accepted", f"{counts.accepted}"),
        ("  of these after a rewrite", f"{counts.rewritten}"),
        ("images dropped", f"{counts.dropped}"),
        ("dialogues without an image", f"{counts.bare}"),
        ("dialogues failed", f"{counts.failed}"),
        ("model calls computed", f"{outcome.computed}"),
        ("model calls reused", f"{outcome.reused}"),
        *([("cost in dollars", f"{outcome.cost:.4f}")] if outcome.cost else []),
        ("seconds", f"{outcome.seconds:.1f}"),
    ):
        table.add_row(name, value)
    Console().print(table)
    print(f"dialogues: {out / 'dialogues.jsonl'}")
    print(f"why: magid trace {out}")
