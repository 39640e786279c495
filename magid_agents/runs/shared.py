"""Resources that concurrent tasks share: opened for the first of them, closed after the last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

Resource = TypeVar("Resource")
Opener = Callable[[], AbstractAsyncContextManager[Resource]]


class Shared(Generic[Resource]):
    """One resource for each key, whatever the number of tasks that use it. For one event loop.

    A task of its own holds each resource. So a user who is cancelled leaves nothing half open, and what is
    still open is closed when the event loop ends.
    """

    def __init__(self, *, keep: bool = False) -> None:
        """Open nothing yet.

        Args:
            keep: a resource that nobody uses stays open until one with another key is needed.
        """
        self._keep = keep
        self._holders: dict[Hashable, _Holder[Resource]] = {}

    @asynccontextmanager
    async def use(self, key: Hashable, open_resource: Opener[Resource]) -> AsyncIterator[Resource]:
        """Use the resource with this key; open it if nobody has. Raises what opening or closing it raises."""
        while (holder := self._holders.get(key)) is None or holder.is_closing:
            # Awaiting lets others change what is held, so look again afterwards.
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
        # Retrieved here too: a failure that every user was cancelled for is not worth a warning.
        self.opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._unused = asyncio.Event()
        self.task = asyncio.create_task(self._run(open_resource))

    @property
    def is_closing(self) -> bool:
        return self._unused.is_set() or self.task.done()

    def close_if_unused(self) -> bool:
        """Tell the task to close the resource unless somebody uses it; return whether it closes."""
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
            self.opened.cancel()  # nothing else settles it if the event loop ends first
