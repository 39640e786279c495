"""Print a run's counts and its first failures."""

import json
import sys
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from magid_agents.runs.session import RunResult
from magid_agents.store.results import READ, count_failures
from magid_agents.store.rundir import RunDir
from magid_agents.text import printable

MAX_FAILURES = 10
MAX_FAILURE_CHARS = 300


def print_summary(result: RunResult, out: Path) -> None:
    """Print a table of the counts, and where the results are, on stdout."""
    counts, calls = result.counts, result.calls
    causes = _causes(RunDir(out)) if counts.failed else []
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("dialogues", f"{counts.dialogues}"),
        ("images accepted", f"{counts.accepted}"),
        ("  of these after a rewrite", f"{counts.rewritten}"),
        ("images dropped", f"{counts.dropped}"),
        ("dialogues without an image", f"{counts.without_image}"),
        ("dialogues failed", f"{counts.failed}"),
        *((f"  {escape(what)}", f"{count}") for what, count in causes),
        *([("dialogues finished before", f"{calls.dialogues}")] if calls.dialogues else []),
        ("model calls computed", f"{calls.computed}"),
        ("model calls reused", f"{calls.reused}"),
        *([("cost in dollars", f"{result.cost:.4f}")] if result.cost else []),
        ("seconds", f"{result.seconds:.1f}"),
    ):
        table.add_row(name, value)
    Console(emoji=False).print(table)
    print(f"dialogues: {out / 'dialogues.jsonl'}")
    print(f"why: magid trace {out}")


def print_failures(directory: RunDir) -> None:
    """Print the first failures on stderr, one per line; if there are more, also the number per cause."""
    with directory.failures.open(encoding="utf-8", errors="surrogatepass") as file:
        for line in islice(file, MAX_FAILURES):
            failure = json.loads(line)
            where = "" if failure["stage"] == READ else f"{_one_line(failure['id'])}: {failure['stage']}: "
            print(f"magid: {where}{_one_line(failure['error'])}", file=sys.stderr)
        more = next(file, None)
    if more:
        told = ", ".join(f"{what} {count}" for what, count in _causes(directory))
        print(f"magid: more failed (in all: {told}); see {directory.failures}", file=sys.stderr)


def _causes(directory: RunDir) -> list[tuple[str, int]]:
    """Return stage and cause of the failures with their counts, most frequent first."""
    counted = count_failures(directory.failures).most_common()
    return [(_one_line(f"{stage}: {cause}"), count) for (stage, cause), count in counted]


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))[:MAX_FAILURE_CHARS]
