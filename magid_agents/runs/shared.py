"""Share resources between concurrent tasks: open one for its first user, close it after the last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

Resource = TypeVar("Resource")
Opener = Callable[[], AbstractAsyncContextManager[Resource]]


class Shared(Generic[Resource]):
    """One resource per key, however many tasks use it. For a single event loop.

    Each resource is held by a task of its own. So a cancelled user leaves nothing half open, and whatever
    is open is closed when the event loop ends.
    """

    def __init__(self, *, keep: bool = False) -> None:
        """Open nothing yet.

        Args:
            keep: an unused resource stays open until one with another key is needed.
        """
        self._keep = keep
        self._holders: dict[Hashable, _Holder[Resource]] = {}

    @asynccontextmanager
    async def use(self, key: Hashable, open_resource: Opener[Resource]) -> AsyncIterator[Resource]:
        """Use the resource with this key; open it if necessary. Raises what opening or closing raises."""
        while (holder := self._holders.get(key)) is None or holder.is_closing:
            # Others may change what is held during an await, so look again afterwards.
            if holder is not None:
                await asyncio.wait([holder.task])
            elif unused := [h.task for h in self._holders.values() if h.close_if_unused()]:
                await asyncio.wait(unused)
            else:
                self._hold(key, open_resource)
        holder.users += 1
        try:
            yield await asyncio.shield(holder.opened)
        finally:
            holder.users -= 1
            if not self._keep and holder.close_if_unused():
                await asyncio.shield(holder.task)

    def _hold(self, key: Hashable, open_resource: Opener[Resource]) -> None:
        holder = self._holders[key] = _Holder(open_resource)
        holder.task.add_done_callback(lambda _: self._holders.pop(key))


class _Holder(Generic[Resource]):
    """A task that opens a resource and closes it when told to."""

    def __init__(self, open_resource: Opener[Resource]) -> None:
        self.users = 0
        self.opened: asyncio.Future[Resource] = asyncio.get_running_loop().create_future()
        # Retrieve the exception, so that asyncio does not warn if every user was cancelled.
        self.opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._unused = asyncio.Event()
        self.task = asyncio.create_task(self._run(open_resource))

    @property
    def is_closing(self) -> bool:
        return self._unused.is_set() or self.task.done()

    def close_if_unused(self) -> bool:
        """Tell the task to close the resource if nobody uses it; return whether it will."""
        if not self.users:
            self._unused.set()
        return not self.users

    async def _run(self, open_resource: Opener[Resource]) -> None:
        try:
            async with open_resource() as resource:
                self.opened.set_result(resource)
                await self._unused.wait()
        except Exception as error:
            if self.opened.done():
                raise
            self.opened.set_exception(error)
        finally:
            self.opened.cancel()  # nothing else settles the future if the event loop ends first
