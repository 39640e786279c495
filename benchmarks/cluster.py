"""Measure how a run scales with the workers of a Ray cluster, and what losing one costs.

`python -m benchmarks.cluster [--dialogues N] [--workers 1 2]` starts a local cluster with a fake painter
that takes a tenth of a second per image, one at a time, like a device. Efficiency is one worker's time
divided by the number of workers times their time. In the last run, one worker is killed halfway.
"""

import argparse
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.runs import ray as engine
from magid_agents.store.results import Calls, Counts

SECONDS = 0.1  # per image
MARK = "MAGID_BENCHMARK_WORKERS"  # names a folder where every worker leaves its process id


class OneAtATime(FakePainter):
    """Paints like a device without batches."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Lock()

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        with self._free:  # nothing else in this worker has work in the meantime
            time.sleep(SECONDS)
        return await super().paint(prompt, seed)


@contextmanager
def open_models(settings: Settings) -> Iterator[Models]:
    """Yield the models of a worker."""
    (Path(os.environ[MARK]) / f"{os.getpid()}").touch()
    with worlds.fakes(OneAtATime, attempts=1)(settings) as models:
        yield models


def measured(folder: Path, dialogues: int, workers: int, kill: bool = False) -> tuple[float, bytes]:
    """Return the seconds of the whole run, including the start of its workers, and the dataset."""
    folder.mkdir()
    marks = Path(os.environ[MARK])
    for old in marks.iterdir():
        old.unlink()

    def progress(counts: Counts, _: Calls) -> None:
        if kill and counts.dialogues >= dialogues / 2 and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(int(next(marks.iterdir()).name), signal.SIGKILL)

    request = worlds.request(folder, dialogues, **{"budget.candidates": 1, "concurrency": 8})
    begin = time.monotonic()
    engine.run(request, progress, workers=workers, open_models=open_models)
    seconds = time.monotonic() - begin
    assert kill == (folder / "killed").exists()
    return seconds, (folder / "out" / "dialogues.jsonl").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    images = args.dialogues * worlds.MOMENTS
    title = f"{images} images of {SECONDS} s"
    table = Table("workers", "seconds", "efficiency", "dataset", title=title)
    with tempfile.TemporaryDirectory() as name:
        marks = Path(name) / "marks"
        marks.mkdir()
        os.environ[MARK] = str(marks)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        first, dataset = 0.0, b""
        for workers in args.workers:
            seconds, made = measured(Path(name) / f"{workers}", args.dialogues, workers)
            first, dataset = first or seconds * workers, dataset or made
            same = "the same" if made == dataset else "ANOTHER"
            table.add_row(f"{workers}", f"{seconds:.1f}", f"{first / seconds / workers:.0%}", same)
        seconds, made = measured(Path(name) / "killed", args.dialogues, args.workers[-1], kill=True)
        same = "the same" if made == dataset else "ANOTHER"
        table.add_row(f"{args.workers[-1]}, one killed half-way", f"{seconds:.1f}", "", same)
        ray.shutdown()
    Console().print(table)


if __name__ == "__main__":
    main()
