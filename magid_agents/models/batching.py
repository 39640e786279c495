"""The broker: single requests of many dialogues, gathered into batches for one device.

Knows how to gather, to run off the event loop and to hand each asker its own result; knows no model.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs `work` on batches of at most `size` in one thread of its own.

    Whatever gathers while a batch is at work makes the next one, so that a busy device is never kept
    waiting; an idle one waits `patience` seconds for company. `work` must give one result an item, in
    order; what it raises goes to every asker of the batch.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], size: int, patience: float = 0.01
    ) -> None:
        self._work, self._size, self._patience = work, size, patience
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._serving: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batcher")

    async def __call__(self, item: Item) -> Result:
        """The item's own result."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if len(self._waiting) < self._size:
            await asyncio.sleep(self._patience)
        while self._waiting:
            batch = [pair for pair in self._waiting[: self._size] if not pair[1].cancelled()]
            del self._waiting[: self._size]
            if not batch:
                continue
            try:
                results = await loop.run_in_executor(self._thread, self._work, [item for item, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
