"""The broker: single requests of many dialogues, gathered into batches for one device or several.

Knows how to gather, to run off the event loop, to split where memory does not suffice and to hand each asker
its own result; knows no model.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from magid_agents.errors import MagidError

Item = TypeVar("Item")
Result = TypeVar("Result")


class OutOfMemory(MagidError):
    """The batch does not fit the device's memory; raised by `work`, to be given a smaller one."""


class _Waiting(Generic[Item, Result]):
    """One request and who waits for it."""

    def __init__(self, item: Item, future: asyncio.Future[Result]) -> None:
        self.item, self.future = item, future


class Batcher(Generic[Item, Result]):
    """Runs batches of at most `size` on `workers`, each a function of a batch, in a thread of its own.

    Whatever gathers while all are at work makes the next batch, so that a busy device is never kept waiting;
    an idle one waits `patience` seconds for company. A worker must give one result an item, in order; what it
    raises goes to every asker of the batch, except OutOfMemory: the batch is then split, and all later ones
    are as small.
    """

    def __init__(
        self,
        workers: Sequence[Callable[[Sequence[Item]], Sequence[Result]]],
        size: int,
        patience: float = 0.01,
    ) -> None:
        self.size = size
        self._workers, self._patience = list(workers), patience
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._serving: list[asyncio.Task[None] | None] = [None] * len(workers)
        self._threads = ThreadPoolExecutor(len(workers), "batcher")

    async def __call__(self, item: Item) -> Result:
        """The item's own result."""
        waiting = _Waiting(item, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        for number, task in enumerate(self._serving):
            if task is None or task.done():
                self._serving[number] = asyncio.create_task(self._serve(self._workers[number]))
                break
        return await waiting.future

    async def _serve(self, worker: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        loop = asyncio.get_running_loop()
        if len(self._waiting) < self.size:
            await asyncio.sleep(self._patience)
        while batch := self._take():
            try:
                results = await loop.run_in_executor(self._threads, worker, [w.item for w in batch])
            except OutOfMemory as error:
                if len(batch) == 1:
                    batch[0].future.set_exception(error)
                else:
                    self.size = min(self.size, len(batch) // 2)
                    self._waiting.extendleft(reversed(batch))
            except Exception as error:
                for waiting in batch:
                    if not waiting.future.done():
                        waiting.future.set_exception(error)
            else:
                for waiting, result in zip(batch, results, strict=True):
                    if not waiting.future.done():
                        waiting.future.set_result(result)

    def _take(self) -> list[_Waiting[Item, Result]]:
        """The next batch, without those whose askers are gone."""
        batch: list[_Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self.size:
            waiting = self._waiting.popleft()
            if not waiting.future.done():
                batch.append(waiting)
        return batch
