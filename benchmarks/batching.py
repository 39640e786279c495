"""Measure how full the painter's batches are: images per second, compared to the most that it could make.

`python -m benchmarks.batching [--dialogues N]` runs the loop with a fake painter that takes A + B * n
seconds for a batch of n, like few-step models, and a fake chat model that takes one second per answer, with
1, 8 and 64 dialogues in flight. For comparison it computes the sequential loop of the published code, which
paints one image at a time. The ideal is a painter that is never without a full batch.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from benchmarks import worlds
from magid_agents.models.batching import Batcher
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage, Reply
from magid_agents.prompts import Message
from magid_agents.runs import session

A, B, BATCH = 0.4, 0.02, 16  # seconds per batch, seconds per image, images
LATENCY = 1.0  # seconds per answer of the chat model
IDEAL = BATCH / (A + B * BATCH)  # images per second


class SlowChat(FakeChat):
    """Answers after one second, however many calls are in flight."""

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        await asyncio.sleep(LATENCY)
        return await super().complete(messages, schema, images)


class BatchPainter(FakePainter):
    """Takes as long for a batch as a device would."""

    def __init__(self) -> None:
        super().__init__()
        self._batched: Batcher[tuple[str, int], None] = Batcher([self._wait], BATCH)

    def _wait(self, batch: Sequence[tuple[str, int]]) -> list[None]:
        time.sleep(A + B * len(batch))
        return [None] * len(batch)

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        await self._batched((prompt, seed))
        return await super().paint(prompt, seed)


def measured(dialogues: int, in_flight: int) -> float:
    """Return images per second over a whole run, including its beginning and end."""
    painter = BatchPainter()
    with tempfile.TemporaryDirectory() as folder:
        request = worlds.request(Path(folder), dialogues, concurrency=in_flight)
        begin = time.monotonic()
        session.run(request, open_models=worlds.fakes(lambda: painter, lambda: SlowChat(worlds.script)))
        return painter.calls / (time.monotonic() - begin)


def sequential() -> float:
    """Return images per second of the sequential loop: two attempts of two images per moment."""
    answers = 1 + worlds.MOMENTS * (2 + 1)  # the scan; two prompts and a critique per moment
    images = worlds.MOMENTS * 2 * 2
    return images / (answers * LATENCY + images * (A + B))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialogues", type=int, default=320, help="with 64 in flight; fewer with fewer")
    args = parser.parse_args()
    title = f"ideal {IDEAL:.1f} images/s: {BATCH} in {A + B * BATCH:.2f} s"
    table = Table("dialogues in flight", "images/s", "of the ideal", title=title)
    table.add_row("sequential loop", f"{sequential():.2f}", f"{sequential() / IDEAL:.0%}")
    for in_flight in (1, 8, 64):
        rate = measured(max(4, args.dialogues * in_flight // 64), in_flight)
        table.add_row(str(in_flight), f"{rate:.2f}", f"{rate / IDEAL:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
