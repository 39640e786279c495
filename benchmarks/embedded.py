"""Measure how busy the embedded models are in a real run, and its speed compared to the painter alone.

`python -m benchmarks.embedded [--profile P] [--limit N]` runs examples/dialogues.jsonl, then lets the same
pipeline paint the run's prompts in full batches, one after the other. A model is busy while at least one
call to it is in flight. On a machine whose models share the same cores they slow each other down, and the
shares may add up to more than 100 %.
"""

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.models.painters.diffusers import DiffusersPainter
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest

INPUT = Path(__file__).parents[1] / "examples" / "dialogues.jsonl"
Answer = TypeVar("Answer")


class Watched:
    """Wraps a model to count and time its calls."""

    def __init__(self, model: Any, *calls: str) -> None:
        self._model, self._watched = model, calls
        self.calls, self.seconds = 0, 0.0
        self._now, self._since = 0, 0.0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._model, name)
        return self._timed(value) if name in self._watched else value

    def _timed(self, call: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
        async def timed(*args: Any, **more: Any) -> Answer:
            if not self._now:
                self._since = time.monotonic()
            self._now += 1
            try:
                return await call(*args, **more)
            finally:
                self._now -= 1
                self.calls += 1
                if not self._now:
                    self.seconds += time.monotonic() - self._since

        return timed


def painted(journal: Path) -> list[tuple[str, int]]:
    """Return prompt and seed of every image in a run."""
    with closing(sqlite3.connect(journal)) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT request FROM calls WHERE kind = 'paint'")]
    return [(row["prompt"], row["seed"]) for row in rows]


def bare(settings: Settings, asked: list[tuple[str, int]]) -> float:
    """Return images per minute of the loaded pipeline alone, batch after batch."""
    painter = DiffusersPainter(settings.painter)
    size = settings.painter.batch

    async def paint() -> float:
        await painter.paint(*asked[0])
        begin = time.monotonic()
        for at in range(0, len(asked), size):
            await asyncio.gather(*(painter.paint(*one) for one in asked[at : at + size]))
        return 60 * len(asked) / (time.monotonic() - begin)

    return asyncio.run(paint())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--limit", type=int, help="dialogues; all by default")
    args = parser.parse_args()
    settings = config.load(args.profile)
    watched: list[Watched] = []

    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        with build.open_models(settings) as models:
            watched[:] = (
                Watched(models.chat, "complete", "token_probabilities"),
                Watched(models.painter, "paint"),
            )
            yield replace(models, chat=watched[0], painter=watched[1])

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        outcome = session.run(RunRequest([INPUT], out, settings, limit=args.limit), open_models=open_models)
        rate = bare(settings, painted(out / "journal.sqlite"))
    chat, painter = watched
    minutes = outcome.seconds / 60
    title = f"{outcome.counts.dialogues} dialogues in {outcome.seconds:.0f} s"
    table = Table("", "calls", "share of the time busy", "a minute", title=title)
    for name, model in (("chat model", chat), ("painter", painter)):
        table.add_row(
            name,
            f"{model.calls}",
            f"{model.seconds / outcome.seconds:.0%}",
            f"{model.calls / minutes:.1f}",
        )
    table.add_row("painter alone, full batches", f"{painter.calls}", "", f"{rate:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
