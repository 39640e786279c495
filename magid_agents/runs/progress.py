"""Show how far a run is: a bar on a terminal, occasional lines in a log."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from magid_agents.runs.runner import Progress as Report
from magid_agents.store.results import Calls, Counts

LINE_INTERVAL_S = 30.0


@contextmanager
def show_progress(total: int | None) -> Iterator[Report]:
    """Show a run's progress on stderr; yield the function to report to.

    On a terminal it is a bar; elsewhere, such as in a log file, occasional lines.
    """
    console = Console(stderr=True)
    with _bar(total, console) if console.is_terminal else show_lines(total) as report:
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
def show_lines(total: int | None, interval_s: float = LINE_INTERVAL_S) -> Iterator[Report]:
    """Print a line on stderr every `interval_s` seconds, even if no dialogue ends in between."""
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
        + (f", {calls.dialogues} dialogues finished before" if calls.dialogues else "")
    )
