"""How a run looks on a terminal or in a log: its progress while it goes and the table when it is done."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from magid_agents.runs.runner import Progress as Report
from magid_agents.runs.session import RunResult
from magid_agents.store.results import Calls, Counts
from magid_agents.store.rundir import RunDir
from magid_agents.text import printable

SHOWN, LONGEST = 10, 300  # failures on stderr, and characters of each
LINE_INTERVAL_S = 30.0


@contextmanager
def progress(total: int | None) -> Iterator[Report]:
    """Show how a run stands on stderr; gives the function to be told.

    A bar on a terminal; elsewhere, such as in a log file, a line now and then.
    """
    console = Console(stderr=True)
    with _bar(total, console) if console.is_terminal else lines(total) as report:
        yield report


@contextmanager
def _bar(total: int | None, console: Console) -> Iterator[Report]:
    columns = (
        TextColumn("dialogues"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("run", total=total, said="")

        def report(counts: Counts, calls: Calls) -> None:
            bar.update(task, completed=counts.dialogues, said=_stands(counts, calls))

        yield report


@contextmanager
def lines(total: int | None, interval_s: float = LINE_INTERVAL_S) -> Iterator[Report]:
    """Print a line on stderr every `interval_s` seconds, also while no dialogue ends."""
    latest = Counts(), Calls()
    ended = threading.Event()

    def report(counts: Counts, calls: Calls) -> None:
        nonlocal latest
        latest = counts, calls

    def print_lines() -> None:
        while not ended.wait(interval_s):
            done = f"{latest[0].dialogues}" if total is None else f"{latest[0].dialogues} of {total}"
            print(f"magid: {done} dialogues, {_stands(*latest)}", file=sys.stderr, flush=True)

    thread = threading.Thread(target=print_lines, name="progress", daemon=True)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()


def _stands(counts: Counts, calls: Calls) -> str:
    return (
        f"{counts.accepted} images, {counts.dropped} dropped, {counts.failed} failed, "
        f"{calls.computed} calls computed, {calls.reused} reused"
    )


def failures(directory: RunDir) -> None:
    """The first failures, one line each, on stderr."""
    with directory.failures.open(encoding="utf-8", errors="surrogatepass") as file:
        for number, line in enumerate(file):
            if number == SHOWN:
                print(f"magid: more failed; see {directory.failures}", file=sys.stderr)
                return
            failure = json.loads(line)
            where = "" if failure["stage"] == "read" else f"{_one_line(failure['id'])}: {failure['stage']}: "
            print(f"magid: {where}{_one_line(failure['error'])}", file=sys.stderr)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:LONGEST]


def summary(outcome: RunResult, out: Path) -> None:
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
