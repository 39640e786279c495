"""Measure the rate and peak memory of an export, and what a kill half-way costs.

`python -m benchmarks.export [--dialogues 1000 50000] [--formats parquet ...]` makes a run of synthetic
dialogues, each with an image of 64 by 64 pixels of noise, and exports it in every format, each in a process
of its own: once whole, and once killed half-way and finished by the same command. Both must give the same
files.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents.export import EXPORTERS
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.models.fakes import FakePainter
from magid_agents.runs import session
from magid_agents.store.rundir import RunDir, encode_image, image_name

SIDE = 64


def make_run(folder: Path, dialogues: int) -> Path:
    """Make a run of one dialogue for its manifest and journal, and write the others into it."""
    request = worlds.request(folder, 1, **{"budget.candidates": 1})
    session.run(request, open_models=worlds.fakes(FakePainter, attempts=1))
    run = RunDir(request.out)
    with run.dialogues.open("w") as file:
        for number in range(dialogues):
            file.write(json.dumps(_record(run, number)) + "\n")
    return run.path


def _record(run: RunDir, number: int) -> dict[str, Any]:
    pixels = hashlib.shake_128(str(number).encode()).digest(SIDE * SIDE * 3)
    sha256, data = encode_image(Image.frombytes("RGB", (SIDE, SIDE), pixels), {})
    run.store_image(sha256, data)
    image = {
        "path": image_name(sha256),
        "sha256": sha256,
        "description": f"boat {number}",
        "rationale": "r",
        "prompt": f"boat {number}",
        "seed": number,
        "model": "fake-painter",
        "scores": {"image_text_match": 0.9},
        "critique": "",
        "attempts": 1,
    }
    said = [
        {"speaker": "AB"[turn % 2], "text": worlds.TEXT, "images": [image] if turn == 2 else []}
        for turn in range(8)
    ]
    return {"id": str(number), "source": "", "utterances": said, "dropped": []}


def one(run: Path, to: str, out: Path, kill_at: int) -> None:
    """Export, and print seconds, those of the CPU, and peak MB; kill this process after so many dialogues."""

    def report(done: int, _: int) -> None:
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    begin, cpu = time.monotonic(), time.process_time()
    export(ExportRequest([run], to, out), report)
    seconds = time.monotonic() - begin, time.process_time() - cpu
    print(*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(run: Path, to: str, folder: Path, dialogues: int) -> Iterator[str]:
    """Yield the cells of one row."""
    whole, resumed = folder / "whole", folder / "resumed"
    seconds, cpu, peak = map(float, _export(run, to, whole).split())
    rates = (f"{dialogues / one:,.0f}" for one in (seconds, cpu))
    yield from (to, f"{dialogues:,}", *rates, f"{peak:.0f}")
    _export(run, to, resumed, kill_at=dialogues // 2)
    _, cpu_of_rest, _ = map(float, _export(run, to, resumed).split())
    yield f"{cpu_of_rest / cpu:.0%}"
    yield "yes" if _digest(whole) == _digest(resumed) else "NO"
    for path in (whole, resumed):
        shutil.rmtree(path)


def _export(run: Path, to: str, out: Path, kill_at: int = 0) -> str:
    command = [sys.executable, "-m", "benchmarks.export", "--one", str(run), to, str(out), str(kill_at)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=not kill_at).stdout


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, nargs="+", default=[1000, 50_000])
    parser.add_argument("--formats", nargs="+", default=EXPORTERS.names())
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run, to, out, kill_at = args.one
        one(Path(run), to, Path(out), int(kill_at))
        return
    table = Table(
        *("format", "dialogues", "dialogues/s", "dialogues/CPU second", "peak MB"),
        *("CPU after a kill half-way", "same files"),
    )
    for dialogues in args.dialogues:
        with tempfile.TemporaryDirectory() as folder:
            run = make_run(Path(folder), dialogues)
            for to in args.formats:
                table.add_row(*measure(run, to, Path(folder), dialogues))
    Console().print(table)


if __name__ == "__main__":
    main()
