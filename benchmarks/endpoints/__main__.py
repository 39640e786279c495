"""Measure a run against real HTTP endpoints with default settings, compared to a bare loop of the same calls.

`python -m benchmarks.endpoints [--borne N...] [--dialogues N] [--peer PYTHON]` starts a scripted
OpenAI-compatible engine in a process of its own and runs the same dialogues against it in several ways, each
in a process of its own: this project, a bare LangGraph over ChatOpenAI, and, with a Python that has the
package data-designer, NeMo Data Designer. Each dialogue takes a scan, a prompt, an image and a critique;
scorers cost nothing. `borne` is how many requests the engine bears at each of its models: all that is set.

All figures are read from outside: from the engine's log, and from the CPU time of the process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.endpoints import figures
from benchmarks.endpoints.figures import Figures, Sample

SAMPLE_INTERVAL_S = 0.05
LEAST = 8  # dialogues for each request borne, so that the beginning and the end of a run count little
WAYS = {"magid": "ours", "LangGraph + ChatOpenAI": "bare"}
ROOT = Path(__file__).parents[2]


@contextmanager
def serving() -> Iterator[str]:
    """Run the engine and yield its address."""
    command = [sys.executable, "-m", "benchmarks.endpoints.engine"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measure(command: Sequence[str], borne: int, dialogues: int) -> Figures:
    """Run one way in a process of its own."""
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        started, samples = time.time(), list[Sample]()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NEMO_TELEMETRY_ENABLED": "false"}
        arguments = [*command, url, str(borne), str(dialogues), folder]
        with (Path(folder) / "log").open("w+") as told:
            process = psutil.Popen(arguments, stdout=told, stderr=told, cwd=ROOT, env=environment)
            while process.poll() is None:
                samples.append(_sample(process))
                time.sleep(SAMPLE_INTERVAL_S)
            if process.returncode:
                told.seek(0)
                sys.exit(f"{' '.join(arguments)} failed:\n{told.read()[-4000:]}")
        with urllib.request.urlopen(f"{url}/log") as answer:
            return figures.read(json.load(answer), samples, started)


def _sample(process: psutil.Popen) -> Sample:
    with process.oneshot():
        used, memory = process.cpu_times(), process.memory_info()
    return Sample(time.time(), used.user + used.system, memory.rss / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--borne", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--dialogues", type=int, default=1200, help="fewer where it bears 16 or fewer")
    parser.add_argument("--only", choices=WAYS.values(), help="this way alone")
    parser.add_argument("--peer", help="Python with the package data-designer installed")
    args = parser.parse_args()
    modules = {name: module for name, module in WAYS.items() if args.only in (None, module)}
    ways = {
        name: [sys.executable, "-m", f"benchmarks.endpoints.{module}"] for name, module in modules.items()
    }
    if args.peer:
        ways["NeMo Data Designer"] = [args.peer, "-m", "benchmarks.endpoints.data_designer_peer"]
    table = Table(
        "borne", "", "images/s", "of the ideal", "CPU ms", "MB", "first image s", "half-done", "latency s"
    )
    for borne in args.borne:
        ideal = figures.ideal(borne)
        dialogues = max(LEAST * borne, round(args.dialogues * ideal / figures.ideal(256)))
        for name, command in ways.items():
            got = measure(command, borne, dialogues)
            table.add_row(
                str(borne),
                name,
                f"{got.images_per_s:.1f}",
                f"{got.images_per_s / ideal:.0%}",
                f"{got.cpu_ms:.1f}",
                f"{got.memory_mb:.0f}",
                f"{got.first_image_s:.1f}",
                f"{got.half_done:.0f}",
                f"{got.latency_s[0]:.1f}; {got.latency_s[1]:.1f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
