"""A run killed at any moment and started again: it completes, to the dataset of an undisturbed run."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from magid_agents.models.fakes import FakePainter
from tests.fake_run import lines, run, write_input

THINGS = [f"{thing}{i}" for i in range(8) for thing in ("dog", "cake", "fog", "silence")]
VICTIM = """
import sys, time
from pathlib import Path
from magid_agents.store import results
from magid_agents.models.fakes import FakePainter
from tests.fake_run import run

results.PUBLISH_INTERVAL_S = 0.01
results.PUBLISH_MAX_SHARE = float("inf")

class Slow(FakePainter):
    async def paint(self, prompt, seed):
        print("paints", flush=True)
        time.sleep(0.005)
        return await super().paint(prompt, seed)

run(Path(sys.argv[1]), painter=Slow())
"""
KILLS = 4


def finished(folder: Path) -> list[str]:
    """The ids in the dataset, every line of which must be whole."""
    path = folder / "out" / "dialogues.jsonl"
    return [record["id"] for record in lines(path)] if path.exists() else []


def test_the_dataset_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, killed):
        folder.mkdir()
        write_input(folder / "in.jsonl", *THINGS)
    run(quiet)
    rng, before = random.Random(5), list[str]()
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(killed)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "paints\n"
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = finished(killed)
        assert left[: len(before)] == before
        before = left
    painter = FakePainter()
    outcome = run(killed, painter=painter)
    assert outcome.counts.dialogues == len(THINGS)
    assert (killed / "out" / "dialogues.jsonl").read_bytes() == (
        quiet / "out" / "dialogues.jsonl"
    ).read_bytes()
    assert outcome.calls.reused > 0
    pictures = [p.relative_to(killed) for p in (killed / "out" / "images").rglob("*.png")]
    assert sorted(pictures) == sorted(p.relative_to(quiet) for p in (quiet / "out" / "images").rglob("*.png"))


def test_leftovers_of_a_killed_write_do_not_stay(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    image = next((tmp_path / "out" / "images").rglob("*.png"))
    half = [tmp_path / "out" / "dialogues.jsonl.77.tmp", image.parents[1] / "ab.png.77.tmp"]
    for path in half:
        path.write_text("half")
    run(tmp_path)
    assert not any(path.exists() for path in half)
