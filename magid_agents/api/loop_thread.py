"""An event loop in a thread of its own, for callers without one or inside a running one."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import Any, TypeVar

from magid_agents.config import ConfigError

Result = TypeVar("Result")


class LoopThread:
    """An event loop that runs in a thread of its own, until `loop_in_thread` is left."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine from another thread and wait for its result; cancel it if the wait is interrupted.

        Raises ConfigError if the loop has ended.
        """
        if self._loop.is_closed():
            work.close()
            raise ConfigError("the session has ended; open another one")
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    @contextmanager
    def use(self, manager: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
        """Enter and leave an asynchronous context manager in the loop."""
        entered = self.call(manager.__aenter__())
        try:
            yield entered
        finally:
            self.call(manager.__aexit__(None, None, None))


@contextmanager
def loop_in_thread() -> Iterator[LoopThread]:
    """Run an event loop in a thread; tasks that are left when the block ends are cancelled."""
    began = Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def run_until_left() -> None:
        left = asyncio.Event()
        began.set_result((asyncio.get_running_loop(), left))
        await left.wait()

    # A daemon: a program may end without leaving the block.
    thread = Thread(target=lambda: asyncio.run(run_until_left()), name="magid session", daemon=True)
    thread.start()
    loop, left = began.result()
    try:
        yield LoopThread(loop)
    finally:
        loop.call_soon_threadsafe(left.set)
        thread.join()
