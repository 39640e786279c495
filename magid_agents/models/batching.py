"""Gather single requests of many dialogues into batches, for one device or several.

Runs the batches off the event loop, splits a batch that does not fit in memory, and hands each caller its
own result.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Generic, TypeVar

from magid_agents.errors import MagidError, StopRun
from magid_agents.models.oldest_first import OldestFirst
from magid_agents.store import call_state

Item = TypeVar("Item")
Result = TypeVar("Result")


class OutOfMemory(StopRun):
    """Raised by a device's function if the batch does not fit its memory; the message names the settings.

    A batch of several items is split. If a single item does not fit, the run ends: no other dialogue would
    fare better.
    """


class _Request(Generic[Item, Result]):
    """One item, and the future that its caller waits for."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.state = call_state.current()


class _Queue(Generic[Item, Result]):
    """The requests that wait in one event loop, and the tasks that serve them, one per device."""

    def __init__(self) -> None:
        self.waiting: OldestFirst[_Request[Item, Result]] = OldestFirst()
        self.arrival = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []


class _Device(Generic[Item, Result]):
    """A function that takes a batch, and the thread that it always runs in, whichever event loop calls."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._work = work
        self.thread = ThreadPoolExecutor(1, "batcher")

    def attempt(self, items: Sequence[Item]) -> Sequence[Result] | Exception:
        """Return the results, one per item, or the error that all callers get."""
        try:
            results = self._work(items)
        except StopIteration as error:  # which a future does not accept
            return RuntimeError(f"StopIteration: {error}")
        except Exception as error:
            return error
        if len(results) != len(items):
            return RuntimeError(f"a batch of {len(items)} items gave {len(results)} results")
        return results


class Batcher(Generic[Item, Result]):
    """Run batches of at most `size` items on several devices.

    While all devices are busy, new items form the next batch; an idle device waits up to `max_wait_s` for
    more. Items whose callers were cancelled before their batch began are dropped. Can be used in one event
    loop after another.
    """

    def __init__(
        self,
        devices: Sequence[Callable[[Sequence[Item]], Sequence[Result]]],
        size: int,
        max_wait_s: float = 0.01,
    ) -> None:
        """Start nothing yet.

        Args:
            devices: one function per device, which returns one result per item, in order. What it raises goes
                to every caller. If it raises OutOfMemory for several items, the batch is split, and later
                batches are no larger than the halves.
        """
        self.size = size
        self._devices = [_Device(work) for work in devices]
        self._max_wait_s = max_wait_s
        self._queues: dict[asyncio.AbstractEventLoop, _Queue[Item, Result]] = {}

    async def __call__(self, item: Item) -> Result:
        """Return the result for this item."""
        request: _Request[Item, Result] = _Request(item)
        queue = self._queue_of_this_loop()
        queue.waiting.push(request, request.state)
        queue.arrival.set()
        return await request.result

    def _queue_of_this_loop(self) -> _Queue[Item, Result]:
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None or any(task.done() for task in queue.tasks):
            self._queues = {known: q for known, q in self._queues.items() if not known.is_closed()}
            queue = self._queues.setdefault(loop, _Queue())
            for task in queue.tasks:
                task.cancel()
            # In a context of their own: the first caller's would stay alive with all that it refers to.
            queue.tasks = [
                loop.create_task(self._serve(device, queue), context=Context()) for device in self._devices
            ]
        return queue

    async def _serve(self, device: _Device[Item, Result], queue: _Queue[Item, Result]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch(queue)
            items = [request.item for request in batch]
            try:
                outcome = await loop.run_in_executor(device.thread, device.attempt, items)
            except BaseException:  # the event loop is being shut down
                _fail(batch, MagidError("the batch was given up: the program is ending"))
                raise
            if isinstance(outcome, OutOfMemory) and len(batch) > 1:
                self._put_back(batch, queue)
            elif isinstance(outcome, Exception):
                _fail(batch, outcome)
            else:
                for request, result in zip(batch, outcome, strict=True):
                    if not request.result.done():
                        request.result.set_result(result)

    async def _next_batch(self, queue: _Queue[Item, Result]) -> list[_Request[Item, Result]]:
        while True:
            if not queue.waiting:
                queue.arrival.clear()
                await queue.arrival.wait()
                if len(queue.waiting) < self.size:
                    await asyncio.sleep(self._max_wait_s)
            if batch := self._take(queue):
                return batch

    def _take(self, queue: _Queue[Item, Result]) -> list[_Request[Item, Result]]:
        """Take the next batch from the queue, dropping items whose callers are gone."""
        batch: list[_Request[Item, Result]] = []
        while queue.waiting and len(batch) < self.size:
            request = queue.waiting.pop()
            if not request.result.done():
                request.state.begin_service()
                request.state.hold()
                batch.append(request)
        return batch

    def _put_back(self, batch: list[_Request[Item, Result]], queue: _Queue[Item, Result]) -> None:
        self.size = min(self.size, len(batch) // 2)
        for request in batch:
            queue.waiting.push(request, request.state)
            request.state.release()


def _fail(batch: Sequence[_Request[Item, Result]], error: Exception) -> None:
    for request in batch:
        if not request.result.done():
            request.result.set_exception(error)
