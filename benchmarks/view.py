"""The page over a long run: what its index and each page take, and the memory of the server.

`python -m benchmarks.view [--dialogues 100000] [--out DIR]` writes a run directory without running anything,
serves it with `magid view` in a process of its own and asks it over HTTP. A directory that is there is used.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.long_run import RARE_WORD, write

PAGES = {
    "run": "/r/0",
    "run, of the rewritten": "/r/0?outcome=rewritten",
    "dialogues, first page": "/r/0/dialogues",
    "dialogues, page 1,000": "/r/0/dialogues?page=1000",
    "grid of dropped moments": "/r/0/dialogues?outcome=dropped&form=grid",
    "filter by outcome and check": "/r/0/dialogues?outcome=rewritten&check=aesthetics",
    "filter by a range of scores": "/r/0/dialogues?score=aesthetics&from=0.5&below=0.51",
    "nearest to a threshold first": "/r/0/dialogues?order=nearest",
    "search for a rare word": f"/r/0/dialogues?text={RARE_WORD}",
    "search for a word of every dialogue": "/r/0/dialogues?text=the",
    "dialogue": "/r/0/dialogue?id=d1000",
    "call": "/r/0/call?id=d1000&step=scan",
    "dialogue, from a filtered list": "/r/0/dialogue?id=d1000&outcome=rewritten&order=nearest",
    "threshold moved by 0.01": "/r/0/what-if?aesthetics=0.51",
    "threshold moved by 0.1": "/r/0/what-if?aesthetics=0.6",
    "run compared with itself": "/compare/0/0",
}
ROUNDS = 5
TIMEOUT_S = 300


@contextmanager
def serving(directory: Path) -> Iterator[tuple[str, float]]:
    """Serve with `magid view`; gives the address and the seconds until it was told."""
    command = [sys.executable, "-m", "magid_agents", "view", str(directory), "--no-browser"]
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip(), time.monotonic() - begin
        finally:
            server.terminate()


def seconds(client: httpx.Client, path: str) -> float:
    begin = time.monotonic()
    client.get(path).raise_for_status()
    return time.monotonic() - begin


def measure(directory: Path) -> Table:
    for file in directory.glob("index.sqlite*"):
        file.unlink()
    table = Table("step", "first, s", f"median of {ROUNDS} more, s")
    with serving(directory) as (_, made):
        pass
    with serving(directory) as (address, opened):
        table.add_row("start, the index made", f"{made:.2f}", "")
        table.add_row("start, the index there", f"{opened:.2f}", "")
        with httpx.Client(base_url=address, timeout=TIMEOUT_S, trust_env=False) as client:
            for name, path in PAGES.items():
                first = seconds(client, path)
                again = statistics.median(seconds(client, path) for _ in range(ROUNDS))
                table.add_row(name, f"{first:.2f}", f"{again:.2f}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    table.caption = f"peak memory of the server: {peak:.0f} MB"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = args.out or Path(folder) / "long"
        if not (directory / "run.json").exists():
            write(directory, args.dialogues)
        Console().print(measure(directory))


if __name__ == "__main__":
    main()
