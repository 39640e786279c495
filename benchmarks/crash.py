"""Kill a run again and again: it must lose nothing but the calls that were in flight.

`python -m benchmarks.crash [--kills 100]` starts a run of fake models, kills it with SIGKILL at a seeded
random moment, starts it again, and so on, until it may finish. It then compares the dataset with that of an
undisturbed run, byte for byte, and counts images that were painted although the journal had them.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents.models.fakes import FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.runs import session

DIALOGUES, LONGEST = 400, 2.0  # maximum seconds from a run's first image to its kill


class Told(FakePainter):
    """Writes a line for every image that it begins, so that repeated ones can be counted."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        os.write(self._log, f"{prompt}/{seed}\n".encode())
        await asyncio.sleep(0.002)
        return await super().paint(prompt, seed)


def one(folder: Path) -> None:
    """Run, or finish what is left of an earlier run."""
    request = worlds.request(folder, DIALOGUES, concurrency=16)
    session.run(request, open_models=worlds.fakes(lambda: Told(folder / "log"), attempts=1))


def killed(folder: Path, rng: random.Random) -> bool:
    """Start the run and kill it; return False if it finished first."""
    log = folder / "log"
    before = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "benchmarks.crash", "--one", str(folder)]
    process = subprocess.Popen(command)
    while process.poll() is None and (not log.exists() or log.stat().st_size == before):
        time.sleep(0.005)
    time.sleep(rng.uniform(0, LONGEST))
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def painted(folder: Path) -> list[str]:
    """Return every image that was begun, in order."""
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def recorded(folder: Path) -> set[str]:
    """Return every image that the journal has."""
    path = folder / "out" / "journal.sqlite"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT request FROM calls WHERE kind = 'paint'")]
    return {f"{row['prompt']}/{row['seed']}" for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one)
        return
    rng, kills, runs, under_way, twice, same = random.Random(0), 0, 0, 0, 0, True
    with tempfile.TemporaryDirectory() as name:
        quiet = Path(name) / "quiet"
        quiet.mkdir()
        one(quiet)
        dataset = (quiet / "out" / "dialogues.jsonl").read_bytes()
        asked = len(painted(quiet))
        while kills < args.kills:
            folder = Path(name) / f"run{runs}"
            folder.mkdir()
            while kills < args.kills:
                known, so_far = recorded(folder), len(painted(folder))
                died = killed(folder, rng)
                twice += sum(image in known for image in painted(folder)[so_far:])
                if not died:
                    break
                kills += 1
            one(folder)
            runs += 1
            under_way += len(painted(folder)) - asked
            same &= (folder / "out" / "dialogues.jsonl").read_bytes() == dataset
    table = Table("", "", show_header=False, title=f"{DIALOGUES} dialogues a run")
    table.add_row("kills, in so many runs", f"{kills}, {runs}")
    table.add_row("datasets equal the undisturbed run's", "yes" if same else "NO")
    table.add_row("images painted again that were under way at a kill", f"{under_way}")
    table.add_row("images painted again that the journal had", f"{twice}")
    Console().print(table)


if __name__ == "__main__":
    main()
