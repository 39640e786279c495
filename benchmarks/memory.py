"""Measure peak memory and throughput as a run grows: a long run must not need more memory than a short one.

`python -m benchmarks.memory [--dialogues 1000 100000]` runs each size in its own process, with fake models
and one attempt of one image per moment, and prints the peak resident set size.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents.models.fakes import FakePainter
from magid_agents.runs import session


def one(dialogues: int) -> None:
    """Run, and print peak MB, and dialogues per second of wall-clock time and of CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        request = worlds.request(Path(folder), dialogues, **{"budget.candidates": 1})
        begin, cpu = time.monotonic(), time.process_time()
        session.run(request, open_models=worlds.fakes(FakePainter, attempts=1))
        rates = dialogues / (time.monotonic() - begin), dialogues / (time.process_time() - cpu)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, *rates)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one)
        return
    table = Table("dialogues", "peak MB", "dialogues/s", "dialogues/CPU second")
    for size in args.dialogues:
        command = [sys.executable, "-m", "benchmarks.memory", "--one", str(size)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        table.add_row(f"{size:,}", *(f"{float(value):.1f}" for value in said))
    Console().print(table)


if __name__ == "__main__":
    main()
